"""Masks on complex spectra: applying, bounding, compressing."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_MODULUS = 1e-6


def apply_mask(mixture_stft: Tensor, mask: Tensor) -> Tensor:
    """Multiply every source's mask with the mixture.

    Args:
        mixture_stft: complex STFT (batch, channel, frequency, frame).
        mask: complex mask (batch, source, channel, frequency, frame).

    Returns:
        Complex STFT of the estimates (batch, source, channel, frequency, frame).
    """
    return mask * mixture_stft.unsqueeze(1)


def bound_modulus(real: Tensor, imaginary: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Bound a complex number's modulus smoothly and keep its phase: β tanh(|z| / β) z / |z|.

    Choi et al. 2019 with β = 1; a larger bound lets a mask amplify, which it must where speech and noise cancel.

    Args:
        real, imaginary: parts of any shape.
        bound: β, the largest modulus.

    Returns:
        The bounded parts.
    """
    modulus = (real.square() + imaginary.square()).clamp_min(SMALLEST_MODULUS**2).sqrt()
    gain = bound * torch.tanh(modulus / bound) / modulus
    return real * gain, imaginary * gain


def compress(power: Tensor, exponent: float, epsilon: float = 1e-6) -> Tensor:
    """Gain that turns |z| into about |z|^exponent: (|z|² + ε)^((exponent - 1) / 2), with finite gradients at zero.

    Args:
        power: |z|² of any shape, of a levelled spectrum (mean power near one).
        exponent: 1 leaves the modulus as it is.
        epsilon: power below which compression fades out; keeps the gain, and its gradient, bounded.
    """
    return (power + epsilon) ** ((exponent - 1.0) / 2.0)
