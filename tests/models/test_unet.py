"""The U-Net: names that checkpoints hold, bottlenecks, causality and streams."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audiocx.errors import CheckpointError, ConfigError
from audiocx.inference.stream import Stream
from audiocx.layers.recurrent import RealGatedLinearRecurrence
from audiocx.models.arithmetic import ARITHMETICS
from audiocx.models.dual_path import DualPath
from audiocx.models.separator import Separator
from audiocx.models.unet import UNet
from audiocx.models.words import WORDS
from audiocx.training.resume import fingerprint, take_weights

BOTTLENECKS = [None, "gated_linear"]
IN_PIECES = [1, 2, 15, 12]


class OwnRecurrence(RealGatedLinearRecurrence):
    """A user's own layer."""


def network(arithmetic: str = "complex", **changes: Any) -> UNet:
    settings: dict[str, Any] = {
        "widths": [2, 4],
        "kernel_sizes": [[5, 3], [3, 2]],
        "strides": [[2, 1], [2, 1]],
        "causal": True,
    }
    torch.manual_seed(0)
    return UNet(arithmetic, 2, 2, **(settings | changes)).eval()


def both_ways(arithmetic: str = "complex", **changes: Any) -> UNet:
    sizes = {"kernel_sizes": [[5, 3], [3, 3]], "strides": [[2, 2], [2, 1]]}
    return network(arithmetic, **(sizes | {"causal": False} | changes))


def in_pieces(net: UNet, planes: Tensor, lengths: list[int]) -> Tensor:
    outputs, state = [], None
    for piece in planes.split(lengths, -1):
        output, state = net.step(piece, state)
        outputs.append(output)
    return torch.cat(outputs, -1)


def test_checkpoints_hold_these_names():
    """Trained weights are kept under them: a name that changes makes every checkpoint useless."""
    sizes: dict[str, Any] = {"widths": [1, 2], "kernel_sizes": [[3, 3]] * 2, "strides": [[2, 1]] * 2}
    blocks = ["encoders.0", "encoders.1", "decoders.0", "decoders.1"]
    kernels = ["weight_real", "weight_imag", "bias"]
    names = [f"{block}.convolution.{kernel}" for block in blocks for kernel in kernels]
    names += [f"{block}.norm.scale" for block in blocks if block != "decoders.0"]
    assert sorted(UNet("complex", 2, 2, **sizes).state_dict()) == sorted(names)
    real = [name.replace("_real", "") for name in names if not name.endswith("_imag")]
    assert sorted(UNet("real", 2, 2, **sizes).state_dict()) == sorted(real)
    assert sorted(UNet("dual", 2, 2, **sizes).state_dict()) == sorted(
        name.replace("scale", half)
        for name in real
        for half in (["real.scale", "imaginary.scale"] if name.endswith("scale") else [""])
    )
    dual_path = DualPath(
        "complex", 2, 2, widths=[1, 2], kernel_sizes=[[3, 1]] * 2, strides=[2, 2], n_blocks=1, norm="rms"
    )
    block = {name for name in dual_path.state_dict() if name.startswith("blocks.0.")}
    assert {name.split(".")[2] for name in block} == {
        "band_norm", "bands", "band_linear", "frame_norm", "frames", "frame_linear"
    }  # fmt: skip
    causal = {name.replace("convolution", "convolution.convolution") for name in names if "enc" in name}
    assert set(dual_path.state_dict()) - block == causal | {name for name in names if "dec" in name}


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_no_frame_sees_a_later_one(arithmetic, bottleneck, noise):
    net, planes = network(arithmetic, bottleneck=bottleneck), noise(1, 2, 17, 12)
    changed = planes.clone()
    changed[..., 7:] = 0
    torch.testing.assert_close(net(changed)[..., :7], net(planes)[..., :7])
    later = both_ways(arithmetic, bottleneck=bottleneck)
    assert not torch.allclose(later(changed)[..., :7], later(planes)[..., :7], atol=1e-4)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("bottleneck", [None, *WORDS["recurrence"]])
def test_every_bottleneck_learns_and_goes_through_a_stream(arithmetic, bottleneck, noise):
    """Pieces with the state equal the whole, and every parameter has a finite gradient that is not zero."""
    net, planes = network(arithmetic, bottleneck=bottleneck), noise(2, 2, 17, 30)
    whole = net(planes)
    torch.testing.assert_close(in_pieces(net, planes, IN_PIECES), whole, rtol=1e-4, atol=1e-5)
    whole.square().mean().backward()
    for name, parameter in net.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("bottleneck", [*WORDS["recurrence"], "attention"])
def test_every_bottleneck_learns_both_ways(arithmetic, bottleneck, noise):
    """What a change of the first or the last frame does reaches the other end, through the bottleneck alone."""
    net, planes = both_ways(arithmetic, bottleneck=bottleneck), noise(1, 2, 17, 40)
    whole = net(planes)
    whole.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in net.parameters())
    double, planes = net.double(), planes.double()
    for here, there in ((0, -1), (-1, 0)):
        changed = planes.clone()
        changed[..., here] += 1.0
        assert not torch.equal(double(changed)[..., there], double(planes)[..., there])


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    arithmetic=st.sampled_from(sorted(ARITHMETICS)),
    bottleneck=st.sampled_from([None, *WORDS["recurrence"]]),
)
@settings(max_examples=25, deadline=None)
def test_random_pieces_equal_the_whole(lengths, arithmetic, bottleneck):
    planes = torch.randn(1, 2, 17, sum(lengths), generator=torch.Generator().manual_seed(sum(lengths)))
    net = network(arithmetic, bottleneck=bottleneck)
    with torch.no_grad():
        torch.testing.assert_close(in_pieces(net, planes, lengths), net(planes), rtol=1e-4, atol=1e-5)


