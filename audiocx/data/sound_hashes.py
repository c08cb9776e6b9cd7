"""Hashes of what files sound like, whatever their container: the guard compares them.

Found is the same sound, whole: copied, renamed, or written in another container without loss. Another gain, 16
bits of what was more, or a lossy codec gives other samples: `copies` finds those. A cut, or a sound inside a
mixture, is found by neither: for these the guard has the names that tables give.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocx.audio.files import read
from audiocx.audio.resampling import resample
from audiocx.data.activity import active_frames, frame_powers
from audiocx.data.recording import choose_channel
from audiocx.data.sixteen_bits import hashed_bytes, in_steps, is_exact, step_of


class SampleHash:
    """Hashes samples (channel, sample) at a file's own rate, rounded to 16 bits, piece by piece."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._is_silent = True

    def push(self, piece: NDArray[np.float32]) -> None:
        """Take the next samples."""
        steps = np.clip(np.rint(piece.T * np.float32(32768)), -32768, 32767).astype("<i2")
        self._digest.update(steps.tobytes())
        self._is_silent = self._is_silent and not steps.any()

    def finish(self) -> str:
        """Return the hash; empty for silence, which is nobody's."""
        return "" if self._is_silent else self._digest.hexdigest()


def stored_waveform(path: Path, sample_rate: int, channel: str) -> NDArray[np.float32]:
    """Read a file (channel, sample) as the tables' stores do.

    Args:
        path: of the file.
        sample_rate: of the stores, in Hz.
        channel: which channel the stores keep; all are kept for `random`.

    Raises:
        AudioFileError: it cannot be read.
    """
    waveform, rate = read(path)
    return _stored(waveform, rate, sample_rate, channel)


def _stored(waveform: NDArray[np.float32], rate: int, sample_rate: int, channel: str) -> NDArray[np.float32]:
    chosen = waveform if channel == "random" else choose_channel(waveform, channel, 0)
    return resample(chosen, rate, sample_rate)


def hear(path: Path, sample_rate: int, channel: str) -> tuple[list[str], NDArray[np.float64]]:
    """Hash a file as the tables' stores hash theirs, and at its own rate; none for silence.

    Args:
        path: of the file.
        sample_rate: of the stores, in Hz.
        channel: which channel the stores keep.

    Returns:
        The hashes, and the powers of its frames (frame,).

    Raises:
        AudioFileError: it cannot be read.
    """
    waveform, rate = read(path)
    own = SampleHash()
    own.push(waveform)
    stored = _stored(waveform, rate, sample_rate, channel)
    powers = np.max([frame_powers(each, sample_rate) for each in stored], axis=0)
    if not active_frames(powers).any():
        return [], powers
    steps = in_steps(stored, step_of(float(np.abs(stored).max()), exact=is_exact(stored)))
    in_store = hashlib.sha256(hashed_bytes(steps)).hexdigest()
    return [found for found in (in_store, own.finish()) if found], powers
