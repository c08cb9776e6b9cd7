"""Transposed convolution over (frequency, frame) that is fast with few output planes, too.

The last layer of a U-Net goes from many planes to two. oneDNN computes 16 output planes at a time, so on a
processor torch's transposed convolution wastes seven eighths of its work there. The same sums as one matrix
product, whose columns are then added up where they overlap, take half the time; the gradients stay torch's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MOST_OUTPUTS = 4
INPUTS_FOR_AN_OUTPUT = 24
"""Measured on one core with AVX-512, kernels of 3 to 35 taps, 128 planes in: a training step took 0.6 to 0.96 of
the time with 2 planes out, 0.9 with 4 and 1.1 with 8; from 24 planes to 2 it took 0.84 to 1.5."""


def conv_transpose2d(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    dilation: Sequence[int],
) -> Tensor:
    """Do what torch's function of that name does, as a matrix product where that was measured to be faster.

    Args:
        inputs: (batch, plane, frequency, frame).
        weight: (plane, plane out / groups, taps over frequency, over frames).
        bias: (plane out,).
        stride, padding, output_padding, groups, dilation: as in torch, two sizes each.
    """
    if not _pays(inputs, weight, groups):
        return functional.conv_transpose2d(
            inputs,
            weight,
            bias,
            _pair(stride),
            _pair(padding),
            _pair(output_padding),
            groups,
            _pair(dilation),
        )
    sizes = (_pair(stride), _pair(padding), _pair(output_padding), _pair(dilation))
    outputs = as_product(inputs, weight, *sizes)
    return outputs if bias is None else outputs + bias.view(1, -1, 1, 1)


def as_product(
    inputs: Tensor,
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    output_padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """Do `conv_transpose2d` as a matrix product, whether it pays or not; without groups and bias."""
    outputs: Tensor = _FewOutputs.apply(inputs, weight, stride, padding, output_padding, dilation)
    return outputs


def _pays(inputs: Tensor, weight: Tensor, groups: int) -> bool:
    n_inputs, n_outputs = weight.shape[:2]
    return (
        groups == 1
        and n_outputs <= MOST_OUTPUTS
        and n_inputs >= INPUTS_FOR_AN_OUTPUT * n_outputs
        and inputs.device.type == "cpu"
        and inputs.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


class _FewOutputs(torch.autograd.Function):
    """Columns W ᵀ x of every place, added up where they meet; backward is that of torch's convolution."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        inputs: Tensor,
        weight: Tensor,
        stride: tuple[int, int],
        padding: tuple[int, int],
        output_padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Tensor:
        taps = (weight.shape[2], weight.shape[3])
        axes = zip(inputs.shape[2:], stride, padding, output_padding, dilation, taps, strict=True)
        size = tuple((n - 1) * s - 2 * p + more + d * (k - 1) + 1 for n, s, p, more, d, k in axes)
        # A product for each item: `matmul` would make one of all, and a copy of the columns after it.
        columns = torch.bmm(weight.flatten(1).mT.expand(len(inputs), -1, -1), inputs.flatten(2))
        return functional.fold(columns, size, taps, dilation=dilation, padding=padding, stride=stride)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        del output
        planes, weight, *ctx.sizes = inputs
        ctx.save_for_backward(planes, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        stride, padding, output_padding, dilation = ctx.sizes
        wanted = [*ctx.needs_input_grad[:2], False]
        to_inputs, to_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0], inputs, weight, None, stride, padding, dilation, True, output_padding, 1, wanted
        )
        return to_inputs, to_weight, None, None, None, None


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    first, second = sizes
    return first, second
