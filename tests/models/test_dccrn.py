"""DCCRN: the paper's sizes and look-ahead, a plain version of it in complex numbers, streams, masks, bins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional

from audiocx.errors import ConfigError, ShapeError
from audiocx.inference.stream import Stream
from audiocx.layers.activation import CPReLU
from audiocx.layers.norm import NaiveBatchNorm
from audiocx.layers.planar import to_complex, to_planar
from audiocx.models.arithmetic import ARITHMETICS
from audiocx.models.build import build
from audiocx.models.conditions import Conditions
from audiocx.models.counting import count_macs, count_parameters
from audiocx.models.dccrn import DCCRN
from audiocx.models.separator import Separator

CONF = Path(__file__).resolve().parents[2] / "conf"
NARROW = ("model.network.widths=[2,3,3,4,4,4]", "model.network.hidden=4")


def network(arithmetic: str = "complex", **changes: Any) -> DCCRN:
    settings: dict[str, Any] = {"widths": [2, 3, 4], "hidden": 3, "n_frequencies": 33}
    return DCCRN(arithmetic, 2, 2, **(settings | changes)).eval()


def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config: Any = OmegaConf.to_container(compose("train", overrides=["model=dccrn", *overrides]))
    return {"task": "enhance", "n_sources": 1, "stft": config["stft"], "model": config["model"]}


def stirred(net: DCCRN, generator: torch.Generator) -> DCCRN:
    """Away from where training starts: statistics, slopes and biases that are not 0 and 1."""
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                noise = torch.rand(value.shape, generator=generator, dtype=value.dtype)
                value.add_(0.3 * noise if "running_var" in name else 0.3 * (noise - 0.5))
    return net


def plainly(net: DCCRN, spectrum: Tensor) -> Tensor:
    """The paper's network in native complex numbers, from the weights of ours."""

    def after(block: Any, z: Tensor) -> Tensor:
        norm, activation = block.norm.parts, block.activation
        parts = []
        for part, half, slope in ((z.real, 0, activation.slope_real), (z.imag, 1, activation.slope_imag)):
            arguments = [norm.running_mean, norm.running_var, norm.weight, norm.bias]
            part = functional.batch_norm(part, *[value.chunk(2)[half] for value in arguments])
            parts.append(functional.prelu(part, slope))
        return torch.complex(*parts)

    def kernel(layer: Any) -> Tensor:
        return torch.complex(layer.weight_real, layer.weight_imag)

    z, skips = spectrum[:, :, 1:], []
    for encoder in net.encoders:
        z = functional.pad(z, (1, 0))
        z = after(
            encoder, functional.conv2d(z, kernel(encoder.convolution.convolution), None, (2, 1), (2, 0))
        )
        skips.append(z)
    n_features, n_low = z.shape[1:3]
    z = z.permute(0, 3, 1, 2).flatten(2)
    for layer in net.recurrences:
        both = [
            [run(part)[0] for part in (z.real, z.imag)]
            for run in (batch_first(layer.real), batch_first(layer.imaginary))
        ]
        z = torch.complex(both[0][0] - both[1][1], both[0][1] + both[1][0])
    bias = torch.complex(*net.linear.bias.chunk(2))
    z = functional.linear(z, torch.complex(net.linear.weight_real, net.linear.weight_imag), bias)
    z = z.unflatten(2, (n_features, n_low)).permute(0, 2, 3, 1)
    for decoder in reversed(net.decoders):
        z = torch.cat((z, skips.pop()), 1)
        layer = decoder.convolution
        bias = None if layer.bias is None else torch.complex(*layer.bias.chunk(2))
        z = functional.conv_transpose2d(z, kernel(layer), bias, (2, 1), (2, 0), (1, 0))[..., 1:]
        if decoder is not net.decoders[0]:
            z = after(decoder, z)
    return functional.pad(z, (0, 0, 1, 0))


def batch_first(recurrence: Any) -> Any:
    recurrence.batch_first = True
    return recurrence


def test_it_is_the_papers_network(noise, generator):
    """Zeros before each encoder, the first frame of each decoder dropped, the bin of 0 Hz left out."""
    net = stirred(network(), generator).double()
    planes = noise(2, 2, 33, 9, dtype=torch.float64)
    ours = to_complex(net(planes)).detach()
    torch.testing.assert_close(plainly(net, to_complex(planes)).detach(), ours, rtol=1e-9, atol=1e-11)
    assert torch.equal(to_planar(ours)[:, :, 0], torch.zeros(2, 2, 9, dtype=torch.float64))


def test_published_size():
    """3 671 053 of the published code; ours has no bias before a norm, but a slope for every plane."""
    config = composed()
    with torch.device("meta"):
        model = build(config["model"], n_sources=1, n_frequencies=257)
    n_normed = 2 * (16 + 32 + 64 + 3 * 128 + 2 * 128 + 64 + 32 + 16)
    n_slopes = sum(count_parameters(m) for m in model.modules() if isinstance(m, CPReLU))
    assert n_slopes == n_normed
    assert sum(count_parameters(m) for m in model.modules() if isinstance(m, NaiveBatchNorm)) == 2 * n_normed
    assert count_parameters(model) == 3_671_053 - n_normed - 11 + n_slopes
    # 160 frames a second, four products for a complex one; the count of 8.53e9 leaves out the linear map.
    seconds = 8
    linear = 4 * 128 * 512 * 160
    macs = count_macs(model, 257, 160 * seconds) / seconds
    assert (macs - linear) / 1e9 == pytest.approx(8.53, rel=0.01)


