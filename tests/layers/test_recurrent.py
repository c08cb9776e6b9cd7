"""The scan of gated linear recurrences against the plain loop, and what is special about them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers import gated_scan as module
from audiocx.layers.gated_scan import gated_scan, plain_scan
from audiocx.layers.halves import RecurrentHalves
from audiocx.layers.planar import to_complex
from audiocx.layers.recurrent import BothDirections, GatedLinearRecurrence, RealGatedLinearRecurrence

LAYERS = [
    lambda **options: GatedLinearRecurrence(3, 4, **options),
    lambda **options: RealGatedLinearRecurrence(6, 5, **options),
    lambda **options: RecurrentHalves(lambda: RealGatedLinearRecurrence(3, 4, **options)),
]


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(params=[1 << 18, 40], ids=["one chunk", "chunks"])
def chunk(request, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_NUMBERS", request.param)


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_ten_thousand_frames_equal_a_loop_in_complex128(reverse, with_state):
    """In chunks of its own choice, against NumPy's complex numbers."""
    projected = numbers(10_000, 2, 12)
    state = numbers(2, 6, seed=1) if with_state else torch.zeros(2, 6, dtype=torch.float64)
    outputs, last = gated_scan(projected, state, reverse=reverse)
    real, imaginary, keep, give = np.split(projected.numpy(), 4, -1)
    candidate, keep, give = real + 1j * imaginary, 1 / (1 + np.exp(-keep)), 1 / (1 + np.exp(-give))
    hidden = state.numpy()[:, :3] + 1j * state.numpy()[:, 3:]
    expected = np.zeros_like(candidate)
    for frame in range(10_000)[:: -1 if reverse else 1]:
        hidden = keep[frame] * hidden + (1 - keep[frame]) * candidate[frame]
        expected[frame] = give[frame] * hidden
    for found, wanted in ((outputs, expected), (last, hidden)):
        found_real, found_imaginary = np.split(found.numpy(), 2, -1)
        np.testing.assert_allclose(found_real + 1j * found_imaginary, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.usefixtures("chunk")
def test_gradients(parts, reverse):
    projected = numbers(7, 3, (parts + 2) * 4).requires_grad_()
    state = numbers(3, parts * 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda *inputs: gated_scan(*inputs, reverse=reverse), (projected, state))


def test_gradients_where_only_one_output_is_used():
    for used in (0, 1):
        projected, state = numbers(5, 2, 8).requires_grad_(), numbers(2, 4, seed=1).requires_grad_()
        found = torch.autograd.grad(gated_scan(projected, state)[used].square().sum(), (projected, state))
        expected = torch.autograd.grad(plain_scan(projected, state)[used].square().sum(), (projected, state))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("make", LAYERS)
def test_reverse_is_the_mirror(make):
    torch.manual_seed(0)
    there = make()
    torch.manual_seed(0)
    back = make(reverse=True)
    inputs = numbers(1, 6, 12, dtype=torch.float32)
    torch.testing.assert_close(back(inputs)[0], there(inputs.flip(-1))[0].flip(-1))


def test_both_directions_stay_planar():
    there, back = GatedLinearRecurrence(2, 3), GatedLinearRecurrence(2, 3, reverse=True)
    inputs = numbers(1, 4, 8, dtype=torch.float32)
    both = to_complex(BothDirections(there, back, paired=True)(inputs))
    expected = torch.cat((to_complex(there(inputs)[0]), to_complex(back(inputs)[0])), 1)
    torch.testing.assert_close(both, expected)


@pytest.mark.parametrize("make", LAYERS)
def test_no_frames_leave_the_state_as_it_is(make):
    layer, inputs = make(), numbers(2, 6, 5, 4, dtype=torch.float32)
    _, state = layer(inputs)
    outputs, after = layer(inputs[..., :0], state)
    assert outputs.shape == (*layer(inputs)[0].shape[:-1], 0)
    assert torch.equal(after, state)


def test_what_gates_cannot_see():
    with pytest.raises(ConfigError, match="planes or modulus"):
        GatedLinearRecurrence(3, 4, gates="phase")


@pytest.mark.parametrize("gates", ["planes", "modulus"])
def test_gates_of_twins_start_alike(gates):
    """Logits have about unit power in both arithmetics, for features with E|x|² = 1."""
    torch.manual_seed(0)
    spread = []
    for layer, scale in (
        (GatedLinearRecurrence(32, 64, gates=gates), 0.5**0.5),
        (RealGatedLinearRecurrence(64, 64, gates=gates), 1.0),
    ):
        logits = layer.project(scale * torch.randn(200, 1, 64))[..., -128:].detach()
        spread.append(float((logits - layer.gate_bias.detach()).square().mean()))
    assert spread[0] == pytest.approx(spread[1], rel=0.15)
    assert spread[0] == pytest.approx(1.0, rel=0.15)
