"""Convolutions that see no later frame: what they see, pieces of a stream, and what their state keeps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from audiocx.errors import ConfigError
from audiocx.layers.causal import CausalConvolution
from audiocx.layers.convolution import (
    ComplexConv1d,
    ComplexConv2d,
    ComplexConvTranspose1d,
    ComplexConvTranspose2d,
)
from audiocx.layers.widely_linear import WidelyLinearDepthwise


@pytest.fixture
def layer() -> CausalConvolution:
    return CausalConvolution(nn.Conv2d(2, 3, (3, 4), padding=(1, 0)), 3)


def test_sees_the_frame_at_hand_and_those_before(layer, noise):
    inputs = noise(1, 2, 5, 12).requires_grad_()
    layer(inputs)[0][..., 7].sum().backward()
    seen = inputs.grad.abs().sum((0, 1, 2)) > 0
    assert seen.nonzero().flatten().tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("n_past", [0, 3])
def test_the_state_keeps_no_more_than_its_frames(n_past, noise):
    """A view would hold the whole piece, minutes of it perhaps, until the next one comes."""
    layer = CausalConvolution(nn.Conv2d(2, 3, (3, n_past + 1), padding=(1, 0)), n_past)
    _, state = layer(noise(1, 2, 5, 1000))
    assert state.shape == (1, 2, 5, n_past)
    assert state.untyped_storage().nbytes() == state.nbytes


CAUSAL = {
    "1d": lambda: ComplexConv1d(2, 3, 3, dilation=2),
    "2d": lambda: ComplexConv2d(2, 4, (3, 2), (2, 1), (1, 0), dilation=(1, 4), groups=2),
    "transposed 1d": lambda: ComplexConvTranspose1d(2, 3, 3, padding=4, dilation=2),
    "transposed 2d": lambda: ComplexConvTranspose2d(2, 2, (3, 3), (2, 1), (1, 6), dilation=(1, 3)),
    "depthwise": lambda: ComplexConv2d(2, 2, (1, 3), dilation=(1, 2), groups=2),
    "real": lambda: nn.Conv2d(4, 4, (3, 3), (1, 1), (1, 0), dilation=(1, 2)),
    "real transposed": lambda: nn.ConvTranspose1d(4, 4, 2, dilation=3, padding=3),
    "widely linear": lambda: WidelyLinearDepthwise(
        2, (3, 3), padding=(1, 4), dilation=(1, 2), transposed=True
    ),
}
every_kind = pytest.mark.parametrize("make", CAUSAL.values(), ids=CAUSAL.keys())


def planes_for(convolution):
    one_axis = len(convolution.kernel_size) == 1
    return torch.randn(1, 4, *(() if one_axis else (5,)), 20, dtype=torch.float64)


@every_kind
def test_every_convolution_sees_its_reach_and_no_later_frame(make):
    convolution = make().double()
    layer = CausalConvolution(convolution)
    reach = convolution.dilation[-1] * (convolution.kernel_size[-1] - 1)
    assert layer.n_past == reach
    inputs = planes_for(convolution).requires_grad_()
    outputs = layer(inputs)[0]
    assert outputs.shape[-1] == inputs.shape[-1]
    outputs[..., 15].sum().backward()
    seen = inputs.grad.abs().flatten(0, -2).sum(0) > 0
    expected = [15 - convolution.dilation[-1] * tap for tap in range(convolution.kernel_size[-1])]
    assert seen.nonzero().flatten().tolist() == sorted(expected)


@every_kind
def test_any_pieces_with_the_state_equal_the_whole(make, generator):
    layer = CausalConvolution(make().double())
    inputs = planes_for(layer.convolution)
    whole = layer(inputs)[0]
    for _ in range(5):
        cuts = torch.randint(0, 20, (4,), generator=generator).sort().values.tolist()
        sizes = [end - start for start, end in zip([0, *cuts], [*cuts, 20], strict=True) if end > start]
        outputs, state = [], None
        for piece in inputs.split(sizes, -1):
            output, state = layer(piece, state)
            outputs.append(output)
        torch.testing.assert_close(torch.cat(outputs, -1), whole)


def test_native_complex_pieces():
    layer = CausalConvolution(ComplexConv1d(2, 3, 3, dilation=2).double())
    z = torch.randn(1, 2, 12, dtype=torch.complex128)
    first, state = layer(z[..., :5])
    second, state = layer(z[..., 5:], state)
    assert state.dtype == z.dtype
    torch.testing.assert_close(torch.cat((first, second), -1), layer(z)[0])
    planar = layer(torch.cat((z.real, z.imag), 1))[0]
    torch.testing.assert_close(torch.complex(*planar.chunk(2, 1)), layer(z)[0])


def test_a_transposed_one_reaches_the_size_it_is_told():
    layer = CausalConvolution(ComplexConvTranspose2d(2, 2, (3, 2), (2, 1), (1, 1)))
    assert layer(torch.randn(1, 4, 4, 9), None, (8, 9))[0].shape == (1, 4, 8, 9)


@pytest.mark.parametrize(
    ("convolution", "n_past", "word"),
    [
        (nn.Conv2d(2, 2, (3, 3), padding=1), None, "padding 0"),
        (nn.Conv2d(2, 2, (3, 3), stride=2), None, "stride 1"),
        (nn.ConvTranspose2d(2, 2, (3, 3)), None, "padding 2"),
        (nn.Conv2d(2, 2, (3, 3), dilation=(1, 2)), 2, "taps - 1"),
        (nn.Identity(), None, "give n_past"),
    ],
)
def test_what_would_not_be_causal_is_refused(convolution, n_past, word):
    with pytest.raises(ConfigError, match=word):
        CausalConvolution(convolution, n_past)
