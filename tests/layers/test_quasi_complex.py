"""Quasi-complex LSTM and GRU: their size, and words that are not there."""

from __future__ import annotations

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers import quasi_complex
from audiocx.layers.quasi_complex import QuasiComplexRecurrence, RealRecurrence


@pytest.mark.parametrize(("cell", "vectors"), [("lstm", 4), ("gru", 3)])
def test_parameters_are_dccrns(cell, vectors):
    """Reals: 2 (gates x H (D + H) + 2 gates x H), references of Hu et al. 2020."""
    layer = QuasiComplexRecurrence(5, 7, cell=cell)
    count = sum(parameter.numel() for parameter in layer.parameters())
    assert count == 2 * (vectors * 7 * (5 + 7) + 2 * vectors * 7)


def test_a_cell_that_is_not_there():
    for make in (QuasiComplexRecurrence, RealRecurrence):
        with pytest.raises(ConfigError, match="lstm"):
            make(2, 3, cell="lstn")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("reverse", [False, True])
def test_parts_apart_or_together_are_the_same(cell, reverse, monkeypatch):
    """Large inputs go through one part after the other while they train."""
    layer = QuasiComplexRecurrence(3, 4, cell=cell, reverse=reverse)
    planar = torch.randn(2, 6, 5, requires_grad=True)
    state = torch.randn(2, 4 * layer.n_vectors * 4)
    calls = []
    hooks = [part.register_forward_hook(lambda *_: calls.append(1)) for part in (layer.real, layer.imaginary)]
    found = []
    for large in (quasi_complex.LARGE_NUMBERS, 1):
        monkeypatch.setattr(quasi_complex, "LARGE_NUMBERS", large)
        outputs, after = layer(planar, state)
        leaves = (planar, *layer.parameters())
        found.append((outputs, after, *torch.autograd.grad(outputs.square().sum() + after.sum(), leaves)))
        with torch.no_grad():
            torch.testing.assert_close(layer(planar, state)[0], outputs.detach())
    for together, apart in zip(*found, strict=True):
        torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-5)
    assert len(calls) == 2 + 2 + 4 + 2
    for hook in hooks:
        hook.remove()
