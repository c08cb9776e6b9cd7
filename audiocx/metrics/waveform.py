"""Ratios of energies of waveforms, in dB, higher is better: (*batch, sample) to (*batch,)."""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.signal.projections import N_TAPS, check_pair, filtered_fraction, scaled_target

SMALLEST_RESIDUAL = 1e-12
"""Share of an estimate's energy below which BSS Eval's residual is rounding: a perfect estimate."""


def _energy(waveform: Tensor) -> Tensor:
    return waveform.square().sum(-1)


def _peak_normalised(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Divide both by the target's peak, in float64, so that very small signals keep their ratio."""
    estimate, target = estimate.double(), target.double()
    peak = target.abs().amax(-1, keepdim=True)
    peak = torch.where(peak > 0, peak, torch.ones_like(peak))
    return estimate / peak, target / peak


def _ratio_db(wanted: Tensor, unwanted: Tensor, defined: Tensor) -> Tensor:
    score = 10.0 * torch.log10(wanted / unwanted)
    return torch.where(defined, score, torch.full_like(score, torch.nan))


def snr_db(estimate: Tensor, target: Tensor) -> Tensor:
    """Signal-to-noise ratio: energy of the target over the energy of the error; the level counts.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape.

    Returns:
        (*batch,) in dB, float64. Perfect estimate: +inf. Silent estimate: 0. Silent target: NaN.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> snr_db(torch.tensor([2.5, 0.0, 2.0, 8.0]), torch.tensor([3.0, -0.5, 2.0, 7.0]))
        tensor(16.1805, dtype=torch.float64)
    """
    check_pair(estimate, target)
    estimate, target = _peak_normalised(estimate, target)
    energy = _energy(target)
    return _ratio_db(energy, _energy(estimate - target), energy > 0)


def si_sdr_db(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio; means are not removed.

    Not BSS Eval's SDR: no distortion filter, so a delay costs all. Not SI-SNR either, which removes the means
    first. Le Roux et al. 2019, eq. 3-4.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape.

    Returns:
        (*batch,) in dB, float64. Perfect estimate: +inf. Silent estimate: -inf. Silent target: NaN.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> si_sdr_db(torch.tensor([2.5, 0.0, 2.0, 8.0]), torch.tensor([3.0, -0.5, 2.0, 7.0]))
        tensor(18.4030, dtype=torch.float64)
    """
    check_pair(estimate, target)
    estimate, target = _peak_normalised(estimate, target)
    wanted = scaled_target(estimate, target)
    score = _ratio_db(_energy(wanted), _energy(estimate - wanted), _energy(target) > 0)
    silent = (_energy(estimate) == 0) & (_energy(target) > 0)
    return torch.where(silent, torch.full_like(score, -torch.inf), score)


def sdr_db(estimate: Tensor, target: Tensor, *, n_taps: int = N_TAPS) -> Tensor:
    """BSS Eval v3's signal-to-distortion ratio: the target may have gone through a causal filter of `n_taps`.

    For one target at a time, which is what BSS Eval gives as SDR for any number of sources. Vincent et al.
    2006.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape.
        n_taps: length of the forgiven filter in samples.

    Returns:
        (*batch,) in dB, float64. Perfect estimate: +inf. Silent estimate or target: NaN.

    Raises:
        ShapeError: the shapes differ.
    """
    fraction = filtered_fraction(estimate, target, n_taps)
    residual = 1.0 - fraction
    residual = torch.where(residual < SMALLEST_RESIDUAL, torch.zeros_like(residual), residual)
    return _ratio_db(fraction, residual, ~fraction.isnan())


def attenuation_db(estimate: Tensor, mixture: Tensor) -> Tensor:
    """How far the estimate lies below the mixture: the score of an item whose target is silent.

    Args:
        estimate: real waveform (*batch, sample).
        mixture: real waveform, same shape.

    Returns:
        (*batch,) in dB, float64, positive where the estimate is quieter. Silent estimate: +inf. Silent
        mixture: NaN.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> attenuation_db(torch.tensor([0.1, -0.1]), torch.tensor([1.0, -1.0]))
        tensor(20.0000, dtype=torch.float64)
    """
    check_pair(estimate, mixture)
    estimate, mixture = _peak_normalised(estimate, mixture)
    return _ratio_db(_energy(mixture), _energy(estimate), _energy(mixture) > 0)
