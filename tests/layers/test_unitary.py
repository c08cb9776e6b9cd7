"""Unitary matrices, the recurrences on them and the complex gated unit, against the plain formulas."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import softplus

from audiocx.errors import ConfigError
from audiocx.layers.gated_unit import ComplexGatedUnit
from audiocx.layers.gated_unit_scan import gated_unit_scan, plain_gated_unit_scan
from audiocx.layers.unitary import FactoredUnitary, FullOrthogonal, FullUnitary, inverse_by_products
from audiocx.layers.unitary_recurrence import UnitaryRecurrence
from audiocx.layers.unitary_scan import plain_unitary_scan, unitary_scan

MATRICES = [FullUnitary, FactoredUnitary, FullOrthogonal]


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def native(block: torch.Tensor) -> torch.Tensor:
    """Complex matrix of a block form, which must be one."""
    upper, lower = block.chunk(2)
    real, minus_imaginary = upper.chunk(2, 1)
    imaginary, again = lower.chunk(2, 1)
    torch.testing.assert_close(real, again, rtol=0, atol=1e-6)
    torch.testing.assert_close(imaginary, -minus_imaginary, rtol=0, atol=1e-6)
    return torch.complex(real, imaginary)


@pytest.mark.parametrize(
    "make", [FullUnitary, *(pytest.param(make, marks=pytest.mark.slow) for make in MATRICES[1:])]
)
def test_unitary_over_a_thousand_optimizer_steps(make):
    torch.manual_seed(0)
    matrix = make(6)
    optimizer = torch.optim.Adam(matrix.parameters(), lr=0.1)
    before = matrix().detach()
    target = torch.randn_like(before)
    for _ in range(1000):
        optimizer.zero_grad()
        (matrix() - target).square().sum().backward()
        optimizer.step()
    after = matrix().detach()
    assert float((after - before).abs().max()) > 0.1
    torch.testing.assert_close(after @ after.mT, torch.eye(len(after)), rtol=0, atol=3e-6)


@pytest.mark.parametrize("matrix", ["full", "factored"])
def test_norms_stay_over_a_thousand_frames(matrix):
    """Without input and shrinkage: of the state, and of the gradient that reaches the first state."""
    torch.manual_seed(0)
    layer = UnitaryRecurrence(2, 16, matrix=matrix)
    with torch.no_grad():
        layer.shrinkage.fill_(-100.0)
    state = torch.randn(1, 32, requires_grad=True)
    outputs, last = layer(torch.zeros(1, 4, 1000), state)
    norms = outputs.detach().norm(dim=1)
    torch.testing.assert_close(norms, state.detach().norm().expand_as(norms), rtol=1e-4, atol=0)
    direction = torch.randn(1, 32)
    (gradient,) = torch.autograd.grad(last, state, direction)
    torch.testing.assert_close(gradient.norm(), direction.norm(), rtol=1e-4, atol=0)


def test_factored_matrix_is_arjovskys_product():
    torch.manual_seed(0)
    layer = FactoredUnitary(5)
    columns = torch.eye(5, dtype=torch.complex64)
    phases = torch.exp(1j * layer.angles.detach())
    vectors = torch.complex(layer.reflection_real, layer.reflection_imag).detach()

    def reflect(vector, matrix):
        return matrix - 2 * torch.outer(vector, vector.conj() @ matrix) / vector.norm() ** 2

    product = torch.fft.fft(phases[0].unsqueeze(1) * columns, dim=0, norm="ortho")
    product = reflect(vectors[0], product)[layer.permutation]
    product = torch.fft.ifft(phases[1].unsqueeze(1) * product, dim=0, norm="ortho")
    expected = phases[2].unsqueeze(1) * reflect(vectors[1], product)
    torch.testing.assert_close(native(layer()).detach(), expected, rtol=0, atol=1e-6)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 7 * 5


@pytest.mark.parametrize("spread", [0.0, 1.0, 20.0])
def test_inverse_by_products(spread):
    """Of I + A for skew A, whose condition number is at most sqrt(1 + |A|²)."""
    general = spread * numbers(40, 40)
    matrix = torch.eye(40, dtype=torch.float64) + general - general.mT
    torch.testing.assert_close(inverse_by_products(matrix), torch.linalg.inv(matrix), rtol=1e-8, atol=1e-10)


def test_full_matrix_is_cayleys_form():
    torch.manual_seed(0)
    layer = FullUnitary(5)
    with torch.no_grad():
        layer.skew_real.normal_()
        layer.skew_imag.normal_()
    general = torch.complex(layer.skew_real, layer.skew_imag).detach()
    skew, identity = general - general.mH, torch.eye(5, dtype=torch.complex64)
    start = torch.complex(layer.start_real, layer.start_imag)
    expected = torch.linalg.inv(identity + skew) @ (identity - skew) @ start
    torch.testing.assert_close(native(layer()).detach(), expected, rtol=0, atol=1e-5)


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


def test_unitary_recurrence_equals_the_formula_in_complex128():
    torch.manual_seed(0)
    layer = UnitaryRecurrence(3, 4).double()
    with torch.no_grad():
        layer.shrinkage.normal_()
    inputs = torch.complex(numbers(2, 3, 50), numbers(2, 3, 50, seed=1))
    matrix, entering = native(layer.matrix()), torch.complex(layer.weight_real, layer.weight_imag)
    state, expected = torch.zeros(2, 4, dtype=torch.complex128), []
    for frame in range(50):
        pre = state @ matrix.T + inputs[..., frame] @ entering.T
        state = torch.relu(pre.abs() - softplus(layer.shrinkage)) * torch.sgn(pre)
        expected.append(state)
    torch.testing.assert_close(layer(inputs)[0], torch.stack(expected, -1))


def test_gated_unit_equals_the_formula_in_complex128():
    torch.manual_seed(0)
    layer = ComplexGatedUnit(3, 4).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    inputs = torch.complex(numbers(2, 3, 50), numbers(2, 3, 50, seed=1))
    unitary, entering = native(layer.matrix()), torch.complex(layer.weight_real, layer.weight_imag)
    of_input = torch.complex(layer.gate_in_real, layer.gate_in_imag)
    of_state = torch.complex(layer.gate_state_real, layer.gate_state_imag)
    bias, gate_bias = torch.complex(*layer.bias.chunk(2)), torch.complex(*layer.gate_bias)
    share = torch.sigmoid(layer.mixing).repeat_interleave(4)
    state, expected = torch.zeros(2, 4, dtype=torch.complex128), []
    for frame in range(50):
        x = inputs[..., frame]
        logits = state @ of_state.T + x @ of_input.T + gate_bias
        recall, update = torch.sigmoid(share * logits.real + (1 - share) * logits.imag).chunk(2, -1)
        pre = (recall * state) @ unitary.T + x @ entering.T + bias
        candidate = torch.relu(pre.abs() - softplus(layer.shrinkage)) * torch.sgn(pre)
        state = update * candidate + (1 - update) * state
        expected.append(state)
    torch.testing.assert_close(layer(inputs)[0], torch.stack(expected, -1))


def test_a_matrix_that_is_not_there():
    with pytest.raises(ConfigError, match="factored"):
        UnitaryRecurrence(2, 3, matrix="factord")
