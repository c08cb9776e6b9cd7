"""Complex convolutions and transposed convolutions over frames or (frequency, frame), on planar tensors.

Arguments are torch's, counted in complex features; the products are those of `audiocx.layers.product`, without
conjugation as in torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, ShapeError, describe
from audiocx.layers.few_outputs import conv_transpose2d
from audiocx.layers.initialisation import fan_in, fan_out, initialise
from audiocx.layers.product import (
    ComplexProduct,
    gauss_product,
    group_planes,
    product_form,
    ungroup_planes,
)

Sizes: TypeAlias = "int | Sequence[int]"
"""One size for all axes, or one for each."""


def output_padding(
    input_size: Sequence[int],
    output_size: Sequence[int] | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """Find what a transposed convolution must add at the end of each axis to reach `output_size`.

    Args:
        input_size, output_size: sizes of each axis; no output size means the smallest one.
        kernel_size, stride, padding, dilation: of the layer.

    Raises:
        ShapeError: no padding from 0 to stride - 1 reaches the size.
    """
    sizes = zip(input_size, stride, padding, kernel_size, dilation, strict=True)
    smallest = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, k, d in sizes]
    if output_size is None:
        return [0] * len(smallest)
    extra = [wanted - size for wanted, size in zip(output_size, smallest, strict=True)]
    if any(not 0 <= more < s for more, s in zip(extra, stride, strict=True)):
        largest = [size + s - 1 for size, s in zip(smallest, stride, strict=True)]
        raise ShapeError(
            describe(
                "transposed convolution: the output size cannot be reached",
                expected=f"{smallest} to {largest}",
                got=list(output_size),
            )
        )
    return extra


class _ComplexConvolution(ComplexProduct):
    """Sizes, weights and forms that all convolutions share.

    Args:
        in_features, out_features: complex features.
        kernel_size: taps over each axis, the last one frames; a number stands for all axes, here and below.
        stride: over each axis.
        padding: of each axis, on both sides.
        dilation: distance of neighbouring taps.
        groups: of features that do not meet; `in_features` of them make a depthwise convolution.
        bias: add a complex bias; it breaks phase equivariance.
        gain: of the activation that follows, for the initial weights.
        initial: initial weights, `he`, `glorot` or `semi_unitary`.
        form: `block`, `gauss`, or None for the measured choice of `product_form`.

    Raises:
        ConfigError: groups do not divide the features, a size is not one for each axis, or a word is not known.
    """

    n_axes: ClassVar[int]
    convolve: Callable[..., Tensor]
    """Torch's real convolution."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        *,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        gain: float = 1.0,
        initial: str = "he",
        form: str | None = None,
    ) -> None:
        super().__init__()
        if groups < 1 or in_features % groups or out_features % groups:
            raise ConfigError(
                describe(
                    "convolution: groups do not divide the features",
                    expected=f"a divisor of {in_features} and {out_features}",
                    got=groups,
                )
            )
        self.in_features, self.out_features, self.groups = in_features, out_features, groups
        self.kernel_size = self._each("kernel_size", kernel_size)
        self.stride, self.padding = self._each("stride", stride), self._each("padding", padding)
        self.dilation = self._each("dilation", dilation)
        self.form = form
        self.phase_equivariant = not bias
        # torch's order of axes: (out, in, ...), of a transposed convolution (in, out, ...).
        first, second = (in_features, out_features) if self.transposed else (out_features, in_features)
        shape = (first, second // groups, *self.kernel_size)
        self.weight_real = nn.Parameter(torch.empty(shape))
        self.weight_imag = nn.Parameter(torch.empty(shape))
        # Planar as everything: the real parts of all features, then the imaginary parts.
        self.bias = nn.Parameter(torch.zeros(2 * out_features)) if bias else None
        # Where outputs lie denser than inputs fewer taps meet in one; where they lie thinner, an input is in fewer.
        thinned = self.stride if self.transposed else None
        fans = (
            fan_in(in_features // groups, self.kernel_size, thinned),
            fan_out(out_features // groups, self.kernel_size, None if self.transposed else self.stride),
        )
        initialise(initial, self.weight_real, self.weight_imag, fans, gain, groups=groups)

    def _each(self, name: str, value: Sizes) -> tuple[int, ...]:
        sizes = (value,) * self.n_axes if isinstance(value, int) else tuple(value)
        if len(sizes) != self.n_axes:
            raise ConfigError(
                describe(f"convolution: {name}", expected=f"{self.n_axes} sizes or one", got=list(sizes))
            )
        return sizes

    def product(self, planar: Tensor, convolve: Callable[[Tensor, Tensor, Tensor | None], Tensor]) -> Tensor:
        """Multiply in the form that is set or measured to be the faster one.

        Args:
            planar: (batch, 2 * in, ...).
            convolve: the real convolution of (tensor, weight, bias).
        """
        groups = self.groups
        form = self.form or product_form(
            self.in_features, self.out_features, planar.device, groups, math.prod(self.kernel_size)
        )
        weights = self.derived_weights(form)
        if form == "block" and groups == 1:
            return convolve(planar, weights[0], self.bias)
        if form == "block":
            bias = None if self.bias is None else group_planes(self.bias.view(1, -1), groups).view(-1)
            return ungroup_planes(convolve(group_planes(planar, groups), weights[0], bias), groups)
        result = gauss_product(planar, weights, lambda half, weight: convolve(half, weight, None))
        return result if self.bias is None else result + self.bias.view(-1, *[1] * self.n_axes)

    def extra_repr(self) -> str:
        """Sizes, for printing; of dilation and groups only what is not usual."""
        words = [f"{self.in_features}, {self.out_features}, kernel_size={self.kernel_size}"]
        words.append(f"stride={self.stride}")
        if any(distance != 1 for distance in self.dilation):
            words.append(f"dilation={self.dilation}")
        if self.groups != 1:
            words.append(f"groups={self.groups}")
        return ", ".join(words)


class _Forward(_ComplexConvolution):
    """What convolutions over one and over two axes share."""

    def transform(self, planar: Tensor) -> Tensor:
        """Convolve a planar tensor."""

        def convolve(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return type(self).convolve(
                inputs, weight, bias, self.stride, self.padding, self.dilation, self.groups
            )

        return self.product(planar, convolve)


class _Transposed(_ComplexConvolution):
    """What transposed convolutions over one and over two axes share."""

    transposed = True

    def transform(self, planar: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Convolve a planar tensor, to the size of each axis where the stride leaves a choice."""
        extra = output_padding(
            planar.shape[2:], output_size, self.kernel_size, self.stride, self.padding, self.dilation
        )

        def convolve(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return type(self).convolve(
                inputs, weight, bias, self.stride, self.padding, extra, self.groups, self.dilation
            )

        return self.product(planar, convolve)


class ComplexConv1d(_Forward):
    """Complex convolution over frames; arguments as in torch, counted in complex features.

    Real twin: `nn.Conv1d` of twice the features.

    Formula:
        y = W * x + b;   with W = A + jB of the parts
        y_r = A * x_r - B * x_i + b_r,   y_i = B * x_r + A * x_i + b_i

    Source:
        Trabelsi et al. 2018, §3.2; W is not conjugated, as in torch.

    Shapes:
        (batch, 2 * in, frame) -> (batch, 2 * out, frame'), or complex with half as many.
    """

    n_axes = 1
    convolve = staticmethod(functional.conv1d)


class ComplexConv2d(_Forward):
    """Complex convolution over (frequency, frame); arguments as in torch, counted in complex features.

    Real twin: `nn.Conv2d` of twice the features, with the initial weights of this one.

    Formula:
        y = W * x + b;   with W = A + jB of the parts
        y_r = A * x_r - B * x_i + b_r,   y_i = B * x_r + A * x_i + b_i

    Source:
        Trabelsi et al. 2018, §3.2; W is not conjugated, as in torch.

    Shapes:
        (batch, 2 * in, frequency, frame) -> (batch, 2 * out, frequency', frame'), or complex with half as many.
    """

    n_axes = 2
    convolve = staticmethod(functional.conv2d)


class ComplexConvTranspose1d(_Transposed):
    """Complex transposed convolution over frames, without conjugation as in torch.

    It is the adjoint of `ComplexConv1d` for conjugated weights. Real twin: `nn.ConvTranspose1d` of twice the
    features.

    Formula:
        y = Wᵀ x + b, the transpose of x = W * y as a matrix, with W complex

    Source:
        Zeiler et al. 2010, with complex weights as in Trabelsi et al. 2018, §3.2.

    Shapes:
        (batch, 2 * in, frame) -> (batch, 2 * out, frame'), or complex with half as many.
    """

    n_axes = 1
    convolve = staticmethod(functional.conv_transpose1d)


class ComplexConvTranspose2d(_Transposed):
    """Complex transposed convolution over (frequency, frame), without conjugation as in torch.

    It is the adjoint of `ComplexConv2d` for conjugated weights. Real twin: `nn.ConvTranspose2d` of twice the
    features, with the initial weights of this one.

    Formula:
        y = Wᵀ x + b, the transpose of x = W * y as a matrix, with W complex

    Source:
        Zeiler et al. 2010, with complex weights as in Trabelsi et al. 2018, §3.2.

    Shapes:
        (batch, 2 * in, frequency, frame) -> (batch, 2 * out, frequency', frame'), or complex with half as many.
    """

    n_axes = 2
    convolve = staticmethod(conv_transpose2d)


class RealConvTranspose2d(nn.ConvTranspose2d):
    """Real twin of `ComplexConvTranspose2d`: torch's own, as quick with few output planes as that is.

    Without, a comparison of seconds would be one of tricks. Its arguments are torch's.

    Formula:
        y = Wᵀ x + b, the transpose of x = W * y as a matrix, with W real

    Source:
        Zeiler et al. 2010.

    Shapes:
        (batch, in, frequency, frame) -> (batch, out, frequency', frame').
    """

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Convolve, to the size of each axis where the stride leaves a choice."""
        sizes = self.stride, self.padding, self.dilation
        stride, padding, dilation = (tuple(map(int, size)) for size in sizes)
        if output_size is None:
            extra = list(map(int, self.output_padding))
        else:
            taps = tuple(map(int, self.kernel_size))
            extra = output_padding(input.shape[2:], output_size, taps, stride, padding, dilation)
        return conv_transpose2d(input, self.weight, self.bias, stride, padding, extra, self.groups, dilation)
