"""What an estimate has in common with its target: the scaled target, or the target through a short filter.

SI-SDR forgives a gain and projects on the target itself; BSS Eval v3 forgives a filter of 512 taps and
projects on the target delayed by 0 to 511 samples (causal delays only: an estimate that comes early is not
forgiven). Everything is computed in float64. Waveforms are (*batch, sample).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import LinAlgError, cho_factor, cho_solve, matmul_toeplitz, solve_toeplitz, toeplitz
from torch import Tensor

from audiocx.errors import ShapeError, describe

N_TAPS = 512
"""Length of BSS Eval's distortion filter, in samples."""

LOADING = 1e-12
"""Added to the diagonal, relative to the target's energy, where its delayed copies are dependent."""

LARGEST_RESIDUAL = 1e-9
"""Of the normal equations, relative, up to which Levinson's solution is taken."""

Array = NDArray[np.float64]


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


def _correlations(estimate: Array, target: Array, n_taps: int) -> tuple[Array, Array]:
    """Autocorrelation of the target and its correlation with the estimate, for delays 0 to n_taps - 1."""
    # SciPy's transform of such lengths takes a quarter of torch's time on a processor.
    n_fft = next_fast_len(target.shape[-1] + n_taps - 1, real=True)
    target_spectrum, estimate_spectrum = rfft(target, n=n_fft), rfft(estimate, n=n_fft)
    auto = irfft(np.square(target_spectrum.real) + np.square(target_spectrum.imag), n=n_fft)
    cross = irfft(target_spectrum.conj() * estimate_spectrum, n=n_fft)
    return auto[..., :n_taps], cross[..., :n_taps]


def _solve_toeplitz(column: Array, right: Array) -> Array:
    """Solve R h = b for symmetric positive Toeplitz R with the given first column (tap,).

    Levinson's recursion takes a twentieth of a Cholesky solution's time, but may lose digits where a target with
    empty bands has nearly dependent delays; what it gives is checked, and else found the long way.
    """
    try:
        solution = np.asarray(solve_toeplitz(column, right))
        residual = matmul_toeplitz(column, solution) - right
        if np.linalg.norm(residual) <= LARGEST_RESIDUAL * np.linalg.norm(right):
            return solution
    except LinAlgError:
        pass
    matrix = toeplitz(column)
    loading = 0.0
    while True:
        try:
            return np.asarray(cho_solve(cho_factor(matrix + loading * np.eye(len(column))), right))
        except LinAlgError:
            loading = max(10.0 * loading, LOADING * float(column[0]), 1e-300)


def distortion_filter(estimate: Tensor, target: Tensor, n_taps: int = N_TAPS) -> Tensor:
    """Find the causal filter that brings the target nearest to the estimate, in least squares.

    Vincent, Gribonval, Fevotte 2006, "Performance measurement in blind audio source separation" (BSS Eval
    v3). The normal equations are Toeplitz: correlations by FFT, solved by Levinson's recursion on the processor;
    there is no gradient.

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
    auto, cross = _correlations(_array(estimate), _array(target), n_taps)
    solutions = [_solve_toeplitz(*pair) for pair in zip(_rows(auto), _rows(cross), strict=True)]
    return torch.from_numpy(np.stack(solutions)).view(*target.shape[:-1], n_taps).to(target.device)


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
    pairs = zip(_rows(_array(estimate)), _rows(_array(target)), strict=True)
    fractions = [_fraction(*pair, n_taps) for pair in pairs]
    return torch.tensor(fractions, dtype=torch.float64, device=target.device).view(target.shape[:-1])


def _fraction(estimate: Array, target: Array, n_taps: int) -> float:
    """`filtered_fraction` of waveforms (sample,)."""
    if not (estimate.any() and target.any()):
        return math.nan
    auto, cross = _correlations(_unit_energy(estimate), _unit_energy(target), n_taps)
    return float(np.clip(cross @ _solve_toeplitz(auto, cross), 0.0, 1.0))


def _unit_energy(waveform: Array) -> Array:
    """Scale to unit energy by way of the peak, so that no square underflows."""
    scaled = waveform / np.abs(waveform).max()
    return scaled / np.linalg.norm(scaled)


def _array(waveform: Tensor) -> Array:
    return waveform.detach().cpu().double().numpy()


def _rows(values: Array) -> Array:
    return values.reshape(-1, values.shape[-1])