def separator(level: str = "running", **changes: Any) -> Separator:
    """A causal separator as a config describes it."""
    model = {
        "_target_": "audiocx.models.model.MaskingModel",
        "level": level,
        "network": {
            "_target_": "audiocx.models.unet.UNet",
            "_partial_": True,
            "widths": [2, 3],
            "kernel_sizes": [[5, 3], [5, 2]],
            "strides": [[2, 1], [2, 1]],
            "causal": True,
            **changes,
        },
    }
    torch.manual_seed(0)
    return Separator.from_config({"task": "enhance", "n_sources": 1, "stft": {}, "model": model}).eval()


@pytest.mark.parametrize("bottleneck", [None, "gated_linear"])
def test_a_stream_of_samples_equals_the_recording(bottleneck, noise):
    system, waveform = separator(bottleneck=bottleneck), noise(2, 5000)
    assert system.causal
    stream = Stream(system)
    pieces = [stream.push(piece) for piece in waveform.split([3, 1200, 1, 2500, 1296], -1)]
    with torch.no_grad():
        expected = system(waveform[None])[0]
    torch.testing.assert_close(torch.cat([*pieces, stream.finish()], -1), expected, rtol=1e-4, atol=1e-5)


def test_a_network_that_sees_later_frames_goes_through_no_stream(noise):
    sizes: dict[str, Any] = {"widths": [2], "kernel_sizes": [[5, 1]], "strides": [2]}
    for net in (both_ways(), DualPath("complex", 2, 2, **sizes, causal=False)):
        with pytest.raises(ConfigError, match=r"step: this network sees later frames.*causal=true"):
            net.step(noise(1, 2, 17, 4))
    assert not separator(level="utterance").causal


def test_weights_of_a_config_without_the_newer_words_still_fit(tmp_path):
    """Yaml files name them now; what was trained before they did goes on."""
    older, newer = separator(), separator(bottleneck=None, norm="rms")
    older.save(tmp_path / "model")
    take_weights(str(tmp_path / "model"), newer, trust=[])
    assert fingerprint(newer) == fingerprint(older)
    with pytest.raises(CheckpointError, match=r"network\.bottleneck linear, got null"):
        take_weights(str(tmp_path / "model"), separator(bottleneck="linear"), trust=[])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": [[2, 2], [2, 1]]}, r"skips no frames; expected \[2, 1\], got \[2, 2\]"),
        ({"kernel_sizes": [[4, 3], [3, 3]]}, "even over frequency"),
        ({"bottleneck": "gated_liner"}, "did you mean `gated_linear`"),
        ({"bottleneck": "attention"}, "remembers every frame"),
        ({"causal": False, "kernel_sizes": [[5, 2], [3, 3]]}, "odd sizes"),
    ],
)
def test_what_does_not_fit_says_so(changes, message):
    with pytest.raises(ConfigError, match=message):
        network(**changes)


def test_a_bottleneck_of_ones_own(noise):
    path = f"{__name__}.OwnRecurrence"
    assert isinstance(network("real", bottleneck=path).bottleneck.over_frames, OwnRecurrence)
    ways = both_ways("real", bottleneck=path).bottleneck.over_frames
    assert [layer.reverse for layer in (ways.forward_layer, ways.backward_layer)] == [False, True]


@pytest.mark.parametrize("bottleneck", ["modulus_gated_linear", "linear", "attention"])
def test_a_global_phase_passes_a_bottleneck_that_lets_it(bottleneck, noise):
    net = both_ways(bottleneck=bottleneck, bias=False, activation="mod_relu").double()
    assert net.phase_equivariant
    assert not both_ways(bottleneck="lstm", bias=False, activation="mod_relu").phase_equivariant
    spectrum = torch.complex(*noise(2, 1, 1, 17, 9).double())
    turn = torch.exp(torch.tensor(0.8j))
    torch.testing.assert_close(net(turn * spectrum), turn * net(spectrum))


def test_compiles_without_a_break(noise):
    net, planes = network(), noise(1, 2, 17, 5)
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(planes), net(planes), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("bottleneck", [None, *WORDS["recurrence"]])
def test_exports_at_a_length_and_as_a_step(bottleneck, noise):
    net, planes, later = network(bottleneck=bottleneck), noise(1, 2, 17, 5), noise(1, 2, 17, 3) + 1.0
    whole = torch.export.export(net, (planes,), strict=False).module()
    torch.testing.assert_close(whole(planes), net(planes), rtol=1e-5, atol=1e-6)
    _, state = net.step(planes)
    step = torch.export.export(Step(net), (later, *state), strict=False).module()
    outputs, after = net.step(later, state)
    for found, expected in zip(step(later, *state), (outputs, *after), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


class Step(nn.Module):
    """One step of a network, with its state as arguments."""

    def __init__(self, net: UNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, planes: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Planes and the next state."""
        outputs, after = self.net.step(planes, state)
        return outputs, *after
