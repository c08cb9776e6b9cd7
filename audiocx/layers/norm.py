"""Normalisation by the root mean square: complex, and its real twin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocx.layers.planar import PlanarLayer

EPSILON = 1e-5


def _normalise(features: Tensor, scale: Tensor, n_numbers: int) -> Tensor:
    """Scale every (batch, frame) to unit mean square over features and frequencies, then every plane by `scale`.

    The sums run in float32 under autocast, too: a bfloat16 sum over a thousand squares has two digits.
    """
    values = features.float() if features.dtype in (torch.float16, torch.bfloat16) else features
    # A norm, and one product with a small tensor: every pass over the values counts as much as a convolution's.
    norm = torch.linalg.vector_norm(values, dim=(1, 2), keepdim=True)  # (batch, 1, 1, frame)
    power = norm.square() / (n_numbers * features.shape[2])
    gain = torch.rsqrt(power + EPSILON) * scale.view(1, -1, 1, 1)  # (batch, feature, 1, frame)
    return (values * gain).to(features.dtype)


class ComplexRMSNorm(PlanarLayer):
    """y = γ x / sqrt(mean |x|² + ε), with the mean over features and frequencies of every frame.

    No mean is removed and γ is real, so a global phase passes through; no frame sees another, so it is causal.
    E|y|² = γ² (not 1 for each part). After Zhang and Sennrich 2019, with the modulus for the absolute value.

    Args:
        features: complex features.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> the same, or complex (batch, feature, frequency, frame).
    """

    phase_equivariant = True

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.scale = nn.Parameter(torch.ones(features))

    def transform(self, planar: Tensor) -> Tensor:
        """Normalise a planar tensor."""
        return _normalise(planar, self.scale.repeat(2), self.features)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)


class RMSNorm(nn.Module):
    """Real twin of `ComplexRMSNorm`: y = γ x / sqrt(mean x² + ε), over features and frequencies of every frame.

    Args:
        features: real features.
        groups: normalise so many equal groups of features apart (2 for the separate planes of `dual`).

    Shapes:
        (batch, feature, frequency, frame) -> the same.
    """

    def __init__(self, features: int, groups: int = 1) -> None:
        super().__init__()
        self.features, self.groups = features, groups
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise a real tensor."""
        size = self.features // self.groups
        if self.groups == 1:
            return _normalise(features, self.scale, size)
        parts = zip(features.split(size, 1), self.scale.split(size), strict=True)
        return torch.cat([_normalise(part, scale, size) for part, scale in parts], 1)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.features}, groups={self.groups}"
