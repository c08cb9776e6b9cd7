"""The modulus of planar features, with gradients that are finite everywhere, and scaling by a real gain."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_MODULUS = 1e-6
"""Moduli are floored here before one divides by them; below it a layer is linear."""


def widen(tensor: Tensor) -> Tensor:
    """Half precision as float32, anything else as it is: squares of small numbers need the range."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def floored_modulus(real: Tensor, imaginary: Tensor, smallest: float = SMALLEST_MODULUS) -> Tensor:
    """max(|z|, smallest), with gradient zero below the floor.

    The floor is inside the root, which at zero and at denormals has a gradient of inf or nan otherwise.

    Args:
        real, imaginary: parts, of one shape, float32 at least.
        smallest: its square must be a normal number, so at least 1e-18.
    """
    return (real.square() + imaginary.square()).clamp_min(smallest**2).sqrt()


def scaled(real: Tensor, imaginary: Tensor, gain: Tensor, dtype: torch.dtype) -> Tensor:
    """Planar tensor of both parts times a real gain, in the type that the layer was given."""
    return torch.cat((real * gain, imaginary * gain), 1).to(dtype)


def per_feature(parameter: Tensor, n_dimensions: int) -> Tensor:
    """View a parameter (feature,) so that it fits a tensor (batch, feature, ...)."""
    return parameter.view(1, -1, *[1] * (n_dimensions - 2))
