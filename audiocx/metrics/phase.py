"""Errors of the phase of spectra, in radians, lower is better."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from audiocx.errors import ShapeError, describe
from audiocx.signal.checks import check_complex
from audiocx.signal.projections import check_pair
from audiocx.signal.stft import STFT

UNRELATED_RAD = math.pi / 2
"""Mean distance of phases that have nothing to do with each other."""


def _phase_difference(estimate_stft: Tensor, target_stft: Tensor) -> tuple[Tensor, Tensor]:
    """Phase of the estimate less that of the target, wrapped, and where the estimate has one.

    Raises:
        ShapeError: the shapes differ, or a spectrum is real.
    """
    check_complex(estimate_stft, name="estimate_stft")
    check_complex(target_stft, name="target_stft")
    if estimate_stft.shape != target_stft.shape:
        raise ShapeError(
            describe(
                "`estimate_stft` does not fit `target_stft`",
                expected=tuple(target_stft.shape),
                got=tuple(estimate_stft.shape),
            )
        )
    # The angle of the product wraps by itself, and takes half the time of two angles.
    return torch.angle(estimate_stft * target_stft.conj()), estimate_stft != 0


def wrapped(phase: Tensor) -> Tensor:
    """Take whole turns away from a phase: to [-pi, pi].

    Example:
        >>> wrapped(torch.tensor([3.0, -2 * math.pi])).tolist()
        [3.0, 0.0]
    """
    return phase - 2 * math.pi * torch.round(phase / (2 * math.pi))


def weighted_phase_error_rad(estimate_stft: Tensor, target_stft: Tensor) -> Tensor:
    """Mean distance of the phases, each bin weighted by the target's magnitude.

    The weights keep the phase of bins with little energy, which is noise, from counting. Unrelated phases
    give pi / 2 on average, and so much counts a bin that the estimate leaves empty.

    Args:
        estimate_stft: complex STFT (*batch, frequency, frame).
        target_stft: complex STFT, same shape.

    Returns:
        (*batch,) in radians, in [0, pi]. Silent target: NaN.

    Raises:
        ShapeError: the shapes differ, or a spectrum is real.
    """
    difference, has_phase = _phase_difference(estimate_stft, target_stft)
    distance = torch.where(has_phase, difference.abs(), UNRELATED_RAD)
    weight = target_stft.abs()
    return (weight * distance).sum((-2, -1)) / weight.sum((-2, -1))


def weighted_group_delay_error_rad(
    estimate_stft: Tensor, target_stft: Tensor, *, weighted: bool = True
) -> Tensor:
    """Mean distance of the phases' steps from one frequency to the next, which is group delay.

    Group delay in samples is a step of the phase times -n_fft / 2 pi, so an error of e radians is one of
    e n_fft / 2 pi samples; radians are kept, since a step wraps. A phase that all frequencies of a frame share
    does not count; a delay by d samples costs 2 pi d / n_fft; unrelated noises have about 1.3, since neighbouring
    bins share a window. Steps from or to a bin that the estimate leaves empty count pi / 2. Ai, Ling 2023 ("Neural
    speech phase prediction based on parallel estimation architecture and anti-wrapping losses"), there unweighted.

    Args:
        estimate_stft: complex STFT (*batch, frequency, frame), at least two frequencies.
        target_stft: complex STFT, same shape.
        weighted: by the geometric mean of the target's magnitudes at both frequencies; else all steps alike.

    Returns:
        (*batch,) in radians, in [0, pi]. Silent target: NaN, or 0 unweighted.

    Raises:
        ShapeError: the shapes differ, or a spectrum is real.
    """
    difference, has_phase = _phase_difference(estimate_stft, target_stft)
    step = wrapped(difference.diff(dim=-2)).abs()
    distance = torch.where(has_phase[..., 1:, :] & has_phase[..., :-1, :], step, UNRELATED_RAD)
    magnitude = target_stft.abs()
    weight = magnitude[..., 1:, :].sqrt() * magnitude[..., :-1, :].sqrt()
    if not weighted:
        weight = torch.ones_like(weight)
    return (weight * distance).sum((-2, -1)) / weight.sum((-2, -1))


def phase_error_rad(estimate: Tensor, target: Tensor, *, stft: STFT) -> Tensor:
    """Magnitude-weighted phase error of a waveform, on the spectra of `stft`.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape.
        stft: the transform whose phases are compared; the score depends on its window and hop.

    Returns:
        (*batch,) in radians, in [0, pi], float64. Perfect estimate: 0. Silent target: NaN.

    Raises:
        ShapeError: the shapes differ.
    """
    check_pair(estimate, target)
    return weighted_phase_error_rad(stft(estimate.double()), stft(target.double()))


def group_delay_error_rad(estimate: Tensor, target: Tensor, *, stft: STFT) -> Tensor:
    """Magnitude-weighted error of the group delay of a waveform, on the spectra of `stft`.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape.
        stft: the transform whose phases are compared; the score depends on its window and length.

    Returns:
        (*batch,) in radians from one frequency to the next, in [0, pi], float64. Perfect estimate: 0. Silent
        target: NaN.

    Raises:
        ShapeError: the shapes differ.
    """
    check_pair(estimate, target)
    return weighted_group_delay_error_rad(stft(estimate.double()), stft(target.double()))
