"""Widely linear depthwise layers: real, not complex, linearity, and their size."""

from __future__ import annotations

import torch

from audiocx.layers.widely_linear import WidelyLinearDepthwise

SIZES = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 1), "dilation": (1, 2)}


def layer_of(transposed: bool, *, bias: bool = True) -> WidelyLinearDepthwise:
    layer = WidelyLinearDepthwise(3, **SIZES, bias=bias, transposed=transposed).double()
    if bias:
        torch.nn.init.normal_(layer.bias)
    return layer


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
