"""Linear recurrent units against the plain formula, over long files, and the ring their factor starts on."""

from __future__ import annotations

import math

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers import diagonal_scan as module
from audiocx.layers.diagonal_scan import diagonal_scan, plain_scan
from audiocx.layers.linear_recurrence import LinearRecurrence, RealLinearRecurrence


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ring(n_features: int, parts: int, inner: float = 0.9, outer: float = 0.9999) -> torch.Tensor:
    modulus = torch.linspace(inner, outer, n_features, dtype=torch.float64)
    if parts == 1:
        return modulus.unsqueeze(-1)
    return torch.view_as_real(torch.polar(modulus, torch.linspace(0, 6, n_features, dtype=torch.float64)))


@pytest.fixture(params=[4096, 1], ids=["chunks", "frame by frame"])
def path(request, monkeypatch):
    monkeypatch.setattr(module, "LARGE_STATE", request.param)


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.usefixtures("path")
def test_ten_thousand_frames_equal_the_loop_in_complex128(with_state, reverse):
    inputs, factor = numbers(10_007, 2, 3, 2), ring(3, 2)
    state = numbers(2, 3, 2, seed=1) if with_state else torch.zeros(2, 3, 2, dtype=torch.float64)
    driven, turn, current = (torch.view_as_complex(tensor) for tensor in (inputs, factor, state))
    expected = torch.empty_like(driven)
    for frame in reversed(range(len(driven))) if reverse else range(len(driven)):
        current = turn * current + driven[frame]
        expected[frame] = current
    found = torch.view_as_complex(diagonal_scan(inputs, factor, state, reverse=reverse))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_fast_decay_underflows_to_nothing():
    """Powers of a small factor vanish inside a chunk, and no quotient of them is ever formed."""
    inputs, factor = numbers(900, 1, 2, 2).float(), torch.full((2, 2), 1e-30)
    found = diagonal_scan(inputs, factor, torch.ones(1, 2, 2))
    torch.testing.assert_close(found, inputs)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n_frames", [1, 3, 4, 11])
@pytest.mark.usefixtures("path")
def test_gradients(parts, reverse, n_frames):
    inputs = numbers(n_frames, 2, 3, parts).requires_grad_()
    factor = ring(3, parts, 0.3, 0.9).requires_grad_()
    state = numbers(2, 3, parts, seed=1).requires_grad_()
    arguments = (inputs, factor, state)
    assert torch.autograd.gradcheck(lambda *given: diagonal_scan(*given, reverse=reverse), arguments)
    torch.testing.assert_close(
        diagonal_scan(*arguments, reverse=reverse), plain_scan(*arguments, reverse=reverse)
    )


@pytest.mark.parametrize("make", [LinearRecurrence, RealLinearRecurrence])
def test_starts_on_its_ring_at_unit_power(make):
    torch.manual_seed(0)
    layer = make(64, 512)
    modulus = layer.modulus().detach()
    assert modulus.min() >= 0.8999
    assert modulus.max() < 0.9991
    assert float(modulus.square().mean()) == pytest.approx((0.9**2 + 0.999**2) / 2, abs=0.005)
    scale = math.sqrt(1 / layer.parts)
    with torch.no_grad():
        outputs, state = layer(scale * torch.randn(4, layer.parts * 64, 3000))
    assert float(state.square().sum() / (4 * 512)) == pytest.approx(1.0, rel=0.15)
    assert float(outputs[..., 2000:].square().mean()) * layer.parts == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("decay", [-1000.0, -30.0, 0.0, 30.0, 1000.0])
@pytest.mark.parametrize("make", [LinearRecurrence, RealLinearRecurrence])
def test_factor_and_its_gradient_are_finite_for_every_parameter(make, decay):
    layer = make(2, 3)
    with torch.no_grad():
        layer.log_decay.fill_(decay)
        if layer.parts == 2:
            layer.log_angle.fill_(decay)
    factor = layer.factor()
    factor.sum().backward()
    assert float(factor.detach().norm(dim=-1).max()) < 1.0
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)


def test_a_ring_outside_the_disc():
    with pytest.raises(ConfigError, match="unit disc"):
        LinearRecurrence(2, 2, ring=(0.9, 1.0))
