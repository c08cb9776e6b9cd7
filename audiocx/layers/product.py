"""Products with complex weights on planar tensors: their forms, and what is kept of a weight in inference.

With the weight W = A + jB and the input x = x_r + j x_i, without conjugation as in torch:

    y_r = A * x_r - B * x_i,    y_i = B * x_r + A * x_i

The *block* form is one real product with the kernel [[A, -B], [B, A]]; *Gauss'* form takes three real products
for four, A * (x_r + x_i), (B - A) * x_r and (A + B) * x_i, and adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

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


@dataclass(frozen=True)
class _Kept:
    """Derived weights, and the weights that they were derived from.

    The weights are held, so that no other tensor can come to lie at their address while these are kept.
    """

    form: str
    sources: tuple[Tensor, ...]
    versions: tuple[int, ...]
    derived: tuple[Tensor, ...]

    def holds(self, form: str, weights: tuple[Tensor, ...]) -> bool:
        return (
            self.form == form
            and self.versions == tuple(weight._version for weight in weights)
            and all(
                source.data_ptr() == weight.data_ptr() and source.dtype == weight.dtype
                for source, weight in zip(self.sources, weights, strict=True)
            )
        )


class ComplexProduct(PlanarLayer):
    """Base of layers with a complex weight: its parts, and what the forms of the product derive from them.

    In evaluation and without gradients the block kernel or Gauss' sums are built once and kept until a weight
    changes (its version counter or its memory), `train` is called or the layer is copied. Writing through
    `weight.data` in evaluation is the one change that torch does not tell; call `train` or `eval` after it.
    """

    weight_real: nn.Parameter
    weight_imag: nn.Parameter
    transposed: bool = False
    groups: int = 1
    _kept: _Kept | None = None

    def derived_weights(self, form: str) -> tuple[Tensor, ...]:
        """Weights that a form works with: the block kernel alone, or Gauss' three."""
        weights = self.weight_real, self.weight_imag
        if self.training or torch.is_grad_enabled() or not _can_be_kept(weights):
            return self._derive(form)
        if self._kept is None or not self._kept.holds(form, weights):
            versions = tuple(weight._version for weight in weights)
            sources = tuple(weight.detach() for weight in weights)
            self._kept = _Kept(form, sources, versions, self._derive(form))
        return self._kept.derived

    def _derive(self, form: str) -> tuple[Tensor, ...]:
        if form == "gauss":
            return gauss_weights(self.weight_real, self.weight_imag)
        return (
            block_kernel(self.weight_real, self.weight_imag, transposed=self.transposed, groups=self.groups),
        )

    def train(self, mode: bool = True) -> ComplexProduct:
        """Set the mode; what was kept of the weights is dropped."""
        self._kept = None
        super().train(mode)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles do without what can be derived."""
        return {**self.__dict__, "_kept": None}


def _can_be_kept(weights: tuple[Tensor, ...]) -> bool:
    """Not while something is traced, and not of stand-ins for parameters, as `torch.func` puts in their place."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return all(
        type(weight) is nn.Parameter and weight.device.type != "meta" and not weight.is_inference()
        for weight in weights
    )
