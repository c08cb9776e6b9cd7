"""Waveforms in 16 bits: exactly where they are whole steps already, else with a step of the file's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXACT_STEP = 1 / 32768
"""Value of a step of a 16-bit file."""


def is_exact(waveform: NDArray[np.float32]) -> bool:
    """Tell whether all samples are whole multiples of `EXACT_STEP` that 16 bits hold."""
    steps = waveform * np.float32(1 / EXACT_STEP)
    return bool((steps == np.rint(steps)).all() and steps.min() >= -32768 and steps.max() <= 32767)


def step_of(peak: float, *, exact: bool) -> float:
    """Return the value of a step: `EXACT_STEP` for what is exact in it, else the peak divided by 32767."""
    return EXACT_STEP if exact else peak / 32767


def in_steps(waveform: NDArray[np.float32], step: float) -> NDArray[np.int16]:
    """Round a waveform to steps; a whole file and its blocks give the same."""
    return np.rint(waveform * np.float32(1 / step)).astype(np.int16)


def hashed_bytes(steps: NDArray[np.int16]) -> bytes:
    """Bytes of steps (channel, sample), sample by sample, so that hashes of blocks go on where one ends."""
    return steps.tobytes(order="F")
