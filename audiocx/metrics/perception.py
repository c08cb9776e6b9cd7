"""Scores that predict listeners: STOI, ESTOI and PESQ, through the packages of the extra `metrics`.

Each takes one waveform (sample,) and returns a `Score`: a number, or NaN with the reason. A missing package
is such a reason, so that an evaluation without it still gives everything else.
"""

from __future__ import annotations

import importlib
import math
import warnings
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from torch import Tensor

from audiocx.errors import missing_extra
from audiocx.signal.checks import check_shape
from audiocx.signal.projections import check_pair

PESQ_RATE = 16000
"""Sample rate of wideband PESQ (ITU-T P.862.2)."""

STOI_TOO_SHORT = 1e-5
"""What pystoi returns, with a warning, in place of a score when fewer than 30 frames are active."""


class Score(NamedTuple):
    """One score, and why it is NaN where it is."""

    value: float
    reason: str = ""


def undefined(reason: str) -> Score:
    """Return NaN with its reason."""
    return Score(math.nan, reason)


def _package(name: str, purpose: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing_extra(name, "metrics", purpose) from error


def _arrays(estimate: Tensor, target: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    check_shape(estimate, "sample", name="estimate")
    check_pair(estimate, target)
    return estimate.detach().cpu().double().numpy(), target.detach().cpu().double().numpy()


def _silence(estimate: NDArray[np.float64], target: NDArray[np.float64]) -> str:
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
    degraded, reference = _arrays(estimate, target)
    try:
        pesq: Any = _package("pesq", "PESQ")
    except ImportError as error:
        return undefined(str(error))
    if reason := _silence(degraded, reference):
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


def _stoi(estimate: Tensor, target: Tensor, sample_rate: int, extended: bool) -> Score:
    degraded, reference = _arrays(estimate, target)
    try:
        pystoi: Any = _package("pystoi", "STOI")
    except ImportError as error:
        return undefined(str(error))
    if reason := _silence(degraded, reference):
        return undefined(reason)
    too_short = undefined("fewer than 30 active frames (384 ms) for STOI")
    # The scores do not depend on levels, but the package's constants do.
    degraded, reference = degraded / np.abs(degraded).max(), reference / np.abs(reference).max()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value = float(pystoi.stoi(reference, degraded, sample_rate, extended=extended))
    except (ValueError, IndexError):  # less than one frame of 256 samples at 10 kHz
        return too_short
    if value == STOI_TOO_SHORT:
        return too_short
    return Score(value) if math.isfinite(value) else undefined("STOI gave no finite score")


def stoi(estimate: Tensor, target: Tensor, *, sample_rate: int) -> Score:
    """Short-time objective intelligibility (Taal et al. 2011), up to 1, through the package `pystoi`.

    Args:
        estimate: real waveform (sample,).
        target: real waveform, same shape.
        sample_rate: of both, in Hz; the package resamples to its 10 kHz.

    Returns:
        The score; NaN with a reason for silence, below 30 active frames, and without the package.

    Raises:
        ShapeError: the shapes differ or there is more than one axis.
    """
    return _stoi(estimate, target, sample_rate, extended=False)


def estoi(estimate: Tensor, target: Tensor, *, sample_rate: int) -> Score:
    """Extended STOI (Jensen, Taal 2016), up to 1: also punishes what modulated noise takes away.

    Arguments, result and errors as for `stoi`.
    """
    return _stoi(estimate, target, sample_rate, extended=True)
