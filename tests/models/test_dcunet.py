"""DCUNet: the published sizes, any number of frames and frequencies, frames put behind, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

from audiocx.errors import ConfigError
from audiocx.layers.norm import WhiteningBatchNorm
from audiocx.models.arithmetic import ARITHMETICS
from audiocx.models.build import build
from audiocx.models.counting import count_macs, count_parameters
from audiocx.models.dcunet import DCUNet
from audiocx.models.separator import Separator

CONF = Path(__file__).resolve().parents[2] / "conf"
SIZES = [(10, False), (16, False), (20, False), (20, True)]
NARROW = {10: [2, 3, 3, 4, 4], 16: [2, 2, 3, 3, 3, 4, 4, 4], 20: [2, 2, 3, 3, 3, 3, 4, 4, 4, 5]}


def network(arithmetic: str = "complex", depth: int = 10, **changes: Any) -> DCUNet:
    settings: dict[str, Any] = {"depth": depth, "widths": NARROW.get(depth)}
    return DCUNet(arithmetic, 2, 2, **(settings | changes)).eval()


def composed_config(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config: Any = OmegaConf.to_container(compose("train", overrides=["model=dcunet", *overrides]))
    return {"task": "enhance", "n_sources": 1, "stft": config["stft"], "model": config["model"]}


def composed(*overrides: str) -> Separator:
    return Separator.from_config(composed_config(*overrides))


@pytest.mark.parametrize(
    ("size", "kernels", "gmacs"),
    zip(SIZES, [1_419_840, 2_372_160, 3_523_392, 7_655_670], [2.36, 3.28, 18.0, 52.0], strict=True),
)
def test_published_sizes(size, kernels, gmacs):
    """Real numbers in kernels and the one bias, and multiply-adds a second, four for a complex product."""
    depth, large = size
    config = composed_config(f"model.network.depth={depth}", f"model.network.large={large}")
    with torch.device("meta"):
        model = build(config["model"], n_sources=1, n_frequencies=513)
    norms = [module for module in model.modules() if isinstance(module, WhiteningBatchNorm)]
    assert count_parameters(model) - sum(map(count_parameters, norms)) == kernels + 2
    assert len(norms) == depth - 1
    # 1 + 64 m frames come out even; 62.5 of them are a second.
    assert count_macs(model, 513, 641) * 62.5 / 640 / 1e9 == pytest.approx(gmacs, rel=0.01)


def test_multiply_adds_of_a_layer_by_hand():
    """17 x 5 places: 64 features from 64 through 5 x 3 taps, four real products each."""
    net = nn.Sequential(nn.Identity(), composed().model.network.encoders[4].convolution)

    class Whole(nn.Module):
        def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
            planes: torch.Tensor = net(torch.empty(1, 128, 33, 5, device="meta"))
            return planes

    net.to("meta")
    assert count_macs(Whole(), 513, 5) == 4 * 64 * 64 * 15 * 17 * 5


def test_decoders_of_the_large_form_do_not_mirror_its_encoders():
    with torch.device("meta"):
        net = DCUNet("complex", 2, 2, depth=20, large=True)
    features = [(d.convolution.in_features, d.convolution.out_features) for d in reversed(net.decoders)]
    assert features == [(128, 90)] + [(180, 90)] * 7 + [(135, 90), (135, 1)]


def test_the_yaml_brings_its_frames_and_the_command_line_wins():
    assert composed().stft.settings["n_fft"] == 1024
    assert composed("stft=speech_16k").stft.settings["n_fft"] == 512
    assert composed("stft.hop_length=512").stft.settings == composed().stft.settings | {"hop_length": 512}


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(("frequencies", "frames"), [(513, 17), (257, 1), (40, 6)])
def test_any_number_of_frequencies_and_frames(arithmetic, frequencies, frames, noise):
    planes = noise(2, 2, frequencies, frames)
    for pad_frames in (False, True):
        net = network(arithmetic, pad_frames=pad_frames)
        assert net(planes).shape == planes.shape


@pytest.mark.parametrize("depth", [10, 16, 20])
def test_frames_behind_change_nothing_where_strides_come_out_even(depth, noise):
    plain, padding = network(depth=depth), network(depth=depth, pad_frames=True)
    padding.load_state_dict(plain.state_dict())
    even, uneven = noise(1, 2, 33, 17), noise(1, 2, 33, 20)
    assert torch.equal(padding(even), plain(even))
    # As many zeros as make it 33 frames, whose masks are dropped.
    longer = nn.functional.pad(uneven, (0, 13))
    assert torch.equal(padding(uneven), plain(longer)[..., :20])
    assert not torch.allclose(padding(uneven), plain(uneven))


def test_channels_last_comes_out_as_it_went_in(noise):
    planes = noise(1, 2, 33, 9).contiguous(memory_format=torch.channels_last)
    shapes = []
    net = network()
    for decoder in net.decoders:
        decoder.register_forward_hook(
            lambda m, inputs, output: shapes.append(
                inputs[0].is_contiguous(memory_format=torch.channels_last)
            )
        )
    net(planes)
    assert shapes == [True] * 5


def test_only_the_last_layer_has_a_bias_before_norms_that_centre():
    names = [name for name, _ in network().named_parameters() if "bias" in name and "convolution" in name]
    assert names == ["decoders.0.convolution.bias"]
    assert len([n for n, _ in network(norm="rms").named_parameters() if n.endswith("bias")]) == 10
    assert not [n for n, _ in network(norm="rms", bias=False).named_parameters() if n.endswith("bias")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 12}, "expected one of 10, 16, 20, got 12"),
        ({"depth": 10, "large": True}, "expected depth=20"),
        ({"widths": [4, 4]}, "differ in length"),
    ],
)
def test_what_does_not_fit_says_so(changes, message):
    with pytest.raises(ConfigError, match=message):
        network(**changes)
