"""Convolutions, linear maps and pools in native complex numbers, which the planar layers must equal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def native(layer: Any, name: str = "weight") -> Tensor:
    """Complex weight of a layer that keeps its parts."""
    return torch.complex(getattr(layer, f"{name}_real"), getattr(layer, f"{name}_imag"))


def paired(planes: Tensor | None, axis: int = 0) -> Tensor | None:
    """Complex numbers of real parts followed by imaginary parts."""
    return None if planes is None else torch.complex(*(half.contiguous() for half in planes.chunk(2, axis)))


def convolution(layer: Any, z: Tensor) -> Tensor:
    """Torch's convolution of complex tensors, or its transposed one."""
    weight, bias = native(layer), paired(layer.bias)
    sizes = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    n_axes = len(layer.kernel_size)
    if layer.transposed:
        transposed = functional.conv_transpose1d if n_axes == 1 else functional.conv_transpose2d
        return transposed(z, weight, bias, groups=layer.groups, **sizes)
    plain = functional.conv1d if n_axes == 1 else functional.conv2d
    return plain(z, weight, bias, groups=layer.groups, **sizes)


def real_convolution(layer: Any, x: Tensor) -> Tensor:
    """Torch's transposed convolution."""
    return functional.conv_transpose2d(
        x, layer.weight, layer.bias, layer.stride, layer.padding, groups=layer.groups, dilation=layer.dilation
    )


def causal_convolution(layer: Any, z: Tensor) -> Tensor:
    """y_t = Σ_k W_k z_{t - dk} frame by frame: what a transposed convolution adds up to, too."""
    inner = layer.convolution
    weight = native(inner)
    n_taps, dilation = inner.kernel_size[-1], inner.dilation[-1]
    outputs = torch.zeros((), dtype=z.dtype)
    for tap in range(n_taps):
        # A convolution is written as a correlation: its last tap sees the frame at hand.
        delay = dilation * (tap if inner.transposed else n_taps - 1 - tap)
        delayed = functional.pad(z, (delay, 0))[..., : z.shape[-1]]
        outputs = outputs + _one_tap(inner, delayed, weight[..., tap : tap + 1])
    bias = paired(inner.bias)
    return outputs if bias is None else outputs + bias.view(1, -1, *[1] * (z.ndim - 2))


def _one_tap(inner: Any, z: Tensor, weight: Tensor) -> Tensor:
    padding = (*inner.padding[:-1], 0)
    sizes = {"stride": inner.stride, "padding": padding, "dilation": inner.dilation, "groups": inner.groups}
    if inner.transposed:
        transposed = functional.conv_transpose1d if z.ndim == 3 else functional.conv_transpose2d
        return transposed(z, weight, **sizes)
    return (functional.conv1d if z.ndim == 3 else functional.conv2d)(z, weight, **sizes)


def widely_linear_depthwise(layer: Any, z: Tensor) -> Tensor:
    """A z + B conj(z), with A = ((m11 + m22) + j (m21 - m12)) / 2 and B = ((m11 - m22) + j (m21 + m12)) / 2."""
    (m11, m22), (m12, m21) = layer.weight_same.chunk(2), layer.weight_other.chunk(2)
    linear = torch.complex(m11 + m22, m21 - m12) / 2
    conjugate = torch.complex(m11 - m22, m21 + m12) / 2
    convolve = functional.conv_transpose2d if layer.transposed else functional.conv2d
    sizes = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    outputs = convolve(z, linear, groups=layer.features, **sizes)
    outputs = outputs + convolve(z.conj().resolve_conj(), conjugate, groups=layer.features, **sizes)
    bias = paired(layer.bias)
    return outputs if bias is None else outputs + bias.view(1, -1, 1, 1)


def linear(layer: Any, z: Tensor) -> Tensor:
    """W z + b at every place."""
    mapped = torch.einsum("of,bf...->bo...", native(layer), z)
    bias = paired(layer.bias)
    return mapped if bias is None else mapped + bias.view(1, -1, *[1] * (z.ndim - 2))


def real_linear(layer: Any, x: Tensor) -> Tensor:
    """W x + b at every place."""
    mapped = torch.einsum("of,bf...->bo...", layer.weight, x)
    return mapped if layer.bias is None else mapped + layer.bias.view(1, -1, *[1] * (x.ndim - 2))


def halves(layer: Any, x: Tensor) -> Tensor:
    """Two real linear maps, each of its half."""
    real, imaginary = x.chunk(2, 1)
    return torch.cat((real_linear(layer.real, real), real_linear(layer.imaginary, imaginary)), 1)


def largest_of_windows(layer: Any, z: Tensor) -> Tensor:
    """Of every window the number of largest modulus."""
    windows = _windows(layer, z)
    return windows.gather(-1, windows.abs().argmax(-1, keepdim=True)).squeeze(-1)


def mean_of_windows(layer: Any, z: Tensor) -> Tensor:
    """Mean of every window, zeros outside."""
    return _windows(layer, z).mean(-1)


def _windows(layer: Any, z: Tensor) -> Tensor:
    (above, before), sizes, steps = layer.padding, layer.kernel_size, layer.stride
    padded = functional.pad(z, (before, before, above, above))
    return padded.unfold(2, sizes[0], steps[0]).unfold(3, sizes[1], steps[1]).flatten(-2)
