"""Pieces that generated voices and noises are made of: shaped noise, slow curves, decaying modes, tones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from audiocx.data.activity import Waveform


@lru_cache(maxsize=4)
def _log_frequencies(n_frequencies: int, sample_rate: int) -> NDArray[np.float64]:
    return np.log(np.maximum(np.linspace(0, sample_rate / 2, n_frequencies), 10.0))


def _curve_over_frequency(
    n_frequencies: int, sample_rate: int, knots_hz: Sequence[float], gains_db: ArrayLike
) -> Waveform:
    """Interpolate gains over the logarithm of frequency; returns factors (frequency,)."""
    gains = np.interp(
        _log_frequencies(n_frequencies, sample_rate), np.log(np.maximum(knots_hz, 10.0)), np.asarray(gains_db)
    )
    return (10 ** (gains / 20)).astype(np.float32)


def shape_spectrum(
    waveform: Waveform, sample_rate: int, knots_hz: Sequence[float], gains_db: ArrayLike
) -> Waveform:
    """Filter a waveform (sample,) with gains in dB given at some frequencies, zero phase.

    The filter is applied to the whole waveform at once, with a tail of zeros long enough for its response.
    """
    n_samples = waveform.shape[-1]
    n_fft = fft.next_fast_len(n_samples + sample_rate // 8, real=True)
    spectrum = fft.rfft(waveform.astype(np.float32), n_fft)
    spectrum *= _curve_over_frequency(spectrum.shape[-1], sample_rate, knots_hz, gains_db)
    return fft.irfft(spectrum, n_fft)[:n_samples].astype(np.float32)


def shaped_noise(
    random: np.random.Generator,
    n_samples: int,
    sample_rate: int,
    knots_hz: Sequence[float],
    gains_db: ArrayLike,
) -> Waveform:
    """Gaussian noise (sample,) with a spectrum given in dB at some frequencies."""
    white = random.standard_normal(n_samples, dtype=np.float32)
    return shape_spectrum(white, sample_rate, knots_hz, gains_db)


def colour(
    waveform: Waveform, random: np.random.Generator, sample_rate: int, *, spread_db: float
) -> Waveform:
    """Filter with a random smooth response, as another microphone or place would."""
    knots_hz = [60, 200, 500, 1200, 3000, 7000]
    return shape_spectrum(
        waveform, sample_rate, knots_hz, random.uniform(-spread_db, spread_db, len(knots_hz))
    )


def in_a_room(waveform: Waveform, random: np.random.Generator, sample_rate: int) -> Waveform:
    """Add the reverberation of a small room: noise that falls by 60 dB in 0.15 to 0.6 s."""
    rt60_seconds = random.uniform(0.15, 0.6)
    n_response = int(rt60_seconds * sample_rate)
    time = np.arange(n_response) / sample_rate
    tail = random.standard_normal(n_response) * 10 ** (-3 * time / rt60_seconds)
    tail[: int(0.002 * sample_rate)] = 0
    response = shape_spectrum(tail.astype(np.float32), sample_rate, [100, 1000, 4000, 8000], [-3, 0, -6, -14])
    response *= np.float32(10 ** (random.uniform(-10, 2) / 20) / np.sqrt(np.square(response).sum()))
    response[0] = 1.0
    n_samples = waveform.shape[-1]
    n_fft = fft.next_fast_len(n_samples + n_response, real=True)
    spectrum = fft.rfft(waveform, n_fft) * fft.rfft(response, n_fft)
    return fft.irfft(spectrum, n_fft)[:n_samples].astype(np.float32)


def slow_curve(
    random: np.random.Generator, n_samples: int, sample_rate: int, changes_hz: float, low: float, high: float
) -> Waveform:
    """A smooth random curve (sample,) between two values that turns about `changes_hz` times a second."""
    n_knots = int(np.ceil(n_samples / sample_rate * changes_hz)) + 4
    knots = random.uniform(low, high, n_knots)
    places = np.arange(n_samples) * (changes_hz / sample_rate) + random.uniform(0, 1)
    left = places.astype(np.int64)
    share = places - left
    ease = share * share * (3 - 2 * share)
    return (knots[left] * (1 - ease) + knots[left + 1] * ease).astype(np.float32)


def phase(frequency_hz: Waveform, sample_rate: int) -> np.ndarray:
    """Phase in radians (sample,) of a tone whose frequency varies; float64, since it grows."""
    return np.cumsum(frequency_hz, dtype=np.float64) * (2 * np.pi / sample_rate)


def harmonics(fundamental_phase: np.ndarray, amplitudes: Sequence[float] | np.ndarray) -> Waveform:
    """Sum of harmonics 1, 2, … of a phase (sample,) with given amplitudes.

    The Chebyshev recurrence makes every harmonic with one product instead of a sine.
    """
    first = np.sin(fundamental_phase)
    twice_cosine = 2 * np.cos(fundamental_phase)
    before, current = np.zeros_like(first), first
    total = np.zeros_like(first)
    for amplitude in amplitudes:
        total += amplitude * current
        before, current = current, twice_cosine * current - before
    return total.astype(np.float32)


def decaying_modes(
    random: np.random.Generator,
    sample_rate: int,
    frequencies_hz: Sequence[float] | np.ndarray,
    decay_seconds: Sequence[float] | np.ndarray,
    amplitudes: Sequence[float] | np.ndarray,
) -> Waveform:
    """A struck thing: tones with random phases that die away, long enough for a fall of 60 dB."""
    decay = np.asarray(decay_seconds)
    n_samples = max(8, int(6.9 * float(decay.max()) * sample_rate))
    time = np.arange(n_samples) / sample_rate
    total = np.zeros(n_samples)
    for frequency, seconds, amplitude in zip(frequencies_hz, decay, amplitudes, strict=True):
        if frequency < 0.47 * sample_rate:
            angle = 2 * np.pi * frequency * time + random.uniform(0, 2 * np.pi)
            total += amplitude * np.exp(-time / seconds) * np.sin(angle)
    n_rise = max(1, int(0.0005 * sample_rate))
    total[:n_rise] *= np.linspace(0, 1, n_rise)
    return total.astype(np.float32)


def burst(
    random: np.random.Generator, sample_rate: int, seconds: float, low_hz: float, high_hz: float
) -> Waveform:
    """A short burst of band noise with a quick rise and an exponential fall."""
    n_samples = max(16, int(seconds * sample_rate))
    knots_hz = [low_hz * 0.7, low_hz, high_hz, high_hz * 1.4]
    noise = shaped_noise(random, n_samples, sample_rate, knots_hz, [-40, 0, 0, -40])
    time = np.arange(n_samples) / n_samples
    return (noise * np.minimum(time * 20, 1) * np.exp(-5 * time)).astype(np.float32)


def add_at(total: Waveform, piece: Waveform, start: int, gain: float = 1.0) -> None:
    """Add a piece to a waveform in place, from `start` on; what passes either end is cut off."""
    begin, end = max(0, start), min(total.shape[-1], start + piece.shape[-1])
    if begin < end:
        total[begin:end] += np.float32(gain) * piece[begin - start : end - start]


def event_times(
    random: np.random.Generator, n_samples: int, sample_rate: int, per_second: float, regularity: float = 0.0
) -> list[int]:
    """Start samples of events: at random (regularity 0) to evenly spaced (1), never none.

    Args:
        random: where the choices come from.
        n_samples: length of the waveform.
        sample_rate: in Hz.
        per_second: mean number of events a second.
        regularity: how even their distances are, 0 to 1.
    """
    mean_gap = sample_rate / per_second
    place = random.uniform(0, min(mean_gap, n_samples))
    times = []
    while place < n_samples:
        times.append(int(place))
        place += mean_gap * (regularity + (1 - regularity) * random.exponential()) + 1
    return times


def normalised(waveform: Waveform) -> Waveform:
    """Scale to a root mean square of 1; silence stays."""
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
    return waveform / np.float32(max(level, 1e-9))
