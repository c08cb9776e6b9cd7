"""Widely linear depthwise layers against y = A z + B conj(z) of torch's complex numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from audiocx.layers.planar import to_planar
from audiocx.layers.widely_linear import WidelyLinearDepthwise

SIZES = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 1), "dilation": (1, 2)}


def layer_of(transposed: bool, *, bias: bool = True) -> WidelyLinearDepthwise:
    layer = WidelyLinearDepthwise(3, **SIZES, bias=bias, transposed=transposed).double()
    if bias:
        torch.nn.init.normal_(layer.bias)
    return layer


def matrices(layer):
    """A and B of the two by two matrices m."""
    m11, m22 = layer.weight_same.chunk(2)
    m12, m21 = layer.weight_other.chunk(2)
    return torch.complex(m11 + m22, m21 - m12) / 2, torch.complex(m11 - m22, m21 + m12) / 2


@pytest.mark.parametrize("transposed", [False, True])
def test_equals_a_map_of_the_number_and_its_conjugate(transposed):
    layer = layer_of(transposed)
    z = torch.randn(2, 3, 7, 6, dtype=torch.complex128)
    native = functional.conv_transpose2d if transposed else functional.conv2d
    options = {"stride": (2, 1), "padding": (1, 1), "dilation": (1, 2), "groups": 3}
    linear, conjugate = matrices(layer)
    expected = native(z, linear, **options) + native(z.conj().resolve_conj(), conjugate, **options)
    expected = expected + torch.complex(*layer.bias.chunk(2)).view(-1, 1, 1)
    torch.testing.assert_close(layer(z), expected)
    torch.testing.assert_close(layer(to_planar(z)), to_planar(expected))


@pytest.mark.parametrize("transposed", [False, True])
def test_gradcheck_and_export(transposed):
    layer = layer_of(transposed)
    planar = torch.randn(1, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (planar,))
    program = torch.export.export(layer, (planar.detach(),), strict=False)
    torch.testing.assert_close(program.module()(planar), layer(planar))


def test_a_phase_does_not_pass_through_but_scale_does():
    layer = layer_of(False, bias=False)
    z = torch.randn(1, 3, 7, 6, dtype=torch.complex128)
    torch.testing.assert_close(layer(-2 * z), -2 * layer(z))
    assert not torch.allclose(layer(1j * z), 1j * layer(z))
    assert not layer.phase_equivariant


def test_size_and_power():
    layer = WidelyLinearDepthwise(64, (3, 3), padding=(1, 1), gain=1.0)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 4 * 64 * 9 + 128
    assert 0.8 < float(layer(torch.randn(4, 128, 16, 16))[..., 1:-1, 1:-1].var().detach()) < 1.2
