"""Complex pooling over (frequency, frame): by the largest modulus, and the average."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer, planes


def _modulus(real: Tensor, imaginary: Tensor) -> Tensor:
    """|z| without squares that vanish or overflow. What `torch.hypot` does, which ONNX does not have."""
    real, imaginary = real.abs(), imaginary.abs()
    larger, smaller = torch.maximum(real, imaginary), torch.minimum(real, imaginary)
    ratio = smaller / larger.clamp_min(torch.finfo(larger.dtype).tiny)
    return larger * (1.0 + ratio.square()).sqrt()


class _Pool2d(PlanarLayer):
    """What both kinds of pooling are given.

    Args:
        kernel_size: window over (frequency, frame).
        stride: step of the window; its size when not given.
        padding: on both ends, at most half a window.
    """

    phase_equivariant = True

    def __init__(
        self, kernel_size: Sequence[int], stride: Sequence[int] | None = None, padding: Sequence[int] = (0, 0)
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = list(kernel_size), list(padding)
        self.stride = list(kernel_size if stride is None else stride)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{tuple(self.kernel_size)}, stride={tuple(self.stride)}, padding={tuple(self.padding)}"


class MagnitudeMaxPool2d(_Pool2d):
    """Of every window the complex value of largest modulus, the first of equals. Phase-equivariant.

    The gradient goes to that value alone. Padding is never chosen. Real twin: `nn.MaxPool2d`, as real networks have
    it; the two agree on the positive real axis (behind rectifiers). On the negative one the largest modulus is the
    smallest number.

    Formula:
        y = z_k,   k = argmax |z| over the window

    Source:
        complexPyTorch (Matthès), `complex_max_pool2d`.

    Args:
        kernel_size: window over (frequency, frame).
        stride: step of the window; its size when not given.
        padding: on both ends, at most half a window.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> (batch, 2 * feature, fewer frequencies, fewer frames), or complex
        without the factor.
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Find the places by modulus, then gather both parts from there."""
        with torch.no_grad():
            real, imaginary = planes(widen(planar))
            _, places = functional.max_pool2d(
                _modulus(real, imaginary), self.kernel_size, self.stride, self.padding, return_indices=True
            )
            both = torch.cat((places, places), 1)
        pooled = planar.flatten(2).gather(2, both.flatten(2)).view(both.shape)
        if planar.is_contiguous(memory_format=torch.channels_last):
            # Flattening lost the layout, which the convolutions that follow want.
            pooled = pooled.contiguous(memory_format=torch.channels_last)
        return pooled


class ComplexAveragePool2d(_Pool2d):
    """Average of every window, which is that of each part; padding counts as zeros. Phase-equivariant.

    Real twin: `nn.AvgPool2d`.

    Formula:
        y = mean of z over the window

    Source:
        Average pooling as real networks have it; the mean is complex-linear.

    Args:
        kernel_size: window over (frequency, frame).
        stride: step of the window; its size when not given.
        padding: on both ends, at most half a window.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> (batch, 2 * feature, fewer frequencies, fewer frames), or complex
        without the factor.
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Average both parts."""
        return functional.avg_pool2d(planar, self.kernel_size, self.stride, self.padding)
