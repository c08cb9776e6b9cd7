"""Complex convolution and transposed convolution over (frequency, frame), on planar tensors.

With the weight W = A + jB and the input x = x_r + j x_i, without conjugation as in torch:

    y_r = A * x_r - B * x_i,    y_i = B * x_r + A * x_i

The *block* form is one real convolution with the kernel [[A, -B], [B, A]]; *Gauss'* form takes three real
convolutions for four, A * (x_r + x_i), (B - A) * x_r and (A + B) * x_i, and adds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ShapeError, describe
from audiocx.layers.initialisation import fan_in, initialise_complex
from audiocx.layers.planar import PlanarLayer, planes

FORMS = ("block", "gauss")


def product_form(in_features: int, out_features: int, device: torch.device) -> str:
    """Choose the form of a complex product by size and device; the one place where it is chosen.

    `python studies/product_form.py` measures it: on one processor core with AVX-512, in channels-last, a training
    step of Gauss' form took 0.77 to 0.95 of the block form's time where both sides have at least 12 features and
    there are more than 500 pairs of them, and 1.1 to 2.8 times as long below that. Elsewhere (CUDA, where three
    small kernels cost more launches than they save; `meta`, where multiply-adds are counted) it is the block.
    """
    large = min(in_features, out_features) >= 12 and in_features * out_features > 500
    return "gauss" if large and device.type == "cpu" else "block"


def block_kernel(weight_real: Tensor, weight_imag: Tensor, *, transposed: bool = False) -> Tensor:
    """Real kernel [[A, -B], [B, A]] of a complex one, for one real convolution on planar tensors.

    Args:
        weight_real, weight_imag: (out, in, ...) each; with `transposed`, torch's (in, out, ...).
        transposed: the first axis holds inputs.

    Returns:
        (2 * out, 2 * in, ...), or (2 * in, 2 * out, ...).
    """
    sign = -1 if transposed else 1
    upper = torch.cat((weight_real, -sign * weight_imag), 1)
    lower = torch.cat((sign * weight_imag, weight_real), 1)
    return torch.cat((upper, lower), 0)


def gauss_product(
    planar: Tensor, weight_real: Tensor, weight_imag: Tensor, convolve: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Complex product by three real ones (Gauss), its rounding shared evenly by both parts.

    Args:
        planar: (batch, 2 * in, ...).
        weight_real, weight_imag: the parts of the weight.
        convolve: real product of a half (batch, in, ...) with a weight.
    """
    real, imaginary = planes(planar)
    both = convolve(real + imaginary, weight_real)
    first = convolve(real, weight_imag - weight_real)
    second = convolve(imaginary, weight_real + weight_imag)
    return torch.cat((both - second, both + first), 1)


def output_padding(
    input_size: Sequence[int],
    output_size: Sequence[int] | None,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> list[int]:
    """Find what a transposed convolution must add at the end of each axis to reach `output_size`.

    Args:
        input_size, output_size: sizes of (frequency, frame); no output size means the smallest one.
        kernel_size, stride, padding: of the layer.

    Raises:
        ShapeError: no padding from 0 to stride - 1 reaches the size.
    """
    smallest = [
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(input_size, stride, padding, kernel_size, strict=True)
    ]
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


class _ComplexConvolution(PlanarLayer):
    """Sizes, weights and forms that a convolution and a transposed one share.

    Args:
        in_features, out_features: complex features.
        kernel_size: taps over (frequency, frame).
        stride: over (frequency, frame).
        padding: of (frequency, frame), on both sides.
        bias: add a complex bias; it breaks phase equivariance.
        gain: of the activation that follows, for the initial weights.
        form: `block`, `gauss`, or None for the measured choice of `product_form`.
    """

    transposed: bool

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        *,
        bias: bool = True,
        gain: float = 1.0,
        form: str | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.kernel_size, self.stride, self.padding = tuple(kernel_size), tuple(stride), tuple(padding)
        self.form = form
        self.phase_equivariant = not bias
        # torch's order of axes: (out, in, ...), of a transposed convolution (in, out, ...).
        features = (in_features, out_features) if self.transposed else (out_features, in_features)
        self.weight_real = nn.Parameter(torch.empty(*features, *self.kernel_size))
        self.weight_imag = nn.Parameter(torch.empty(*features, *self.kernel_size))
        # Planar as everything: the real parts of all features, then the imaginary parts.
        self.bias = nn.Parameter(torch.zeros(2 * out_features)) if bias else None
        fan = fan_in(in_features, self.kernel_size, self.stride if self.transposed else None)
        initialise_complex(self.weight_real, self.weight_imag, fan, gain)

    def product(self, planar: Tensor, convolve: Callable[[Tensor, Tensor, Tensor | None], Tensor]) -> Tensor:
        """Multiply in the form that is set or measured to be the faster one.

        Args:
            planar: (batch, 2 * in, frequency, frame).
            convolve: the real convolution of (tensor, weight, bias).
        """
        form = self.form or product_form(self.in_features, self.out_features, planar.device)
        if form == "block":
            kernel = block_kernel(self.weight_real, self.weight_imag, transposed=self.transposed)
            return convolve(planar, kernel, self.bias)
        result = gauss_product(
            planar, self.weight_real, self.weight_imag, lambda half, weight: convolve(half, weight, None)
        )
        return result if self.bias is None else result + self.bias.view(1, -1, 1, 1)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return (
            f"{self.in_features}, {self.out_features}, kernel_size={self.kernel_size}, stride={self.stride}"
        )


class ComplexConv2d(_ComplexConvolution):
    """Complex convolution over (frequency, frame); arguments as in torch, counted in complex features.

    Shapes:
        (batch, 2 * in, frequency, frame) -> (batch, 2 * out, frequency', frame'), or complex with half as many.
    """

    transposed = False

    def transform(self, planar: Tensor) -> Tensor:
        """Convolve a planar tensor."""
        return self.product(
            planar,
            lambda inputs, weight, bias: functional.conv2d(inputs, weight, bias, self.stride, self.padding),
        )


class ComplexConvTranspose2d(_ComplexConvolution):
    """Complex transposed convolution over (frequency, frame), without conjugation as in torch.

    It is the adjoint of `ComplexConv2d` for conjugated weights.

    Shapes:
        (batch, 2 * in, frequency, frame) -> (batch, 2 * out, frequency', frame'), or complex with half as many.
    """

    transposed = True

    def transform(self, planar: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Convolve a planar tensor, to the size (frequency, frame) where the stride leaves a choice."""
        extra = output_padding(planar.shape[2:], output_size, self.kernel_size, self.stride, self.padding)
        return self.product(
            planar,
            lambda inputs, weight, bias: functional.conv_transpose2d(
                inputs, weight, bias, self.stride, self.padding, extra
            ),
        )
