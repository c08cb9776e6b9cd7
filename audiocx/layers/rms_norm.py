"""Normalisation by the root mean square, complex and its real twin."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.standardising import EPSILON, Sets, standardise


def _normalise(features: Tensor, scale: Tensor, n_features: int, everywhere: bool) -> Tensor:
    """Scale to unit mean square over features (of all frequencies of a frame), then every plane by `scale`.

    The sums run in float32 under autocast, too: a bfloat16 sum over a thousand squares has two digits.
    """
    values = widen(features)
    if everywhere and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        sets = Sets(parts=features.shape[1] // n_features, groups=1, by_frame=True, centre=False)
        return standardise(values, scale.view(1, -1, 1, 1), None, sets).to(features.dtype)
    # A norm, and one product with a small tensor: every pass over the values counts as much as a convolution's.
    norm = torch.linalg.vector_norm(values, dim=(1, 2) if everywhere else 1, keepdim=True)
    gain = torch.rsqrt(norm.square() / (n_features * (features.shape[2] if everywhere else 1)) + EPSILON)
    scale = scale.view(1, -1, 1, 1)
    # The product of the small ones first.
    normalised = values * (gain * scale) if everywhere else values * gain * scale
    return normalised.to(features.dtype)


class ComplexRMSNorm(PlanarLayer):
    """Norm by the root mean square of the modulus, over features and frequencies of every frame. Phase-equivariant.

    No mean is removed and γ is real, so a global phase passes through; no frame sees another, so it is causal.
    E|y|² = γ² (not 1 for each part).

    Formula:
        y = γ x / sqrt(mean |x|² + ε),   γ real for every feature

    Source:
        Zhang and Sennrich 2019, with the modulus for the absolute value.

    Args:
        features: complex features.
        everywhere: the mean is over all frequencies of a frame; else every frequency has its own.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> the same, or complex (batch, feature, frequency, frame).
    """

    phase_equivariant = True

    def __init__(self, features: int, *, everywhere: bool = True) -> None:
        super().__init__()
        self.features, self.everywhere = features, everywhere
        self.scale = nn.Parameter(torch.ones(features))

    def transform(self, planar: Tensor) -> Tensor:
        """Normalise a planar tensor."""
        return _normalise(planar, self.scale.repeat(2), self.features, self.everywhere)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.features}, everywhere={self.everywhere}"


class RMSNorm(nn.Module):
    """Real twin of `ComplexRMSNorm`, over features and frequencies of every frame.

    Formula:
        y = γ x / sqrt(mean x² + ε),   γ for every feature

    Source:
        Zhang and Sennrich 2019.

    Args:
        features: real features.
        everywhere: the mean is over all frequencies of a frame; else every frequency has its own.

    Shapes:
        (batch, feature, frequency, frame) -> the same.
    """

    def __init__(self, features: int, *, everywhere: bool = True) -> None:
        super().__init__()
        self.features, self.everywhere = features, everywhere
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise a real tensor."""
        return _normalise(features, self.scale, self.features, self.everywhere)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.features}, everywhere={self.everywhere}"
