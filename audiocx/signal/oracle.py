"""Masks that know the target: bounds on what masking a given STFT can reach.

Spectra are complex (*batch, frequency, frame); masks have the same shape and multiply the mixture's
spectrum. A bin where the mixture is zero gets the mask 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.errors import ShapeError, describe
from audiocx.signal.checks import check_complex


def _check(target_stft: Tensor, other_stft: Tensor, other: str) -> None:
    check_complex(target_stft, name="target_stft")
    check_complex(other_stft, name=other)
    if target_stft.shape != other_stft.shape:
        raise ShapeError(
            describe(
                f"`{other}` does not fit `target_stft`",
                expected=tuple(target_stft.shape),
                got=tuple(other_stft.shape),
            )
        )


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide, with 0 where the denominator is zero."""
    is_zero = denominator == 0
    return torch.where(is_zero, torch.zeros_like(numerator), numerator) / denominator.masked_fill(
        is_zero, 1.0
    )


def ideal_ratio_mask(target_stft: Tensor, mixture_stft: Tensor) -> Tensor:
    """Square root of the target's share of the power: √(|S|² / (|S|² + |X - S|²)).

    Args:
        target_stft: complex STFT of one target.
        mixture_stft: complex STFT of the mixture, same shape.

    Returns:
        Real mask in [0, 1].

    Raises:
        ShapeError: the shapes differ, or a spectrum is real.
    """
    _check(target_stft, mixture_stft, "mixture_stft")
    target_power = target_stft.abs().square()
    residual_power = (mixture_stft - target_stft).abs().square()
    return _ratio(target_power, target_power + residual_power).sqrt()


def phase_sensitive_mask(target_stft: Tensor, mixture_stft: Tensor) -> Tensor:
    """Real mask that brings the mixture nearest to the target: Re(S / X), bounded to [0, 1].

    Erdogan, Hershey, Watanabe, Le Roux 2015, truncated as there. The best bounded mask for a network that
    keeps the mixture's phase.

    Arguments and errors as for `ideal_ratio_mask`.

    Returns:
        Real mask in [0, 1].
    """
    _check(target_stft, mixture_stft, "mixture_stft")
    projection = (target_stft * mixture_stft.conj()).real
    return _ratio(projection, mixture_stft.abs().square()).clamp(0.0, 1.0)


def ideal_complex_mask(target_stft: Tensor, mixture_stft: Tensor, *, bound: float | None = 1.0) -> Tensor:
    """Complex mask S / X, its modulus cut at `bound`.

    Arguments and errors as for `ideal_ratio_mask`; `bound=None` leaves the mask free, and the target comes
    back.

    Returns:
        Complex mask.
    """
    _check(target_stft, mixture_stft, "mixture_stft")
    mask = _ratio(target_stft, mixture_stft)
    if bound is None:
        return mask
    modulus = mask.abs()
    return mask * _ratio(modulus.clamp_max(bound), modulus)
