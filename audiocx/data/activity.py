"""In which frames of 10 ms somebody speaks or something is heard, and where pieces with enough of it begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiocx.signal.levels import ACTIVE_RANGE_DB

Waveform = NDArray[np.float32]

FRAME_SECONDS = 0.01
"""Length of the frames in which activity is decided."""

ACTIVE_SHARE = 0.4
"""Least share of active frames in a drawn piece of speech, where its recording has such a piece."""

SILENT_POWER = 1e-10
"""Mean power below which a frame is silent whatever the rest of the recording is: -100 dBFS."""


def frame_powers(waveform: Waveform, sample_rate: int) -> NDArray[np.float64]:
    """Mean power of consecutive frames of 10 ms (frame,); a last part frame counts by its own length."""
    length = max(1, round(FRAME_SECONDS * sample_rate))
    squares = np.square(waveform, dtype=np.float64)
    starts = np.arange(0, waveform.shape[-1], length)
    sizes = np.minimum(length, waveform.shape[-1] - starts)
    return np.add.reduceat(squares, starts) / sizes


def active_frames(powers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which frames are within 40 dB of the loudest one and not silent (frame,)."""
    threshold = max(float(powers.max(initial=0.0)) * 10 ** (-ACTIVE_RANGE_DB / 10), SILENT_POWER)
    return np.asarray(powers >= threshold)


def active_power(waveform: Waveform, sample_rate: int) -> float:
    """Mean power over the active frames of a waveform (sample,); 0 for silence."""
    powers = frame_powers(waveform, sample_rate)
    active = active_frames(powers)
    return float(powers[active].mean()) if active.any() else 0.0


def spoken_starts(counts: NDArray[np.int64], n_frames: int, share: float = ACTIVE_SHARE) -> NDArray[np.int64]:
    """Number the frames at which a piece may begin so that somebody speaks in it; at least one.

    Those from which on enough frames are active; where there is none, those that come nearest.

    Args:
        counts: how many frames before each one are active (frame + 1,), beginning with 0; not all silent.
        n_frames: length of the piece; cut down to that of the recording.
        share: least share of active frames.
    """
    length = max(1, min(n_frames, len(counts) - 1))
    active = counts[length:] - counts[:-length]
    return np.flatnonzero(active >= max(1, min(share * length, int(active.max()))))


def counts_before(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the active frames before each one (frame + 1,); the last number is that of all."""
    return np.concatenate([[0], np.cumsum(active)])
