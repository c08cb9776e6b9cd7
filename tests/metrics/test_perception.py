"""PESQ: agreement with its package, resampling, and reasons in place of scores."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import soxr
import torch
from scipy.signal import butter, lfilter

from audiocx.errors import ShapeError
from audiocx.metrics.perception import pesq_wb

RATE = 16000


def _voice(seconds: float = 2.0, rate: int = RATE) -> torch.Tensor:
    """Syllables: a harmonic tone with two formants that comes and goes."""
    n = int(seconds * rate)
    time = np.arange(n) / rate
    pulses = np.sign(np.sin(2 * np.pi * (120 * time + 5 * np.sin(2 * np.pi * 2 * time))))
    voice = sum(
        lfilter(*butter(2, [c * 0.8, c * 1.2], "bandpass", fs=rate), pulses) for c in (500, 1500, 2500)
    )
    envelope = np.clip(np.sin(2 * np.pi * 3 * time), 0.0, 1.0)
    return torch.from_numpy(0.3 * voice * envelope)


def _noisy(target: torch.Tensor, level: float) -> torch.Tensor:
    noise = torch.randn(target.shape[-1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return target + level * noise


def test_pesq_is_the_packages_and_falls_with_noise() -> None:
    pesq = pytest.importorskip("pesq")
    target = _voice()
    estimate = _noisy(target, 0.02)
    theirs = pesq.pesq(RATE, target.numpy(), estimate.numpy(), "wb")
    assert pesq_wb(estimate, target, sample_rate=RATE).value == pytest.approx(theirs, abs=1e-4)
    assert pesq_wb(_noisy(target, 0.3), target, sample_rate=RATE).value < theirs
    assert pesq_wb(target, target, sample_rate=RATE).value == pytest.approx(4.64, abs=0.01)


@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_rates_are_resampled(rate: int) -> None:
    pytest.importorskip("pesq")
    target = _voice(rate=rate)
    estimate = _noisy(target, 0.05)
    at_16k = [
        torch.from_numpy(soxr.resample(x.numpy(), rate, RATE, quality="VHQ")) for x in (estimate, target)
    ]
    resampled = pesq_wb(*at_16k, sample_rate=RATE).value
    assert pesq_wb(estimate, target, sample_rate=rate).value == pytest.approx(resampled, abs=1e-6)


def test_undefined_scores_have_reasons() -> None:
    pytest.importorskip("pesq")
    target = _voice()
    for estimate, reference, reason in (
        (target, torch.zeros_like(target), "silent target"),
        (torch.zeros_like(target), target, "silent estimate"),
        (target[:2000], target[:2000], "shorter than"),
        (target[:1], target[:1], ""),
    ):
        result = pesq_wb(estimate, reference, sample_rate=RATE)
        assert math.isnan(result.value)
        assert reason in result.reason
        assert result.reason


def test_pesq_without_speech_has_a_reason() -> None:
    pytest.importorskip("pesq")
    burst = torch.zeros(RATE)
    burst[8000:8200] = torch.randn(200, generator=torch.Generator().manual_seed(0))
    result = pesq_wb(_noisy(burst, 0.01), burst, sample_rate=RATE)
    assert math.isnan(result.value)
    assert "no speech" in result.reason


def test_a_missing_package_is_a_reason(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "pesq", None)
    target = _voice(0.5)
    result = pesq_wb(target, target, sample_rate=RATE)
    assert math.isnan(result.value)
    assert "`pesq`" in result.reason
    assert "audiocx[metrics]" in result.reason


def test_batches_are_refused() -> None:
    with pytest.raises(ShapeError):
        pesq_wb(torch.zeros(2, 100), torch.zeros(2, 100), sample_rate=RATE)
