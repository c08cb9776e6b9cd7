"""Ratios in dB: known answers, properties, and agreement with three independent implementations."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from audiocx.errors import ShapeError
from audiocx.metrics.waveform import attenuation_db, sdr_db, si_sdr_db, snr_db

N_SAMPLES = 12000

# Appendix vectors: target, estimate, mixture.
TARGET = torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64)
ESTIMATE = torch.tensor([0.9, 2.2, -0.8, 0.4], dtype=torch.float64)


def _speechlike(generator: np.random.Generator) -> NDArray[np.float64]:
    """Coloured noise that comes and goes."""
    coloured = lfilter(*butter(2, [0.05, 0.4], "bandpass"), generator.standard_normal(N_SAMPLES))
    envelope = np.clip(np.sin(2 * np.pi * np.arange(N_SAMPLES) / 4000 + generator.uniform(0, 6)), 0.02, 1)
    return np.asarray(coloured * envelope)


def _delayed(waveform: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Delay by n samples; a negative n comes early."""
    shifted = np.zeros_like(waveform)
    if n >= 0:
        shifted[n:] = waveform[: len(waveform) - n]
    else:
        shifted[:n] = waveform[-n:]
    return shifted


def _case(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One of 24 mixtures: noisy, rescaled, filtered, delayed, early, or all at once, at -10 to 30 dB."""
    generator = np.random.default_rng(seed)
    target = _speechlike(generator)
    kind = seed % 6
    estimate = target.copy()
    if kind in (1, 5):
        estimate = estimate * generator.uniform(-3, 3)
    if kind in (2, 5):
        estimate = lfilter(*butter(4, 0.3), estimate)
    if kind in (3, 5):
        estimate = _delayed(estimate, int(generator.integers(1, 400)))
    if kind == 4:
        estimate = _delayed(estimate, -int(generator.integers(1, 20)))
    noise = generator.standard_normal(N_SAMPLES)
    noise *= np.linalg.norm(estimate) / np.linalg.norm(noise) * 10 ** (-generator.uniform(-10, 30) / 20)
    return torch.from_numpy(estimate + noise), torch.from_numpy(target)


CASES = range(24)


def test_appendix_vectors() -> None:
    assert float(snr_db(ESTIMATE, TARGET)) == pytest.approx(17.958800, abs=1e-6)
    assert float(si_sdr_db(ESTIMATE, TARGET)) == pytest.approx(18.045417, abs=1e-6)
    # SI-SNR removes the means first: another number, which ours becomes when the caller does so.
    centred = si_sdr_db(ESTIMATE - ESTIMATE.mean(), TARGET - TARGET.mean())
    assert float(centred) == pytest.approx(17.085185, abs=1e-6)


def test_means_are_not_removed() -> None:
    assert float(si_sdr_db(ESTIMATE + 1.0, TARGET)) < 10.0


@pytest.mark.parametrize("seed", CASES)
def test_agrees_with_torchmetrics(seed: int) -> None:
    from torchmetrics.functional.audio import (
        scale_invariant_signal_distortion_ratio,
        signal_distortion_ratio,
        signal_noise_ratio,
    )

    estimate, target = _case(seed)
    pairs = (
        (si_sdr_db, scale_invariant_signal_distortion_ratio),
        (snr_db, signal_noise_ratio),
        (sdr_db, signal_distortion_ratio),
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(
            ours(estimate, target), theirs(estimate, target).double(), atol=1e-3, rtol=0
        )


@pytest.mark.parametrize("seed", CASES)
def test_agrees_with_fast_bss_eval(seed: int) -> None:
    fast_bss_eval = pytest.importorskip("fast_bss_eval")
    estimate, target = _case(seed)
    theirs = fast_bss_eval.sdr(target[None], estimate[None])
    torch.testing.assert_close(sdr_db(estimate, target)[None], theirs, atol=1e-3, rtol=0)
    theirs = fast_bss_eval.si_sdr(target[None], estimate[None], zero_mean=False)
    torch.testing.assert_close(si_sdr_db(estimate, target)[None], theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize("seed", CASES)
def test_agrees_with_mir_eval(seed: int) -> None:
    separation = pytest.importorskip("mir_eval.separation")
    estimate, target = _case(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = separation.bss_eval_sources(target[None].numpy(), estimate[None].numpy(), False)[0]
    torch.testing.assert_close(sdr_db(estimate, target)[None], torch.from_numpy(theirs), atol=1e-3, rtol=0)


def test_sdr_of_several_sources_agrees_with_mir_eval() -> None:
    separation = pytest.importorskip("mir_eval.separation")
    estimates, targets = (torch.stack(pair) for pair in zip(*(_case(seed) for seed in (0, 2)), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = separation.bss_eval_sources(targets.numpy(), estimates.numpy(), False)[0]
    torch.testing.assert_close(sdr_db(estimates, targets), torch.from_numpy(theirs), atol=1e-3, rtol=0)


def test_delays_are_forgiven_by_sdr_alone_and_only_causal_ones() -> None:
    target = torch.from_numpy(_speechlike(np.random.default_rng(1)))
    late, early = torch.roll(target, 10), torch.roll(target, -10)
    assert float(si_sdr_db(late, target)) < 5
    assert float(sdr_db(late, target)) > 40
    assert float(sdr_db(early, target)) < 20


def test_sdr_of_unrelated_noise_is_the_floor_of_512_taps() -> None:
    generator = torch.Generator().manual_seed(0)
    estimate, target = torch.randn(2, 16000, generator=generator, dtype=torch.float64)
    # 512 free coefficients explain about 512 / 16000 of any noise.
    assert float(sdr_db(estimate, target)) == pytest.approx(10 * math.log10(512 / 16000), abs=0.6)


@pytest.mark.parametrize("score", [si_sdr_db, snr_db, sdr_db])
def test_perfect_silent_and_unequal(score) -> None:  # type: ignore[no-untyped-def]
    target = torch.from_numpy(_speechlike(np.random.default_rng(2)))
    silence = torch.zeros_like(target)
    assert float(score(target, target)) == math.inf
    assert math.isnan(float(score(target, silence)))
    assert math.isnan(float(score(silence, silence)))
    with pytest.raises(ShapeError, match="does not fit"):
        score(target, target[:-1])
    with pytest.raises(ShapeError, match="complex"):
        score(target + 0j, target + 0j)


def test_silent_estimate() -> None:
    target = torch.from_numpy(_speechlike(np.random.default_rng(2)))
    silence = torch.zeros_like(target)
    assert float(si_sdr_db(silence, target)) == -math.inf
    assert float(snr_db(silence, target)) == 0.0
    assert math.isnan(float(sdr_db(silence, target)))


@pytest.mark.parametrize("score", [si_sdr_db, snr_db, sdr_db])
def test_one_undefined_item_leaves_the_rest_of_a_batch_alone(score) -> None:  # type: ignore[no-untyped-def]
    estimate, target = _case(0)
    estimates = torch.stack([estimate, estimate, target]).view(3, 1, -1)
    targets = torch.stack([target, torch.zeros_like(target), target]).view(3, 1, -1)
    scores = score(estimates, targets)
    assert scores.shape == (3, 1)
    torch.testing.assert_close(scores[0, 0], score(estimate, target))
    assert math.isnan(float(scores[1, 0]))
    assert float(scores[2, 0]) == math.inf


@pytest.mark.parametrize("score", [si_sdr_db, snr_db, sdr_db])
@pytest.mark.parametrize("scale", [1e-30, 1e-7, 1e4])
def test_the_common_level_does_not_count(score, scale: float) -> None:  # type: ignore[no-untyped-def]
    estimate, target = _case(0)
    torch.testing.assert_close(score(estimate * scale, target * scale), score(estimate, target))


def test_narrow_band_target_has_an_sdr() -> None:
    """Delayed copies of a sinusoid are linearly dependent: two of 512 taps would do."""
    tone = torch.sin(0.1 * torch.arange(16000, dtype=torch.float64))
    noise = torch.randn(16000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert 30 < float(sdr_db(tone + 0.01 * noise, tone)) < 40


@pytest.mark.parametrize("n_samples", [1, 2, 300])
def test_shorter_than_the_filter(n_samples: int) -> None:
    generator = torch.Generator().manual_seed(0)
    estimate, target = torch.randn(2, n_samples, generator=generator, dtype=torch.float64)
    assert not math.isnan(float(sdr_db(estimate, target)))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    gain=st.floats(1e-3, 1e3),
    sign=st.sampled_from([-1.0, 1.0]),
    level_db=st.floats(-20, 40),
)
def test_si_sdr_ignores_gain_and_sign_and_falls_with_noise(
    seed: int, gain: float, sign: float, level_db: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    target, noise = torch.randn(2, 1000, generator=generator, dtype=torch.float64)
    quiet = target + noise * 10 ** (-level_db / 20)
    loud = target + noise * 10 ** (-(level_db - 1) / 20)
    torch.testing.assert_close(si_sdr_db(quiet * gain * sign, target), si_sdr_db(quiet, target))
    torch.testing.assert_close(si_sdr_db(quiet, target * gain), si_sdr_db(quiet, target))
    assert float(snr_db(quiet, target)) - float(snr_db(loud, target)) == pytest.approx(1.0, abs=1e-6)
    # Over orthogonal noise SI-SDR and SNR agree; over any noise SI-SDR is at least the SNR of the best gain.
    assert float(si_sdr_db(quiet, target)) > float(si_sdr_db(loud, target))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16), gain=st.floats(1e-2, 1e2))
def test_sdr_ignores_gain_and_is_at_least_si_sdr(seed: int, gain: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    target, noise = torch.randn(2, 2000, generator=generator, dtype=torch.float64)
    estimate = target + noise
    torch.testing.assert_close(sdr_db(estimate * gain, target), sdr_db(estimate, target))
    assert float(sdr_db(estimate, target)) >= float(si_sdr_db(estimate, target))


def test_attenuation() -> None:
    mixture = torch.from_numpy(_speechlike(np.random.default_rng(3)))
    assert float(attenuation_db(0.1 * mixture, mixture)) == pytest.approx(20.0)
    assert float(attenuation_db(2.0 * mixture, mixture)) == pytest.approx(-6.0206, abs=1e-4)
    assert float(attenuation_db(0.0 * mixture, mixture)) == math.inf
    assert math.isnan(float(attenuation_db(mixture, 0.0 * mixture)))
