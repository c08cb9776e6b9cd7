"""Errors of the phase of spectra, in radians, lower is better."""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.errors import ShapeError, describe
from audiocx.signal.checks import check_complex
from audiocx.signal.projections import check_pair
from audiocx.signal.stft import STFT


def weighted_phase_error_rad(estimate_stft: Tensor, target_stft: Tensor) -> Tensor:
    """Mean distance of the phases, each bin weighted by the target's magnitude.

    The weights keep the phase of bins with little energy, which is noise, from counting. Unrelated phases
    give pi / 2 on average. Bins where the estimate is zero have the phase 0, as `angle` gives it.

    Args:
        estimate_stft: complex STFT (*batch, frequency, frame).
        target_stft: complex STFT, same shape.

    Returns:
        (*batch,) in radians, in [0, pi]. Silent target: NaN.

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
    weight = target_stft.abs()
    # The angle of the product wraps by itself; the one of a product of zeros is 0.
    distance = torch.angle(estimate_stft * target_stft.conj()).abs()
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
