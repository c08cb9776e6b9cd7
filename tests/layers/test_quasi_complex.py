"""Quasi-complex LSTM and GRU: their size, and words that are not there."""

from __future__ import annotations

import pytest

from audiocx.errors import ConfigError
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
