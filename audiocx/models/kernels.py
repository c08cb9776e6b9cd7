"""Convolutions that arithmetics are made of, real and complex, from one description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from audiocx.layers.convolution import ComplexConv2d, ComplexConvTranspose2d, RealConvTranspose2d
from audiocx.layers.initialisation import fan_in, initialise_real


@dataclass(frozen=True)
class Kernel:
    """What a convolution is besides its features: sizes over (frequency, frame), bias and gain."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    bias: bool
    gain: float
    dilation: tuple[int, ...] = (1, 1)


def kernel_of(
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    bias: bool,
    gain: float,
) -> Kernel:
    """Put a kernel together from any sequences."""
    return Kernel(tuple(size), tuple(stride), tuple(padding), bias, gain, dilation=tuple(dilation))


def complex_convolution(
    in_features: int, out_features: int, kernel: Kernel, groups: int, *, transposed: bool
) -> nn.Module:
    """Make a complex convolution, or a transposed one."""
    layer = ComplexConvTranspose2d if transposed else ComplexConv2d
    return layer(
        in_features,
        out_features,
        kernel.size,
        kernel.stride,
        kernel.padding,
        dilation=kernel.dilation,
        groups=groups,
        bias=kernel.bias,
        gain=kernel.gain,
    )


def real_convolution(
    in_planes: int, out_planes: int, kernel: Kernel, groups: int, *, transposed: bool
) -> nn.Module:
    """Make a real convolution, or a transposed one, with the initial weights of its complex twin."""
    make = RealConvTranspose2d if transposed else nn.Conv2d
    layer = make(
        in_planes,
        out_planes,
        pair(kernel.size),
        pair(kernel.stride),
        pair(kernel.padding),
        dilation=pair(kernel.dilation),
        groups=groups,
        bias=kernel.bias,
    )
    fan = fan_in(in_planes // groups, kernel.size, kernel.stride if transposed else None)
    initialise_real(layer.weight, fan, kernel.gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def pair(values: Sequence[int]) -> tuple[int, int]:
    """The two sizes of (frequency, frame), as torch's types want them."""
    first, second = values
    return first, second
