"""Attention as arithmetics make it: planes, twins, and halves that never meet."""

from __future__ import annotations

import pytest
import torch

from audiocx.layers.attention import WEIGHTINGS, ComplexAttention, RealAttention
from audiocx.models.arithmetic import ARITHMETICS, arithmetic_of
from audiocx.models.counting import count_parameters

PLANES, HEADS = 16, 2


@pytest.mark.parametrize("name", ARITHMETICS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("causal", [False, True])
def test_planes_stay_and_frames_see_what_they_may(name, weighting, causal, noise):
    torch.manual_seed(0)
    layer = arithmetic_of(name).attention(PLANES, HEADS, weighting=weighting, causal=causal)
    planes = noise(2, PLANES, 3, 10)
    changed = planes.clone()
    changed[..., 6:] += 1.0
    assert layer(planes).shape == planes.shape
    difference = (layer(changed) - layer(planes)).detach().abs().amax((0, 1, 2))
    assert (float(difference[:6].max()) < 1e-5) is causal
    assert float(difference[6:].min()) > 1e-4


def test_each_arithmetic_has_its_layer(noise):
    kinds = {name: type(arithmetic_of(name).attention(PLANES, HEADS)) for name in ARITHMETICS}
    assert kinds["complex"] is kinds["widely_linear"] is ComplexAttention
    assert kinds["real"] is RealAttention
    dual = arithmetic_of("dual").attention(PLANES, HEADS)
    planes = noise(1, PLANES, 4)
    changed = planes.clone()
    changed[:, PLANES // 2 :] += 1.0
    assert torch.equal(dual(planes)[:, : PLANES // 2], dual(changed)[:, : PLANES // 2])


def test_twins_cost_what_theory_says():
    """Four maps each: 2 C² reals in complex numbers, (2C)² in real ones, 2 C² in two halves."""
    counts = {
        name: count_parameters(arithmetic_of(name).attention(PLANES, HEADS)) for name in ("complex", "dual")
    }
    assert counts == {"complex": 4 * 2 * 8**2, "dual": 4 * 2 * 8**2}
    assert count_parameters(arithmetic_of("real").attention(PLANES, HEADS)) == 4 * 16**2
