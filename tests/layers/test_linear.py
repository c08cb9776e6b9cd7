"""Complex linear maps against matrices of torch's complex numbers."""

from __future__ import annotations

import torch

from audiocx.layers.linear import ComplexLinear, RealLinear
from audiocx.layers.planar import to_complex


def test_equals_a_complex_matrix(noise):
    layer = ComplexLinear(3, 4).double()
    planar = noise(2, 6, 5, 7).double()
    with torch.no_grad():
        layer.bias.normal_(generator=torch.Generator().manual_seed(1))
    weight = torch.complex(layer.weight_real, layer.weight_imag)
    expected = torch.einsum("oi,bift->boft", weight, to_complex(planar))
    expected = expected + torch.complex(*layer.bias.chunk(2)).view(1, -1, 1, 1)
    torch.testing.assert_close(to_complex(layer(planar)), expected)


def test_known_answer():
    """W = [[1+2j, -1j], [.5, 1-1j]] on [2-1j, 1+3j] is [7+2j, 5+1.5j]."""
    layer = ComplexLinear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight_real.copy_(torch.tensor([[1.0, 0.0], [0.5, 1.0]]))
        layer.weight_imag.copy_(torch.tensor([[2.0, -1.0], [0.0, -1.0]]))
    planar = torch.tensor([[2.0, 1.0, -1.0, 3.0]])
    torch.testing.assert_close(layer(planar), torch.tensor([[7.0, 5.0, 2.0, 1.5]]))


def test_variance_is_kept_by_both_twins():
    torch.manual_seed(0)
    planar = torch.randn(400, 128)
    for layer in (ComplexLinear(64, 64), RealLinear(128, 128)):
        assert 0.95 < float(layer(planar).detach().var()) < 1.05


def test_phase_passes_without_a_bias(noise):
    planar = to_complex(noise(1, 6, 5, 7))
    for bias in (False, True):
        layer = ComplexLinear(3, 4, bias=bias)
        if bias:
            torch.nn.init.ones_(layer.bias)
        turned = torch.allclose(layer(1j * planar), 1j * layer(planar), atol=1e-5)
        assert turned is layer.phase_equivariant is not bias
