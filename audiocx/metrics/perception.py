"""Scores that predict listeners: what they share, and PESQ, through the package of the extra `metrics`.

Each takes one waveform (sample,) and returns a `Score`: a number, or NaN with the reason. A missing package
is such a reason, so that an evaluation without it still gives everything else.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from torch import Tensor

from audiocx.errors import missing_extra
from audiocx.signal.checks import check_shape
from audiocx.signal.projections import check_pair

PESQ_RATE = 16000
"""Sample rate of wideband PESQ (ITU-T P.862.2)."""


class Score(NamedTuple):
    """One score, and why it is NaN where it is."""

    value: float
    reason: str = ""


def undefined(reason: str) -> Score:
    """Return NaN with its reason."""
    return Score(math.nan, reason)


def waveforms(estimate: Tensor, target: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Check two waveforms (sample,) and give their samples.

    Raises:
        ShapeError: the shapes differ or there is more than one axis.
    """
    check_shape(estimate, "sample", name="estimate")
    check_pair(estimate, target)
    return estimate.detach().cpu().double().numpy(), target.detach().cpu().double().numpy()


def silence(estimate: NDArray[np.float64], target: NDArray[np.float64]) -> str:
    """Say which of two waveforms is silent; empty where neither is."""
    if not target.any():
        return "silent target"
    return "" if estimate.any() else "silent estimate"


def pesq_wb(estimate: Tensor, target: Tensor, *, sample_rate: int) -> Score:
    """Wideband PESQ (ITU-T P.862.2), about 1.04 to 4.64, through the package `pesq`.

    Waveforms of another rate are resampled to 16 kHz (soxr, VHQ); one below that has no content up to 8 kHz,
    and scores are then not comparable with those of wideband recordings.

    Args:
        estimate: real waveform (sample,).
        target: real waveform, same shape.
        sample_rate: of both, in Hz.

    Returns:
        The score; NaN with a reason without speech in the target, below a quarter of a second, for a silent
        estimate, and without the package.

    Raises:
        ShapeError: the shapes differ or there is more than one axis.
    """
    degraded, reference = waveforms(estimate, target)
    try:
        import pesq
    except ImportError:
        return undefined(str(missing_extra("pesq", "metrics", "PESQ")))
    if reason := silence(degraded, reference):
        return undefined(reason)
    if sample_rate != PESQ_RATE:
        degraded = soxr.resample(degraded, sample_rate, PESQ_RATE, quality="VHQ")
        reference = soxr.resample(reference, sample_rate, PESQ_RATE, quality="VHQ")
    try:
        value = float(pesq.pesq(PESQ_RATE, reference, degraded, "wb"))
    except pesq.NoUtterancesError:
        return undefined("PESQ found no speech in the target")
    except pesq.BufferTooShortError:
        return undefined("shorter than PESQ's quarter of a second")
    except (pesq.PesqError, RuntimeError, ValueError) as error:
        return undefined(f"PESQ: {error}")
    return Score(value) if math.isfinite(value) else undefined("PESQ gave no finite score")
