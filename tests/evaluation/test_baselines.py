"""Baselines: the log-MMSE gain against its integral, and what it does to signals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from audiocx.data.batch import Example
from audiocx.evaluation.baselines import (
    DECISION_DIRECTED,
    NoiseTracker,
    OracleMask,
    log_mmse,
    log_mmse_gain,
    noisy,
)
from audiocx.metrics.waveform import attenuation_db, si_sdr_db
from audiocx.signal.oracle import ideal_complex_mask, ideal_ratio_mask, phase_sensitive_mask
from audiocx.signal.stft import STFT


def _in_noise(seconds: float = 3.0, level: float = 0.03) -> tuple[torch.Tensor, torch.Tensor]:
    """Tone bursts in stationary noise, which is what the method is made for."""
    n = int(16000 * seconds)
    time = torch.arange(n) / 16000
    target = 0.3 * torch.sin(2 * torch.pi * 700 * time) * (torch.sin(2 * torch.pi * 1.5 * time - 1) > 0)
    return target + level * torch.randn(n, generator=torch.Generator().manual_seed(0)), target


def test_noisy_is_the_mixture_for_every_source() -> None:
    mixture = torch.randn(2, 100)
    estimate = noisy(3)(mixture)
    assert estimate.shape == (3, 2, 100)
    assert all(torch.equal(source, mixture) for source in estimate)


def test_gain_is_the_integral_of_ephraim_and_malah() -> None:
    power = np.array([[1.0, 1.0, 1.0, 30.0]])
    tracker = NoiseTracker(np.ones(1), 0.8)
    noise = [float(tracker.update(power[..., frame])[0]) for frame in range(4)]
    gain = log_mmse_gain(power, smoothing=0.8, n_start=3)
    posterior = 30.0 / noise[3]
    previous = gain[0, 2] ** 2 * power[0, 2]
    prior = DECISION_DIRECTED * previous / noise[3] + (1 - DECISION_DIRECTED) * (posterior - 1)
    argument = prior / (1 + prior) * posterior
    integral, _ = quad(lambda t: np.exp(-t) / t, argument, np.inf)
    assert gain[0, 3] == pytest.approx(prior / (1 + prior) * np.exp(integral / 2), rel=1e-9)


def test_noise_is_tracked_through_speech() -> None:
    generator = np.random.default_rng(0)
    tracker = NoiseTracker(np.ones(200), 0.8)
    for frame in range(200):
        power = generator.exponential(1.0, 200) * (1000.0 if 50 <= frame < 70 else 1.0)
        tracker.update(power)
        if frame == 69:
            during = float(np.median(tracker.power))
    assert during < 3.0
    # Without bias compensation it stays a little low.
    assert float(np.mean(tracker.power)) == pytest.approx(0.85, abs=0.15)


def test_stationary_noise_goes_and_the_target_stays() -> None:
    mixture, target = _in_noise()
    estimate = log_mmse(STFT())(mixture.unsqueeze(0))[0, 0]
    assert float(si_sdr_db(estimate, target) - si_sdr_db(mixture, target)) > 6
    pause = torch.arange(len(target)) < 1500
    assert not bool(target[pause].any())
    assert float(attenuation_db(estimate[pause], mixture[pause])) > 8


def test_the_level_does_not_count() -> None:
    mixture, _ = _in_noise(1.0)
    system = log_mmse(STFT())
    loud = system(mixture.unsqueeze(0))
    quiet = system(1e-4 * mixture.unsqueeze(0))
    torch.testing.assert_close(quiet * 1e4, loud, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 300, 16000])
def test_silence_and_short_inputs_are_finite(n_samples: int) -> None:
    estimate = log_mmse(STFT())(torch.zeros(2, n_samples))
    assert estimate.shape == (1, 2, n_samples)
    assert not bool(estimate.any())
    assert bool(torch.isfinite(log_mmse(STFT())(torch.ones(1, n_samples))).all())


def test_oracle_masks_know_the_target() -> None:
    mixture, target = _in_noise(1.0, level=0.1)
    example = Example(mixture.unsqueeze(0), torch.stack([target, mixture - target]).unsqueeze(1), 0, "x")
    stft = STFT()
    scores = [float(si_sdr_db(mixture, target))]
    for mask in (ideal_ratio_mask, None, ideal_complex_mask):
        oracle = OracleMask(stft) if mask is None else OracleMask(stft, mask)
        estimate = oracle.estimate(example)
        assert estimate.shape == example.target.shape
        scores.append(float(si_sdr_db(estimate[0, 0], target)))
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 10
    # What the best real mask cannot reach a complex one does.
    assert scores[3] > scores[2] + 3
    mask = phase_sensitive_mask(stft(target), stft(mixture))
    torch.testing.assert_close(
        OracleMask(stft).estimate(example)[0, 0], stft.inverse(mask * stft(mixture), len(mixture))
    )
