"""Norms that take away the mean and scale by the deviation of a set of features: layer, group and instance norm.

Complex ones take the complex mean and the deviation E|x - mean|²: one real gain for both parts, so without a bias a
global phase passes through.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.standardising import Sets, standardise


def _standardise(
    planes: Tensor, parts: int, groups: int, by_frame: bool, scale: Tensor, bias: Tensor | None
) -> Tensor:
    """Give every group of features mean zero and E|y|² = 1, then scale and shift every plane; float32 at least.

    Args:
        planes: (batch, part * feature, frequency, frame).
        parts: 2 where planes are parts of complex numbers, or 1.
        groups: groups of features.
        by_frame: every frame has statistics of its own.
        scale: a gain for every feature, both parts alike.
        bias: a shift for every plane.
    """
    values = widen(planes)
    sets = Sets(parts, groups, by_frame)
    scale = scale.repeat(parts).view(1, -1, 1, 1)
    shift = None if bias is None else bias.view(1, -1, 1, 1)
    return standardise(values, scale, shift, sets).to(planes.dtype)


def _check_groups(features: int, groups: int) -> None:
    if groups < 1 or features % groups:
        raise ConfigError(
            describe(
                "norm: features do not split into groups", expected=f"a divisor of {features}", got=groups
            )
        )


class ComplexGroupNorm(PlanarLayer):
    """Norm by the complex mean and the deviation of a group of features over frequencies.

    μ is the complex mean and γ is real: without β a global phase passes through. E|y|² = γ² before β (not 1 for
    each part).

    Formula:
        y = γ (x - μ) / sqrt(E|x - μ|² + ε) + β,   means over a group and the frequencies of a frame

    Source:
        Wu and He 2018, with the modulus for the absolute value.

    Args:
        features: complex features.
        groups: groups of neighbouring features; a divisor of `features`.
        by_frame: every frame has its own statistics, so the norm is causal; else they are over frames, too.
        bias: add β, a complex number for every feature.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> the same, or complex (batch, feature, frequency, frame).

    Raises:
        ConfigError: the features do not split into the groups.
    """

    def __init__(self, features: int, groups: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__()
        _check_groups(features, groups)
        self.features, self.groups, self.by_frame = features, groups, by_frame
        self.scale = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(2 * features)) if bias else None
        self.phase_equivariant = not bias

    def transform(self, planar: Tensor) -> Tensor:
        """Normalise a planar tensor."""
        return _standardise(planar, 2, self.groups, self.by_frame, self.scale, self.bias)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return (
            f"{self.features}, groups={self.groups}, by_frame={self.by_frame}, bias={self.bias is not None}"
        )


class GroupNorm(nn.Module):
    """Real twin of `ComplexGroupNorm`.

    Unlike torch's own, it has statistics of every frame unless told otherwise.

    Formula:
        y = γ (x - μ) / sqrt(E (x - μ)² + ε) + β,   means over a group and the frequencies of a frame

    Source:
        Wu and He 2018.

    Args:
        features: real features.
        groups: groups of neighbouring features; a divisor of `features`.
        by_frame: every frame has its own statistics, so the norm is causal; else they are over frames, too.
        bias: add β.

    Shapes:
        (batch, feature, frequency, frame) -> the same.

    Raises:
        ConfigError: the features do not split into the groups.
    """

    def __init__(self, features: int, groups: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__()
        _check_groups(features, groups)
        self.features, self.groups, self.by_frame = features, groups, by_frame
        self.scale = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        """Normalise a real tensor."""
        return _standardise(features, 1, self.groups, self.by_frame, self.scale, self.bias)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return (
            f"{self.features}, groups={self.groups}, by_frame={self.by_frame}, bias={self.bias is not None}"
        )


class ComplexLayerNorm(ComplexGroupNorm):
    """`ComplexGroupNorm` with all features in one group. Without a bias a global phase passes through.

    Formula:
        y = γ (x - μ) / sqrt(E|x - μ|² + ε) + β,   means over all features and the frequencies of a frame

    Source:
        Ba, Kiros and Hinton 2016, with the modulus for the absolute value.

    Args:
        features: complex features.
        by_frame: every frame has its own statistics, so the norm is causal; else they are over frames, too.
        bias: add β, a complex number for every feature.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> the same, or complex (batch, feature, frequency, frame).
    """

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, 1, by_frame=by_frame, bias=bias)


class LayerNorm(GroupNorm):
    """Real twin of `ComplexLayerNorm`.

    Formula:
        y = γ (x - μ) / sqrt(E (x - μ)² + ε) + β,   means over all features and the frequencies of a frame

    Source:
        Ba, Kiros and Hinton 2016.

    Args:
        features: real features.
        by_frame: every frame has its own statistics, so the norm is causal; else they are over frames, too.
        bias: add β.

    Shapes:
        (batch, feature, frequency, frame) -> the same.
    """

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, 1, by_frame=by_frame, bias=bias)


class ComplexInstanceNorm(ComplexGroupNorm):
    """`ComplexGroupNorm` with every feature a group. Without a bias a global phase passes through.

    Formula:
        y = γ (x - μ) / sqrt(E|x - μ|² + ε) + β,   means over the frequencies of a frame, of each feature alone

    Source:
        Ulyanov, Vedaldi and Lempitsky 2016, with the modulus for the absolute value.

    Args:
        features: complex features.
        by_frame: every frame has its own statistics, so the norm is causal; else they are over frames, too.
        bias: add β, a complex number for every feature.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> the same, or complex (batch, feature, frequency, frame).
    """

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, features, by_frame=by_frame, bias=bias)


class InstanceNorm(GroupNorm):
    """Real twin of `ComplexInstanceNorm`.

    Formula:
        y = γ (x - μ) / sqrt(E (x - μ)² + ε) + β,   means over the frequencies of a frame, of each feature alone

    Source:
        Ulyanov, Vedaldi and Lempitsky 2016.

    Args:
        features: real features.
        by_frame: every frame has its own statistics, so the norm is causal; else they are over frames, too.
        bias: add β.

    Shapes:
        (batch, feature, frequency, frame) -> the same.
    """

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, features, by_frame=by_frame, bias=bias)
