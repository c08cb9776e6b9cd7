"""Widely linear layers, y = A z + B conj(z): any real map between the two parts of complex numbers.

The real map [[m11, m12], [m21, m22]] of (Re z, Im z) has A = ((m11 + m22) + j (m21 - m12)) / 2 and
B = ((m11 - m22) + j (m21 + m12)) / 2; a complex layer has B = 0. Where all features meet, a real convolution of
the planes is such a layer; a depthwise one has to keep to its pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.layers.convolution import output_padding
from audiocx.layers.initialisation import fan_in, initialise_real
from audiocx.layers.planar import PlanarLayer


class WidelyLinearDepthwise(PlanarLayer):
    """Depthwise convolution over (frequency, frame) with a real 2 x 2 matrix for every feature and tap.

    Real twin: a real depthwise convolution of twice the features, which has half of these weights.

    Formula:
        y = A * z + B * conj(z),   every feature by itself

    Source:
        Picinbono and Chevalier 1995, for each tap.

    Args:
        features: complex features.
        kernel_size, stride, padding, dilation: over (frequency, frame).
        bias: add a bias to every plane.
        gain: of the activation that follows, for the initial weights.
        transposed: be a transposed convolution, called with (tensor, output size).

    Shapes:
        (batch, 2 * feature, frequency, frame) -> (batch, 2 * feature, frequency', frame'), or complex with half as
        many.
    """

    def __init__(
        self,
        features: int,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        *,
        dilation: Sequence[int] = (1, 1),
        bias: bool = True,
        gain: float = 1.0,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.transposed = features, transposed
        self.kernel_size, self.stride = tuple(kernel_size), tuple(stride)
        self.padding, self.dilation = tuple(padding), tuple(dilation)
        # To each plane from itself (m11 of all features, then m22), and from its other half (m12, then m21).
        self.weight_same = nn.Parameter(torch.empty(2 * features, 1, *self.kernel_size))
        self.weight_other = nn.Parameter(torch.empty(2 * features, 1, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(2 * features)) if bias else None
        fan = fan_in(2, self.kernel_size, self.stride if transposed else None)
        for weight in (self.weight_same, self.weight_other):
            initialise_real(weight, fan, gain)

    def transform(self, planar: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Convolve a planar tensor; a transposed convolution takes the size (frequency, frame) to reach."""
        others = torch.cat(planar.chunk(2, 1)[::-1], 1)
        same = self._convolve(planar, self.weight_same, self.bias, output_size)
        return same + self._convolve(others, self.weight_other, None, output_size)

    def _convolve(
        self, planes: Tensor, weight: Tensor, bias: Tensor | None, output_size: Sequence[int] | None
    ) -> Tensor:
        groups = 2 * self.features
        if not self.transposed:
            return functional.conv2d(planes, weight, bias, self.stride, self.padding, self.dilation, groups)
        extra = output_padding(
            planes.shape[2:], output_size, self.kernel_size, self.stride, self.padding, self.dilation
        )
        return functional.conv_transpose2d(
            planes, weight, bias, self.stride, self.padding, extra, groups, self.dilation
        )

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.features}, kernel_size={self.kernel_size}, stride={self.stride}"