def test_the_yaml_brings_its_frames():
    stft = composed()["stft"]
    assert (stft["n_fft"], stft["win_length"], stft["hop_length"]) == (512, 400, 100)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["model.head=real_imag_mask", "model.mask_bound=null"],
            lambda z, y: torch.complex(z.real * y.real, z.imag * y.imag),
        ),
        (["model.mask_bound=null"], lambda z, y: z * y),
        ([], lambda z, y: torch.polar(y.abs() * torch.tanh(z.abs()), y.angle() + z.angle())),
    ],
    ids=["R", "C", "E"],
)
def test_masks_of_the_paper(words, expected, noise):
    """On what the network gives, and silence at 0 Hz with each."""
    config = composed(*words, "model.network.widths=[2,2]", "model.network.hidden=2", "model.level=none")
    model = build(config["model"], n_sources=1, n_frequencies=257).eval()
    mixture = torch.view_as_complex(noise(1, 1, 257, 8, 2))
    estimate = model.apply_mask(mixture, model(mixture))[:, 0]
    output = to_complex(model.network(to_planar(mixture)))
    torch.testing.assert_close(estimate, expected(output, mixture), rtol=1e-4, atol=1e-5)
    assert torch.equal(estimate[:, :, 0], torch.zeros(1, 1, 8, dtype=torch.complex64))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(
    ("changes", "look_ahead"),
    [({}, 6), ({"causal": True}, 0), ({"pad_frames": False}, 6), ({"widths": [2, 2]}, 2)],
)
def test_look_ahead(arithmetic, changes, look_ahead, noise, generator):
    """A frame of the output sees as many later ones as there are decoders, or none, and all before."""
    net = stirred(network(arithmetic, **({"widths": [2] * 6} | changes)), generator)
    planes = noise(1, 2, 33, 16).requires_grad_()
    net(planes)[..., 8].square().sum().backward()
    seen = planes.grad.abs().sum((0, 1, 2)) > 0
    assert seen.nonzero().flatten().tolist() == list(range(9 + look_ahead))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("changes", [{}, {"causal": True}, {"pad_frames": False}, {"dropped": "nyquist"}])
def test_any_number_of_frames_and_frequencies(arithmetic, changes, noise):
    for n_frequencies, n_frames in ((33, 1), (33, 3), (40, 8), (257, 2)):
        net = network(arithmetic, n_frequencies=n_frequencies, **changes)
        outputs = net(noise(2, 2, n_frequencies, n_frames))
        assert outputs.shape == (2, 2, n_frequencies, n_frames)
        silent = n_frequencies - 1 if changes.get("dropped") else 0
        assert not outputs[:, :, silent].any()


@pytest.mark.parametrize(
    ("arithmetic", "recurrence"),
    [("complex", "lstm"), ("complex", "gated_linear"), ("real", "lstm"), ("dual", "gru")],
)
def test_pieces_with_state_equal_the_whole(arithmetic, recurrence, noise, generator):
    """Through the model, with a running level: random pieces, each with what the one before left."""
    words = [
        f"model.arithmetic={arithmetic}",
        "model.level=running",
        f"model.network.recurrence={recurrence}",
    ]
    narrow = ["model.network.widths=[2,3,3,4,4,4]", "model.network.hidden=4", "model.network.causal=true"]
    separator = Separator.from_config(composed(*words, *narrow)).eval()
    stirred(separator.model.network, generator)
    assert separator.causal
    mixture = torch.view_as_complex(noise(1, 2, 257, 40, 2))
    cuts = torch.randperm(39, generator=generator)[:6].add(1).sort().values.tolist()
    lengths = [end - start for start, end in zip([0, *cuts], [*cuts, 40], strict=True)]
    masks, state = [], None
    with torch.no_grad():
        for piece in mixture.split(lengths, -1):
            mask, state = separator.model.step(piece, Conditions(state=state))
            masks.append(mask)
        torch.testing.assert_close(torch.cat(masks, -1), separator.model(mixture), rtol=1e-4, atol=1e-5)


def test_a_causal_one_goes_through_a_stream_of_samples(noise):
    words = ["model.level=running", "model.network.causal=true"]
    separator = Separator.from_config(composed(*words, *NARROW)).eval()
    stream, waveform = Stream(separator), noise(1, 3000)
    with torch.no_grad():
        pieces = [stream.push(piece) for piece in waveform.split([1, 700, 1299, 1000], -1)]
        estimate = torch.cat([*pieces, stream.finish()], -1)
        torch.testing.assert_close(estimate, separator(waveform[None])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": []}, "at least one each"),
        ({"n_layers": 0}, "at least one each"),
        ({"dropped": "nyqist"}, "did you mean `nyquist`"),
        ({"recurrence": "lsmt"}, "did you mean `lstm`"),
        ({"causal": True, "pad_frames": False}, "look ahead"),
    ],
)
def test_what_does_not_fit_says_so(changes, message):
    with pytest.raises(ConfigError, match=message):
        network(**changes)


def test_other_frequencies_say_so(noise):
    with pytest.raises(ShapeError, match="33"):
        network()(noise(1, 2, 65, 4))


def test_without_causal_there_is_no_step(noise):
    with pytest.raises(ConfigError, match="causal=true"):
        network().step(noise(1, 2, 33, 4))
