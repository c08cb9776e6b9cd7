"""Norms that take away the mean and scale by the deviation of a set of features: layer, group and instance norm.

Complex ones take the complex mean and the deviation E|x - mean|²: one real gain for both parts, so without a bias a
global phase passes through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from audiocx.errors import ConfigError, describe
from audiocx.layers.planar import PlanarLayer

EPSILON = 1e-5


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
    values = planes.float() if planes.dtype in (torch.float16, torch.bfloat16) else planes
    sets = Sets(parts, groups, by_frame)
    scale = scale.repeat(parts).view(1, -1, 1, 1)
    shift = torch.zeros_like(scale) if bias is None else bias.view(1, -1, 1, 1)
    if torch.compiler.is_compiling():
        standardised = plain_standardise(values, scale, shift, sets)
    else:
        standardised = _Standardise.apply(values, scale, shift, sets)
    return standardised.to(planes.dtype)


@dataclass(frozen=True)
class Sets:
    """Which numbers have common statistics: parts of planes, groups of features, each frame apart or all."""

    parts: int
    groups: int
    by_frame: bool

    def total(self, planes: Tensor) -> Tensor:
        """Sum over places, (batch, plane, 1, frame or 1)."""
        if planes.is_contiguous(memory_format=torch.channels_last):
            # A sum over axis 2 leaves this layout, and then it and every product with it take three times as long.
            batch, n_planes, _, n_frames = planes.shape
            flat = planes.permute(0, 2, 3, 1).flatten(2).sum(1)
            totals = flat.view(batch, 1, n_frames, n_planes).permute(0, 3, 1, 2)
        else:
            totals = planes.sum(2, keepdim=True)
        return totals if self.by_frame else totals.sum(3, keepdim=True)

    def spread(self, totals: Tensor, *, with_parts: bool) -> Tensor:
        """Sum the totals of planes over the features of each group (and over parts) and give each plane the sum."""
        grouped = totals.unflatten(1, (self.parts, self.groups, -1))
        sums = grouped.sum((1, 3) if with_parts else 3, keepdim=True)
        spread = sums.expand_as(grouped).flatten(1, 3)
        # In the layout of the planes, or every product with them jumps through memory.
        channels_last = totals.is_contiguous(memory_format=torch.channels_last)
        return spread.contiguous(memory_format=torch.channels_last) if channels_last else spread.contiguous()

    def count(self, planes: Tensor) -> int:
        """Complex (or real) numbers of a set."""
        _, n_planes, n_frequencies, n_frames = planes.shape
        members = n_planes // (self.parts * self.groups)
        return members * n_frequencies * (1 if self.by_frame else n_frames)


def plain_standardise(planes: Tensor, scale: Tensor, shift: Tensor, sets: Sets) -> Tensor:
    """Do it as it is written: what compilation fuses."""
    count = sets.count(planes)
    centred = planes - sets.spread(sets.total(planes), with_parts=False) / count
    power = sets.spread(sets.total(centred.square()), with_parts=True) / count
    return centred * (torch.rsqrt(power + EPSILON) * scale) + shift


class _Standardise(torch.autograd.Function):
    """`plain_standardise` with few passes backward; sums go over frequencies first, in any layout.

    With r the gain, x the centred planes, n the numbers of a set and h = γ g:
    dx = r h - r/n Σ h - x r³/n Σ h x, the first sum over a set of each part, the second over both parts.
    """

    @staticmethod
    def forward(ctx: Any, planes: Tensor, scale: Tensor, shift: Tensor, sets: Sets) -> Tensor:
        count = sets.count(planes)
        centred = planes - sets.spread(sets.total(planes), with_parts=False) / count
        power = sets.spread(sets.total(centred.square()), with_parts=True) / count
        gain = torch.rsqrt(power + EPSILON)
        ctx.save_for_backward(centred, gain, scale)
        ctx.sets, ctx.count = sets, count
        return torch.addcmul(shift, centred, gain * scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient, sets, count = gradients[0], ctx.sets, ctx.count
        centred, gain, scale = ctx.saved_tensors
        sums, products = sets.total(gradient), sets.total(gradient * centred)
        scale_gradient = (products * gain).sum((0, 2, 3), keepdim=True)
        shift_gradient = sums.sum((0, 2, 3), keepdim=True)
        if not ctx.needs_input_grad[0]:
            return None, scale_gradient, shift_gradient, None
        constant = sets.spread(sums * scale, with_parts=False) * (gain / -count)
        slope = sets.spread(products * scale, with_parts=True) * (gain.pow(3) / -count)
        planes_gradient = torch.addcmul(constant, gradient, gain * scale).addcmul_(centred, slope)
        return planes_gradient, scale_gradient, shift_gradient, None


def _check_groups(features: int, groups: int) -> None:
    if groups < 1 or features % groups:
        raise ConfigError(
            describe(
                "norm: features do not split into groups", expected=f"a divisor of {features}", got=groups
            )
        )


class ComplexGroupNorm(PlanarLayer):
    """y = γ (x - μ) / sqrt(E|x - μ|² + ε) + β, with the mean over the features and frequencies of a group.

    μ is the complex mean and γ is real: without β a global phase passes through. E|y|² = γ² before β (not 1 for
    each part). After Wu and He 2018, with the modulus for the absolute value.

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
    """Real twin of `ComplexGroupNorm`: y = γ (x - μ) / sqrt(E (x - μ)² + ε) + β.

    Unlike torch's own, it has statistics of every frame unless told otherwise.

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
    """`ComplexGroupNorm` with all features in one group (layer norm; Ba, Kiros and Hinton 2016)."""

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, 1, by_frame=by_frame, bias=bias)


class LayerNorm(GroupNorm):
    """Real twin of `ComplexLayerNorm`."""

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, 1, by_frame=by_frame, bias=bias)


class ComplexInstanceNorm(ComplexGroupNorm):
    """`ComplexGroupNorm` with every feature a group (instance norm; Ulyanov, Vedaldi and Lempitsky 2016)."""

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, features, by_frame=by_frame, bias=bias)


class InstanceNorm(GroupNorm):
    """Real twin of `ComplexInstanceNorm`."""

    def __init__(self, features: int, *, by_frame: bool = True, bias: bool = True) -> None:
        super().__init__(features, features, by_frame=by_frame, bias=bias)
