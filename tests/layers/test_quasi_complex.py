"""Quasi-complex LSTM and GRU against DCCRN's formula on torch's own recurrences."""

from __future__ import annotations

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers.quasi_complex import QuasiComplexRecurrence, RealRecurrence


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_equals_four_runs_of_two_recurrences(cell):
    torch.manual_seed(0)
    layer = QuasiComplexRecurrence(3, 4, cell=cell)
    inputs = torch.randn(2, 3, 9, dtype=torch.complex64)
    real, imaginary = (part.permute(2, 0, 1) for part in (inputs.real, inputs.imag))
    expected = torch.complex(
        layer.real(real)[0] - layer.imaginary(imaginary)[0],
        layer.imaginary(real)[0] + layer.real(imaginary)[0],
    )
    torch.testing.assert_close(layer(inputs)[0], expected.permute(1, 2, 0))


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
