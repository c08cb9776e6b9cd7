"""STOI and ESTOI: agreement with an independent implementation, limits, and reasons in place of scores."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.signal import butter, lfilter

from audiocx.errors import ShapeError
from audiocx.metrics.intelligibility import estoi, stoi

RATE = 16000
BOTH = pytest.mark.parametrize(("score", "extended"), [(stoi, False), (estoi, True)], ids=["stoi", "estoi"])


def _voice(seconds: float = 2.0, rate: int = RATE, seed: int = 0) -> torch.Tensor:
    """Coloured noise in syllables, with a pause in which there is next to nothing."""
    n = int(seconds * rate)
    time = np.arange(n) / rate
    noise = np.random.default_rng(seed).standard_normal(n)
    voice = sum(
        lfilter(*butter(2, [c * 0.8, c * 1.2], "bandpass", fs=rate), noise) for c in (500, 1500, 2500)
    )
    envelope = np.clip(np.sin(2 * np.pi * 3 * time), 0.0, 1.0) * (np.abs(time - 1.0) > 0.2)
    return torch.from_numpy(0.3 * voice * envelope + 1e-6 * noise)


def _noisy(target: torch.Tensor, level: float) -> torch.Tensor:
    noise = torch.randn(target.shape[-1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return target + level * noise


@BOTH
@pytest.mark.parametrize("rate", [8000, 10000, 16000, 44100, 48000])
def test_is_the_packages(score, extended: bool, rate: int) -> None:  # type: ignore[no-untyped-def]
    pystoi = pytest.importorskip("pystoi")
    for seed, level in enumerate((0.01, 0.1, 0.5)):
        target = _voice(rate=rate, seed=seed)
        estimate = _noisy(target, level)
        theirs = pystoi.stoi(target.numpy(), estimate.numpy(), rate, extended=extended)
        assert score(estimate, target, sample_rate=rate).value == pytest.approx(theirs, abs=1e-9)


@BOTH
def test_falls_with_noise_and_forgets_levels(score, extended: bool) -> None:  # type: ignore[no-untyped-def]
    target = _voice()
    values = [score(_noisy(target, level), target, sample_rate=RATE).value for level in (0.0, 0.03, 0.3)]
    assert values[0] == pytest.approx(1.0, abs=1e-9)
    assert values == sorted(values, reverse=True)
    quiet = score(1e-9 * _noisy(target, 0.03), 1e-12 * target, sample_rate=RATE).value
    assert quiet == pytest.approx(values[1], abs=1e-6)


@BOTH
def test_the_pair_seen_before_leaves_nothing_behind(score, extended: bool) -> None:  # type: ignore[no-untyped-def]
    target = _voice()
    estimate = _noisy(target, 0.1)
    first = score(estimate, target, sample_rate=RATE).value
    estimate += _noisy(target, 0.2)
    assert score(estimate, target, sample_rate=RATE).value != first
    assert score(_noisy(target, 0.1), target, sample_rate=RATE).value == first


@BOTH
def test_empty_bands_give_a_number(score, extended: bool) -> None:  # type: ignore[no-untyped-def]
    target = _voice()
    tone = 0.1 * torch.sin(2 * torch.pi * 1000 * torch.arange(len(target)) / RATE)
    assert 0.0 <= abs(score(tone, target, sample_rate=RATE).value) < 0.7
    half = torch.cat([target[: len(target) // 2], torch.zeros(len(target) - len(target) // 2)])
    assert 0.2 < score(half, target, sample_rate=RATE).value < 0.9


@BOTH
def test_undefined_scores_have_reasons(score, extended: bool) -> None:  # type: ignore[no-untyped-def]
    target = _voice()
    for estimate, reference, reason in (
        (target, torch.zeros_like(target), "silent target"),
        (torch.zeros_like(target), target, "silent estimate"),
        (target[:5000], target[:5000], "fewer than 30 active frames"),
        (target[:200], target[:200], "fewer than 30 active frames"),
        (target[:1], target[:1], "fewer than 30 active frames"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = score(estimate, reference, sample_rate=RATE)
        assert math.isnan(result.value)
        assert reason in result.reason


def test_batches_are_refused() -> None:
    with pytest.raises(ShapeError):
        stoi(torch.zeros(2, 100), torch.zeros(2, 100), sample_rate=RATE)
