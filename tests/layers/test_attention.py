"""Complex attention against its formulas in complex128, and what each weighting leaves as it is."""

from __future__ import annotations

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers.attention import WEIGHTINGS, ComplexAttention, RealAttention, attend, rotary_phase


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.complex128)


def parted(native: torch.Tensor) -> torch.Tensor:
    """(..., frame, feature) as (..., frame, part, feature)."""
    return torch.stack((native.real, native.imag), -2)


def native(parts: torch.Tensor) -> torch.Tensor:
    return torch.complex(parts[..., 0, :], parts[..., 1, :])


def formula(query, key, value, weighting, *, causal=False):
    scores = query @ key.mH / query.shape[-1] ** 0.5
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1) & causal

    def softmax(real):
        return torch.softmax(real.masked_fill(hidden, -torch.inf), -1).to(scores.dtype)

    if weighting == "real":
        return softmax(scores.real) @ value
    if weighting == "modulus":
        return softmax(scores.abs()) @ value
    if weighting == "modulus_phase":
        return (softmax(scores.abs()) * torch.sgn(scores)) @ value
    return (softmax(scores.real) + 1j * softmax(scores.imag)) @ value


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("causal", [False, True])
def test_weightings_equal_their_formulas(weighting, causal):
    given = [numbers(2, 9, 4, seed=seed) for seed in range(3)]
    found = native(attend(*map(parted, given), weighting, causal=causal))
    torch.testing.assert_close(found, formula(*given, weighting, causal=causal))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_rotation_of_each_query_alone(weighting):
    """Left as it is by the modulus, turns the output with modulus and phase, and changes it otherwise."""
    query, key, value = (numbers(9, 4, seed=seed) for seed in range(3))
    turns = torch.exp(1j * torch.arange(9, dtype=torch.float64)).unsqueeze(1)
    plain = formula(query, key, value, weighting)
    found = native(attend(parted(turns * query), parted(key), parted(value), weighting))
    same, turned = torch.allclose(found, plain), torch.allclose(found, turns * plain)
    assert (same, turned) == (weighting == "modulus", weighting == "modulus_phase")


def test_rotary_scores_see_distances_alone():
    frame = numbers(1, 4).expand(12, 4), numbers(1, 4, seed=1).expand(12, 4)
    query, key = (native(rotary_phase(parted(same))) for same in frame)
    scores = query @ key.mH
    torch.testing.assert_close(scores[3:, 3:], scores[:-3, :-3])
    assert float((scores[0, 1] - scores[0, 0]).abs()) > 1e-2


@pytest.mark.parametrize("make", [ComplexAttention, RealAttention])
def test_causal_frames_see_no_later_one(make):
    layer, inputs = make(8, 2, causal=True), torch.randn(1, 16 if make is ComplexAttention else 8, 10)
    changed = inputs.clone()
    changed[..., 6:] += 1.0
    difference = (layer(changed) - layer(inputs)).detach().abs().amax((0, 1))
    assert float(difference[:6].max()) < 1e-6
    assert float(difference[6:].min()) > 1e-4


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_gradients(weighting):
    given = [parted(numbers(3, 2, seed=seed)).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(lambda *parts: attend(*parts, weighting, causal=True), given)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_silence_in_half_precision_has_finite_gradients(weighting, dtype):
    for autocast in (True, False):
        layer = ComplexAttention(8, 2, weighting=weighting).to(torch.float32 if autocast else dtype)
        silence = torch.zeros(1, 16, 5, dtype=layer.value.weight_real.dtype, requires_grad=True)
        with torch.autocast("cpu", dtype, enabled=autocast):
            outputs = layer(silence)
        assert outputs.dtype == dtype
        outputs.float().sum().backward()
        for leaf in (silence, *layer.parameters()):
            assert torch.isfinite(leaf.grad).all()


def test_words_that_do_not_fit():
    with pytest.raises(ConfigError, match="modulus"):
        ComplexAttention(4, 2, weighting="modulos")
    for make, features in ((ComplexAttention, 5), (RealAttention, 6)):
        with pytest.raises(ConfigError, match="evenly"):
            make(features, 2)
