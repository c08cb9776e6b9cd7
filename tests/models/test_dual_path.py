"""The dual-path topology: shapes, what it refuses, causality and streams."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.models.arithmetic import ARITHMETICS
from audiocx.models.conditions import Conditions
from audiocx.models.dual_path import DualPath
from audiocx.models.model import MaskingModel
from audiocx.models.separator import Separator


def network(arithmetic: str = "complex", **changes: Any) -> DualPath:
    settings: dict[str, Any] = {
        "widths": [2, 3],
        "kernel_sizes": [[5, 1], [3, 3]],
        "strides": [4, 2],
        "n_blocks": 2,
        "band_hidden": 2,
        "frame_hidden": 4,
    }
    return DualPath(arithmetic, 2, 2, **(settings | changes)).eval()


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("frequencies", [33, 40, 257])
def test_any_number_of_frequencies(arithmetic, frequencies, noise):
    assert network(arithmetic)(noise(2, 2, frequencies, 6)).shape == (2, 2, frequencies, 6)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_no_frame_sees_a_later_one(arithmetic, noise):
    net, planes = network(arithmetic), noise(1, 2, 33, 12)
    changed = planes.clone()
    changed[..., 7:] = 0
    torch.testing.assert_close(net(changed)[..., :7], net(planes)[..., :7])
    both_ways = network(arithmetic, causal=False)
    assert not torch.allclose(both_ways(changed)[..., :7], both_ways(planes)[..., :7], atol=1e-4)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_pieces_with_state_equal_the_whole(arithmetic, noise):
    net, planes = network(arithmetic), noise(1, 2, 33, 30)
    outputs, state = [], None
    for piece in planes.split([1, 2, 15, 12], -1):
        output, state = net.step(piece, state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, -1), net(planes), rtol=1e-4, atol=1e-5)


def test_every_place_sees_all_frequencies_and_the_past(noise):
    net = network()
    planes = noise(1, 2, 33, 12).requires_grad_()
    net(planes)[0, 0, 16, 8].backward()
    seen = planes.grad.abs().sum((0, 1)) > 0
    assert seen[:, :9].all()
    assert not seen[:, 9:].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": [4]}, "differ in length"),
        ({"kernel_sizes": [[4, 1], [3, 3]]}, "even over frequency"),
        ({"recurrence": "gated_liner"}, "gated_linear"),
    ],
)
def test_what_does_not_fit_says_so(changes, message):
    with pytest.raises(ConfigError, match=message):
        network(**changes)


def test_step_of_a_model_that_sees_later_frames_says_so(noise):
    spectrum = torch.view_as_complex(noise(1, 1, 257, 4, 2))
    for level, causal in (("utterance", True), ("running", False)):
        model = MaskingModel(
            lambda arithmetic, i, o, n_frequencies, causal=causal: network(causal=causal), level=level
        )
        with pytest.raises(ConfigError, match="cannot go through a stream"):
            model.step(spectrum)


def test_a_level_of_every_frame_may_be_handed_in(noise):
    config = {
        "_target_": "audiocx.models.model.MaskingModel",
        "level": "running",
        "network": {
            "_target_": "audiocx.models.dual_path.DualPath",
            "_partial_": True,
            "widths": [2],
            "kernel_sizes": [[5, 1]],
            "strides": [4],
        },
    }
    separator = Separator.from_config({"task": "enhance", "n_sources": 1, "stft": {}, "model": config}).eval()
    spectrum = torch.view_as_complex(noise(1, 1, 257, 12, 2))
    level, _ = separator.model.features.measure_level(spectrum, Conditions())
    part = separator.model(spectrum[..., 6:], Conditions(level=level[..., 6:]))
    assert not torch.allclose(part, separator.model(spectrum[..., 6:]), atol=1e-4)
    assert separator.causal


def test_no_bias_before_a_norm_that_takes_it_away():
    """It would count as parameters and do nothing."""
    biases = [name for name, _ in network().named_parameters() if name.endswith("convolution.bias")]
    assert biases == ["decoders.0.convolution.bias"]
    assert len([n for n, _ in network(norm="rms").named_parameters() if n.endswith("convolution.bias")]) == 4
