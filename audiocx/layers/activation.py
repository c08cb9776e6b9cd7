"""Complex activations on planar tensors, and the real twin that `modReLU` has."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.layers.planar import PlanarLayer, planes

SMALLEST_MODULUS = 1e-6
LEAKY_SLOPE = 0.1


class CReLU(PlanarLayer):
    """relu(Re z) + j relu(Im z) (Trabelsi et al. 2018, §3.4). Not phase-equivariant.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Rectify both parts."""
        return functional.relu(planar)


class LeakyCReLU(PlanarLayer):
    """Leaky ReLU of the real and of the imaginary part, slope 0.1 (Choi et al. 2019). Not phase-equivariant.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Rectify both parts softly."""
        return functional.leaky_relu(planar, LEAKY_SLOPE)


class ModReLU(PlanarLayer):
    """max(|z| + b, 0) z / max(|z|, ε), b real for every feature (Arjovsky et al. 2016, eq. 8). Phase-equivariant.

    The modulus is floored at ε = 1e-6 inside the root, so gradients are finite at zero and at denormals.

    Args:
        features: complex features.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    phase_equivariant = True

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.bias = nn.Parameter(torch.zeros(features))

    def transform(self, planar: Tensor) -> Tensor:
        """Shrink the modulus and keep the phase."""
        # The floor is below what float16 holds.
        wide = planar.float() if planar.dtype in (torch.float16, torch.bfloat16) else planar
        real, imaginary = planes(wide)
        bias = self.bias.view(1, -1, *[1] * (planar.ndim - 2))
        modulus = (real.square() + imaginary.square()).clamp_min(SMALLEST_MODULUS**2).sqrt()
        gain = functional.relu(modulus + bias) / modulus
        return torch.cat((real * gain, imaginary * gain), 1).to(planar.dtype)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)


class SoftThreshold(nn.Module):
    """Real twin of `ModReLU`: max(|x| + b, 0) sign(x), b for every feature.

    Args:
        features: real features.

    Shapes:
        (batch, feature, ...) -> the same.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, features: Tensor) -> Tensor:
        """Shrink the absolute value and keep the sign."""
        bias = self.bias.view(1, -1, *[1] * (features.ndim - 2))
        modulus = features.abs().clamp_min(SMALLEST_MODULUS)
        return features * (functional.relu(modulus + bias) / modulus)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)
