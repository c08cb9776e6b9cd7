"""STOI and ESTOI: how much of a target's short-time envelopes an estimate keeps.

Frames, bands and resampling are those of the authors' program, as the package `pystoi` has them; scores agree
with that package to rounding. Both scores rest on the same envelopes in third-octave bands, which are kept for
the pair that was seen last: an evaluation asks for one score after the other, and for one estimate of a target
after the other.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import resample_poly
from torch import Tensor

from audiocx.metrics.perception import Score, silence, undefined, waveforms

RATE = 10000
"""Sample rate of the analysis in Hz."""
FRAME = 256
HOP = 128
N_FFT = 512
N_BANDS = 15
LOWEST_BAND_HZ = 150.0
"""Centre of the lowest third-octave band."""
SEGMENT = 30
"""Frames, 384 ms, over which envelopes are compared."""
DYNAMIC_RANGE_DB = 40.0
"""Frames of the target that lie further below its loudest are left out."""
LARGEST_DISTORTION = 10.0 ** (15.0 / 20.0)
"""The estimate's envelope is cut where its error would be more than 15 dB above the target's (Taal, eq. 3)."""

Array = NDArray[np.float64]

_WINDOW = np.hanning(FRAME + 2)[1:-1]


@lru_cache(maxsize=8)
def _resampling_filter(sample_rate: int) -> Array:
    """Octave's anti-aliasing filter: a Kaiser window for 60 dB on a sinc, of unit sum."""
    divisor = math.gcd(RATE, sample_rate)
    up, down = RATE // divisor, sample_rate // divisor
    cutoff = 1.0 / (2 * max(up, down))
    half = math.ceil((60.0 - 8.0) / (28.714 * cutoff / 10))
    time = np.arange(-half, half + 1)
    taps = np.kaiser(2 * half + 1, 0.1102 * (60.0 - 8.7)) * np.sinc(2 * cutoff * time)
    return np.asarray(taps / taps.sum())


@lru_cache(maxsize=1)
def _band_matrix() -> Array:
    """Sum of the bins of every band (band, frequency); edges on the nearest bins."""
    frequencies = np.linspace(0, RATE, N_FFT + 1)[: N_FFT // 2 + 1]
    matrix = np.zeros((N_BANDS, len(frequencies)))
    for band in range(N_BANDS):
        edges = LOWEST_BAND_HZ * 2.0 ** ((2 * band + np.array([-1, 1])) / 6)
        low, high = np.abs(frequencies[None, :] - edges[:, None]).argmin(-1)
        matrix[band, low:high] = 1.0
    return matrix


def _frames(signals: Array) -> Array:
    """Windowed frames (signal, frame, sample); the last one ends before the signal does."""
    n_frames = max(-(-(signals.shape[-1] - FRAME) // HOP), 0)
    if n_frames == 0:
        return np.zeros((len(signals), 0, FRAME))
    views = np.lib.stride_tricks.sliding_window_view(signals, FRAME, axis=-1)
    return np.asarray(views[:, ::HOP][:, :n_frames] * _WINDOW)


def _without_pauses(signals: Array) -> Array:
    """Leave out the frames in which the first signal pauses, and join the others."""
    frames = _frames(signals)
    if frames.shape[1] == 0:
        return signals[:, :0]
    level = 20.0 * np.log10(np.linalg.norm(frames[0], axis=-1) + np.finfo(float).eps)
    kept = frames[:, level > level.max() - DYNAMIC_RANGE_DB]
    joined = np.zeros((len(signals), kept.shape[1] + 1, HOP))
    joined[:, :-1] += kept[..., :HOP]
    joined[:, 1:] += kept[..., HOP:]
    return joined.reshape(len(signals), -1)


@lru_cache(maxsize=2)
def _resampled(samples: bytes, sample_rate: int) -> Array:
    """Float64 samples at 10 kHz, of peak one; kept for the next estimate of the same target."""
    signal = np.frombuffer(samples)
    # The scores do not depend on levels, but the smallest number that counts does.
    signal = signal / np.abs(signal).max()
    if sample_rate == RATE:
        return signal
    divisor = math.gcd(RATE, sample_rate)
    taps = _resampling_filter(sample_rate)
    return np.asarray(resample_poly(signal, RATE // divisor, sample_rate // divisor, window=taps))


@lru_cache(maxsize=1)
def _envelopes(estimate: bytes, target: bytes, sample_rate: int) -> Array:
    """Envelopes of target and estimate in third-octave bands (2, band, frame), from float64 samples."""
    signals = np.stack([_resampled(target, sample_rate), _resampled(estimate, sample_rate)])
    spectra = rfft(_frames(_without_pauses(signals)), n=N_FFT)
    power = np.square(spectra.real) + np.square(spectra.imag)
    return np.sqrt(_band_matrix() @ power.swapaxes(-1, -2))


def _segments(estimate: Tensor, target: Tensor, sample_rate: int) -> tuple[Array, Array] | Score:
    """Segments (band, segment, frame) of target and estimate, or why there are none."""
    degraded, reference = waveforms(estimate, target)
    if reason := silence(degraded, reference):
        return undefined(reason)
    envelopes = _envelopes(degraded.tobytes(), reference.tobytes(), sample_rate)
    if envelopes.shape[-1] < SEGMENT:
        return undefined("fewer than 30 active frames (384 ms) for STOI")
    first, second = np.lib.stride_tricks.sliding_window_view(envelopes, SEGMENT, axis=-1)
    return first, second


def _normalised(values: Array, axis: int) -> Array:
    """Zero mean and unit norm along an axis; what does not vary becomes zero."""
    centred = values - values.mean(axis, keepdims=True)
    norm = np.linalg.norm(centred, axis=axis, keepdims=True)
    # Rounding apart: a mean of equal numbers need not be that number.
    varies = norm > 1e-13 * np.abs(values).max(axis, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=varies)


def stoi(estimate: Tensor, target: Tensor, *, sample_rate: int) -> Score:
    """Short-time objective intelligibility, up to 1.

    Taal, Hendriks, Heusdens, Jensen 2011, "An algorithm for intelligibility prediction of time-frequency
    weighted noisy speech", eq. 1-6.

    Args:
        estimate: real waveform (sample,).
        target: real waveform, same shape.
        sample_rate: of both, in Hz; the analysis is at 10 kHz.

    Returns:
        The score; NaN with a reason for silence, and below 30 active frames.

    Raises:
        ShapeError: the shapes differ or there is more than one axis.
    """
    segments = _segments(estimate, target, sample_rate)
    if isinstance(segments, Score):
        return segments
    clean, other = segments
    norm = np.linalg.norm(other, axis=-1, keepdims=True)
    gain = np.linalg.norm(clean, axis=-1, keepdims=True) / (norm + np.finfo(float).eps)
    other = np.minimum(gain * other, clean * (1.0 + LARGEST_DISTORTION))
    return Score(float((_normalised(clean, -1) * _normalised(other, -1)).sum(-1).mean()))


def estoi(estimate: Tensor, target: Tensor, *, sample_rate: int) -> Score:
    """Extended STOI, up to 1: also punishes what modulated noise takes away.

    Jensen, Taal 2016, "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers", eq. 4-8. Arguments, result and errors as for `stoi`.
    """
    segments = _segments(estimate, target, sample_rate)
    if isinstance(segments, Score):
        return segments
    clean, other = (_normalised(_normalised(part, -1), 0) for part in segments)
    return Score(float((clean * other).sum() / SEGMENT / clean.shape[1]))
