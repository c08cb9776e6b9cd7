"""What an estimate has in common with its target: the scaled target, or the target through a short filter.

SI-SDR forgives a gain and projects on the target itself; BSS Eval v3 forgives a filter of 512 taps and
projects on the target delayed by 0 to 511 samples (causal delays only: an estimate that comes early is not
forgiven). Everything is computed in float64. Waveforms are (*batch, sample).
"""

from __future__ import annotations

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from audiocx.errors import ShapeError, describe

N_TAPS = 512
"""Length of BSS Eval's distortion filter, in samples."""

LOADING = 1e-12
"""Added to the diagonal, relative to the target's energy, where its delayed copies are dependent."""


def check_pair(estimate: Tensor, target: Tensor) -> None:
    """Check that estimate and target are real waveforms (*batch, sample) of one shape.

    Raises:
        ShapeError: the shapes differ, there is no sample, or a tensor is complex.
    """
    if estimate.shape != target.shape or estimate.dim() == 0 or estimate.shape[-1] == 0:
        raise ShapeError(
            describe(
                "`estimate` does not fit `target`",
                expected=f"two waveforms (*batch, sample) of one shape, target {tuple(target.shape)}",
                got=tuple(estimate.shape),
            )
        )
    if estimate.is_complex() or target.is_complex():
        raise ShapeError(describe("`estimate` or `target` is complex", expected="real waveforms"))


def scaled_target(estimate: Tensor, target: Tensor) -> Tensor:
    """Project the estimate on the target: the target with the gain that fits best.

    Le Roux, Wisdom, Erdogan, Hershey 2019, "SDR: half-baked or well done?", eq. 4; means are left in.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape.

    Returns:
        (*batch, sample), float64; NaN where the target is silent.

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> scaled_target(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 0.0]))
        tensor([2., 0.], dtype=torch.float64)
    """
    check_pair(estimate, target)
    estimate, target = estimate.double(), target.double()
    gain = (estimate * target).sum(-1, keepdim=True) / target.square().sum(-1, keepdim=True)
    return gain * target


def _correlations(estimate: Tensor, target: Tensor, n_taps: int) -> tuple[Tensor, Tensor]:
    """Autocorrelation of the target and its correlation with the estimate, for delays 0 to n_taps - 1."""
    n_fft = next_fast_len(target.shape[-1] + n_taps - 1, real=True)
    target_spectrum = torch.fft.rfft(target, n=n_fft)
    estimate_spectrum = torch.fft.rfft(estimate, n=n_fft)
    power = target_spectrum.real.square() + target_spectrum.imag.square()
    auto = torch.fft.irfft(power.to(target_spectrum.dtype), n=n_fft)[..., :n_taps]
    cross = torch.fft.irfft(target_spectrum.conj() * estimate_spectrum, n=n_fft)[..., :n_taps]
    return auto, cross


def _solve_toeplitz(column: Tensor, right: Tensor) -> Tensor:
    """Solve R h = b for symmetric Toeplitz R with the given first column; all (*batch, tap)."""
    delays = torch.arange(column.shape[-1], device=column.device)
    matrix = column[..., (delays[:, None] - delays[None, :]).abs()]  # (*batch, tap, tap)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed.any()):
        # A target with empty bands has nearly dependent delays: load the diagonal of those items alone.
        loading = column[..., :1] * LOADING * (failed > 0).unsqueeze(-1)
        while bool(failed.any()):
            factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag_embed(loading.expand_as(column)))
            loading = torch.where((failed > 0).unsqueeze(-1), loading.clamp_min(1e-300) * 10, loading)
    return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)


def distortion_filter(estimate: Tensor, target: Tensor, n_taps: int = N_TAPS) -> Tensor:
    """Find the causal filter that brings the target nearest to the estimate, in least squares.

    Vincent, Gribonval, Fevotte 2006, "Performance measurement in blind audio source separation" (BSS Eval
    v3). The normal equations are Toeplitz: correlations by FFT, one Cholesky solution an item.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape, not silent.
        n_taps: length of the filter.

    Returns:
        (*batch, tap), float64.

    Raises:
        ShapeError: the shapes differ.
    """
    check_pair(estimate, target)
    auto, cross = _correlations(estimate.double(), target.double(), n_taps)
    return _solve_toeplitz(auto, cross)


def filtered_fraction(estimate: Tensor, target: Tensor, n_taps: int = N_TAPS) -> Tensor:
    """Measure which part of the estimate's energy is the target through a filter of `n_taps`.

    Args:
        estimate: real waveform (*batch, sample).
        target: real waveform, same shape.
        n_taps: length of the filter.

    Returns:
        (*batch,) in [0, 1], float64; NaN where either is silent.

    Raises:
        ShapeError: the shapes differ.
    """
    check_pair(estimate, target)
    estimate, target = _unit_energy(estimate.double()), _unit_energy(target.double())
    silent = ~((estimate != 0).any(-1) & (target != 0).any(-1))
    # A stand-in keeps the batched solution regular; its result is replaced below.
    impulse = torch.zeros_like(target)
    impulse[..., 0] = 1.0
    target = torch.where(silent.unsqueeze(-1), impulse, target)
    auto, cross = _correlations(estimate, target, n_taps)
    fraction = (cross * _solve_toeplitz(auto, cross)).sum(-1).clamp(0.0, 1.0)
    return torch.where(silent, torch.full_like(fraction, torch.nan), fraction)


def _unit_energy(waveform: Tensor) -> Tensor:
    """Scale to unit energy by way of the peak, so that no square underflows; silence stays silence."""
    peak = waveform.abs().amax(-1, keepdim=True)
    scaled = waveform / torch.where(peak > 0, peak, torch.ones_like(peak))
    norm = scaled.norm(dim=-1, keepdim=True)
    return scaled / torch.where(norm > 0, norm, torch.ones_like(norm))
