"""Complex linear maps: a known answer, and the power that both twins keep."""

from __future__ import annotations

import torch

from audiocx.layers.linear import ComplexLinear, RealLinear


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
