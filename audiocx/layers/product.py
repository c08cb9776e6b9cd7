"""Products with complex weights on planar tensors: their forms.

With the weight W = A + jB and the input x = x_r + j x_i, without conjugation as in torch:

    y_r = A * x_r - B * x_i,    y_i = B * x_r + A * x_i

The *block* form is one real product with the kernel [[A, -B], [B, A]]; *Gauss'* form takes three real products
for four, A * (x_r + x_i), (B - A) * x_r and (A + B) * x_i, and adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from audiocx.layers.kept import KeepsDerived
from audiocx.layers.planar import PlanarLayer, planes

FORMS = ("block", "gauss")


LANES = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
"""Features that a processor's convolutions compute at a time: a rest takes as long as a whole."""

WORTH_THREE = 20.0
"""Multiply-adds a complex number, in and out, that three products must save to pay for their sums."""


def product_form(
    in_features: int, out_features: int, device: torch.device, groups: int = 1, taps: int = 15
) -> str:
    """Choose the form of a complex product by size and device; the one place where it is chosen.

    `python studies/product_form.py` measures it. Gauss' form saves a quarter of the multiply-adds and goes over its
    inputs and outputs more often, so on a processor it is taken where the quarter, counted in whole registers,
    outweighs that: with 15 taps from 16 features on, with one tap from 160. On one core with AVX-512, in
    channels-last, a training step of it then took 0.77 to 0.92 of the block form's time, and 1.0 to 2.3 times as
    long where the block is taken. In groups, for which the block has to lay out features anew, it took 0.15 to 0.4
    of the block's time for depthwise convolutions, 0.8 from 16 features a group on, and 1.0 to 1.35 times as long
    with 2 to 8. Elsewhere (CUDA, where three small kernels cost more launches than they save; `meta`, where
    multiply-adds are counted) it is the block.

    Args:
        in_features, out_features: complex features of all groups.
        device: of the input.
        groups: of features that do not meet.
        taps: of the kernel.
    """
    if device.type != "cpu":
        return "block"
    inputs, outputs = in_features // groups, out_features // groups
    if groups > 1:
        depthwise = min(inputs, outputs) == 1
        large = min(inputs, outputs) >= 12 and in_features * out_features > 500
        return "gauss" if depthwise or large else "block"
    saved = (_filled(2 * inputs) + _filled(2 * outputs) - 0.75 * (_filled(inputs) + _filled(outputs))) / 2
    return "gauss" if saved * taps * inputs * outputs > WORTH_THREE * (inputs + outputs) else "block"


def _filled(planes: int) -> float:
    """Planes that are computed over planes that there are."""
    return math.ceil(planes / LANES) * LANES / planes


def block_kernel(
    weight_real: Tensor, weight_imag: Tensor, *, transposed: bool = False, groups: int = 1
) -> Tensor:
    """Real kernel [[A, -B], [B, A]] of a complex one, for one real product on planar tensors.

    Args:
        weight_real, weight_imag: (out, in / groups, ...) each; with `transposed`, torch's (in, out / groups, ...).
        transposed: the first axis holds inputs.
        groups: one block for every group, for inputs that `group_planes` has laid out.

    Returns:
        (2 * out, 2 * in / groups, ...), or (2 * in, 2 * out / groups, ...).
    """
    sign = -1 if transposed else 1
    if groups == 1:
        upper = torch.cat((weight_real, -sign * weight_imag), 1)
        lower = torch.cat((sign * weight_imag, weight_real), 1)
        return torch.cat((upper, lower), 0)
    real, imaginary = weight_real.unflatten(0, (groups, -1)), weight_imag.unflatten(0, (groups, -1))
    upper = torch.cat((real, -sign * imaginary), 2)
    lower = torch.cat((sign * imaginary, real), 2)
    return torch.cat((upper, lower), 1).flatten(0, 1)


def group_planes(planar: Tensor, groups: int) -> Tensor:
    """Lay out planes group by group, the real and then the imaginary parts of each group's features."""
    return planar.unflatten(1, (2, groups, -1)).transpose(1, 2).flatten(1, 3)


def ungroup_planes(grouped: Tensor, groups: int) -> Tensor:
    """Undo `group_planes`: the real parts of all features first."""
    return grouped.unflatten(1, (groups, 2, -1)).transpose(1, 2).flatten(1, 3)


def gauss_weights(weight_real: Tensor, weight_imag: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The weights A, B - A and A + B of Gauss' form."""
    return weight_real, weight_imag - weight_real, weight_real + weight_imag


def gauss_product(
    planar: Tensor, weights: tuple[Tensor, ...], convolve: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Complex product by three real ones (Gauss), its rounding shared evenly by both parts.

    Args:
        planar: (batch, 2 * in, ...).
        weights: of `gauss_weights`.
        convolve: real product of a half (batch, in, ...) with a weight.
    """
    real, imaginary = planes(planar)
    both = convolve(real + imaginary, weights[0])
    first = convolve(real, weights[1])
    second = convolve(imaginary, weights[2])
    return torch.cat((both - second, both + first), 1)


class ComplexProduct(KeepsDerived, PlanarLayer):
    """Base of layers with a complex weight: its parts, and what the forms of the product derive from them."""

    weight_real: nn.Parameter
    weight_imag: nn.Parameter
    transposed: bool = False
    groups: int = 1

    def derived_weights(self, form: str) -> tuple[Tensor, ...]:
        """Weights that a form works with: the block kernel alone, or Gauss' three; kept in inference."""
        return self.derived(form, (self.weight_real, self.weight_imag), lambda: self._derive(form))

    def _derive(self, form: str) -> tuple[Tensor, ...]:
        if form == "gauss":
            return gauss_weights(self.weight_real, self.weight_imag)
        return (
            block_kernel(self.weight_real, self.weight_imag, transposed=self.transposed, groups=self.groups),
        )
