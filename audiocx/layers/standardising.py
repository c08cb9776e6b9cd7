"""Scaling of sets of planes to unit power, with or without their mean, in few passes forward and backward.

Root-mean-square, layer, group and instance norms are made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-5


@dataclass(frozen=True)
class Sets:
    """Which numbers have common statistics: parts of planes, groups of features, each frame apart or all."""

    parts: int
    groups: int
    by_frame: bool
    centre: bool = True
    """Take the mean away; else the deviation is that from zero."""

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

    def centred(self, planes: Tensor) -> Tensor:
        """Planes without the mean of their set, or as they are."""
        if not self.centre:
            return planes
        return planes - self.spread(self.total(planes), with_parts=False) / self.count(planes)

    def count(self, planes: Tensor) -> int:
        """Complex (or real) numbers of a set."""
        _, n_planes, n_frequencies, n_frames = planes.shape
        members = n_planes // (self.parts * self.groups)
        return members * n_frequencies * (1 if self.by_frame else n_frames)


def standardise(planes: Tensor, scale: Tensor, shift: Tensor | None, sets: Sets) -> Tensor:
    """Give every set of numbers mean zero and E|y|² = 1, then scale and shift every plane.

    Args:
        planes: (batch, part * feature, frequency, frame), float32 or float64.
        scale: (1, part * feature, 1, 1).
        shift: (1, part * feature, 1, 1); None: none.
        sets: what has common statistics.
    """
    if torch.compiler.is_compiling():
        return plain_standardise(planes, scale, shift, sets)
    standardised: Tensor = _Standardise.apply(planes, scale, shift, sets)
    return standardised


def plain_standardise(planes: Tensor, scale: Tensor, shift: Tensor | None, sets: Sets) -> Tensor:
    """Do it as it is written: what compilation fuses."""
    count = sets.count(planes)
    centred = sets.centred(planes)
    power = sets.spread(sets.total(centred.square()), with_parts=True) / count
    standardised = centred * (torch.rsqrt(power + EPSILON) * scale)
    return standardised if shift is None else standardised + shift


class _Standardise(torch.autograd.Function):
    """`plain_standardise` with few passes backward; sums go over frequencies first, in any layout.

    With r the gain, x the centred planes, n the numbers of a set and h = γ g:
    dx = r h - r/n Σ h - x r³/n Σ h x, the first sum over a set of each part, the second over both parts.
    """

    @staticmethod
    def forward(ctx: Any, planes: Tensor, scale: Tensor, shift: Tensor | None, sets: Sets) -> Tensor:
        count = sets.count(planes)
        centred = sets.centred(planes)
        power = sets.spread(sets.total(centred.square()), with_parts=True) / count
        gain = torch.rsqrt(power + EPSILON)
        ctx.save_for_backward(centred, gain, scale)
        ctx.sets, ctx.count = sets, count
        gain = gain * scale
        return centred * gain if shift is None else torch.addcmul(shift, centred, gain)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient, sets, count = gradients[0], ctx.sets, ctx.count
        centred, gain, scale = ctx.saved_tensors
        products = sets.total(gradient * centred)
        scale_gradient = (products * gain).sum((0, 2, 3), keepdim=True)
        # Totals of the gradient are for the mean and the shift alone.
        sums = sets.total(gradient) if sets.centre or ctx.needs_input_grad[2] else None
        shift_gradient = sums.sum((0, 2, 3), keepdim=True) if sums is not None else None
        if not ctx.needs_input_grad[0]:
            return None, scale_gradient, shift_gradient if ctx.needs_input_grad[2] else None, None
        slope = sets.spread(products * scale, with_parts=True) * (gain.pow(3) / -count)
        if sets.centre and sums is not None:
            constant = sets.spread(sums * scale, with_parts=False) * (gain / -count)
            planes_gradient = torch.addcmul(constant, gradient, gain * scale)
        else:
            planes_gradient = gradient * (gain * scale)
        planes_gradient = planes_gradient.addcmul_(centred, slope)
        return planes_gradient, scale_gradient, shift_gradient if ctx.needs_input_grad[2] else None, None
