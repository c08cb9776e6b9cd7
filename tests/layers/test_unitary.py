"""What unitary recurrences and the complex gated unit are made of: scans and inverses."""

from __future__ import annotations

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers.gated_unit_scan import gated_unit_scan, plain_gated_unit_scan
from audiocx.layers.unitary import FactoredUnitary, FullOrthogonal, FullUnitary, inverse_by_products
from audiocx.layers.unitary_recurrence import UnitaryRecurrence
from audiocx.layers.unitary_scan import plain_unitary_scan, unitary_scan


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("spread", [0.0, 1.0, 20.0])
def test_inverse_by_products(spread):
    """Of I + A for skew A, whose condition number is at most sqrt(1 + |A|²)."""
    general = spread * numbers(40, 40)
    matrix = torch.eye(40, dtype=torch.float64) + general - general.mT
    torch.testing.assert_close(inverse_by_products(matrix), torch.linalg.inv(matrix), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_the_scans(parts, reverse):
    planes = parts * 3
    inputs, state, bias = numbers(6, 2, planes), numbers(2, planes, seed=1), numbers(3, seed=2)
    gate_inputs, gate_matrix = numbers(6, 2, 6, seed=3), numbers(6, planes, seed=4)
    matrix = numbers(planes, planes, seed=5)
    for scan, plain, arguments in (
        (unitary_scan, plain_unitary_scan, (inputs, matrix, bias, state)),
        (
            gated_unit_scan,
            plain_gated_unit_scan,
            (inputs, gate_inputs, matrix, gate_matrix, bias, state),
        ),
    ):
        leaves = [argument.clone().requires_grad_() for argument in arguments]
        assert torch.autograd.gradcheck(
            lambda *given, scan=scan: scan(*given, reverse=reverse), leaves, fast_mode=True
        )
        torch.testing.assert_close(scan(*leaves, reverse=reverse), plain(*leaves, reverse=reverse))


@pytest.mark.parametrize("make", [FullUnitary, FullOrthogonal, FactoredUnitary])
def test_inference_forms_the_matrix_once(make, monkeypatch):
    """A stream calls it for every frame; a step of an optimizer, or a load, is seen."""
    layer, formed = make(3).eval(), []
    form = make.form
    monkeypatch.setattr(make, "form", lambda self: (formed.append(1), form(self))[1])
    with torch.no_grad():
        first = layer()
        assert torch.equal(layer(), first)
        assert len(formed) == 1
        for parameter in layer.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
        second = layer()
        assert not torch.allclose(second, first)
        layer.load_state_dict(make(3).state_dict())
        assert not torch.allclose(layer(), second)
    torch.testing.assert_close(layer().detach(), layer(), rtol=0, atol=0)  # with gradients, formed anew
    assert len(formed) == 5


def test_a_matrix_that_is_not_there():
    with pytest.raises(ConfigError, match="factored"):
        UnitaryRecurrence(2, 3, matrix="factord")
