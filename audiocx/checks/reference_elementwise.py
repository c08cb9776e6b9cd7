"""Activations and gates in native complex numbers, with moduli and angles, which the planar ones must equal."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def _along(values: Tensor, z: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (z.ndim - 2))


def _polar(modulus: Tensor, z: Tensor) -> Tensor:
    return torch.polar(modulus, z.angle())


def _parts(z: Tensor, real: float | Tensor, imaginary: float | Tensor) -> Tensor:
    """Both parts, times a slope where they are negative."""
    return torch.complex(
        torch.where(z.real > 0, z.real, real * z.real), torch.where(z.imag > 0, z.imag, imaginary * z.imag)
    )


def c_relu(layer: Any, z: Tensor) -> Tensor:
    """Rectified parts."""
    del layer
    return _parts(z, 0.0, 0.0)


def leaky_c_relu(layer: Any, z: Tensor) -> Tensor:
    """Parts with slope 0.1."""
    del layer
    return _parts(z, 0.1, 0.1)


def c_prelu(layer: Any, z: Tensor) -> Tensor:
    """Parts with learned slopes."""
    return _parts(z, _along(layer.slope_real, z), _along(layer.slope_imag, z))


def z_relu(layer: Any, z: Tensor) -> Tensor:
    """Numbers whose angle lies in the first quadrant."""
    del layer
    angle = z.angle()
    return z * ((angle > 0) & (angle < math.pi / 2))


def mod_relu(layer: Any, z: Tensor) -> Tensor:
    """Modulus plus bias, rectified."""
    return _polar((z.abs() + _along(layer.bias, z)).clamp_min(0.0), z)


def soft_threshold(layer: Any, x: Tensor) -> Tensor:
    """The same of real numbers."""
    return (x.abs() + _along(layer.bias, x)).clamp_min(0.0) * x.sign()


def cardioid(layer: Any, z: Tensor) -> Tensor:
    """(1 + cos θ) z / 2."""
    del layer
    return 0.5 * (1.0 + z.angle().cos()) * z


def polar_tanh(layer: Any, z: Tensor) -> Tensor:
    """Bounded modulus."""
    del layer
    return _polar(z.abs().tanh(), z)


def split_tanh(layer: Any, z: Tensor) -> Tensor:
    """Bounded parts."""
    del layer
    return torch.complex(z.real.tanh(), z.imag.tanh())


def siglog(layer: Any, z: Tensor) -> Tensor:
    """Slope 1 / c at zero, modulus below ρ."""
    return z / (layer.inverse_slope + z.abs() / layer.bound)


def mod_sigmoid(layer: Any, z: Tensor) -> Tensor:
    """σ(α Re z + (1 - α) Im z)."""
    share = _along(torch.sigmoid(layer.mixture), z)
    return torch.sigmoid(share * z.real + (1.0 - share) * z.imag)


def mod_softmax(layer: Any, z: Tensor) -> Tensor:
    """exp(|z|²) over its sum."""
    del layer
    powers = z.abs().square().exp()
    return powers / powers.sum(1, keepdim=True)


def mod_sigmoid_glu(layer: Any, z: Tensor) -> Tensor:
    """Values times a real gate of planes."""
    values, gates = z.chunk(2, 1)
    return mod_sigmoid(layer, gates) * values


def modulus_glu(layer: Any, z: Tensor) -> Tensor:
    """Values times a real gate of moduli."""
    values, gates = z.chunk(2, 1)
    return torch.sigmoid(_along(layer.weight, z) * gates.abs() + _along(layer.bias, z)) * values


def split_glu(layer: Any, z: Tensor) -> Tensor:
    """Values times a complex gate."""
    del layer
    values, gates = z.chunk(2, 1)
    return torch.complex(gates.real.sigmoid(), gates.imag.sigmoid()) * values


def identity(layer: Any, z: Tensor) -> Tensor:
    """What dropout is in evaluation."""
    del layer
    return z
