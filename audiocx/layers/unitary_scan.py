"""The scan of unitary recurrences: h_t = f(W h_{t-1} + u_t) with modReLU f(p) = max(|p| + b, 0) p / max(|p|, ε).

Numbers are planar, (..., part * feature): two parts of a complex number, or one of a real one; W is a real matrix
that acts on the planes.

A product with the state stands inside a nonlinearity, so frames go one by one. Forward and backward are written
out as one operator (`audiocx::unitary_scan`) whose loops never touch autograd and hold only what needs the frame
before; the gradients of matrix and bias are one product each over all frames. Compilation takes the operator as a
whole, and export sees the plain loop.

The gradient through f, with m = max(|p|, ε), on = 1[m + b > 0], g = max(m + b, 0) / m, G that of f and s the sum
over parts of G p: that of p is g G + p s (on - g) / m², the second term only where |p| > ε, and that of b is the
sum of s on / m.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.layers.gated_scan import exporting
from audiocx.layers.modulus import SMALLEST_MODULUS
from audiocx.layers.sequences import along_frames


def unitary_scan(
    inputs: Tensor, matrix: Tensor, bias: Tensor, state: Tensor, *, reverse: bool = False
) -> Tensor:
    """Run h_t = f(W h_{t-1} + u_t) along the first axis.

    Args:
        inputs: u, (frame, sequence, part * feature).
        matrix: W, (part * feature, part * feature).
        bias: b of modReLU, (feature,).
        state: h before the first frame, (sequence, part * feature).
        reverse: run from the last frame to the first.

    Returns:
        h at every frame, (frame, sequence, part * feature).
    """
    if exporting():
        return plain_unitary_scan(inputs, matrix, bias, state, reverse=reverse)
    outputs: Tensor = torch.ops.audiocx.unitary_scan(inputs, matrix, bias, state, reverse)[0]
    return outputs


def plain_unitary_scan(
    inputs: Tensor, matrix: Tensor, bias: Tensor, state: Tensor, *, reverse: bool = False
) -> Tensor:
    """Run the unitary recurrence as it is written: for export, and to test the operator against."""
    outputs: list[Tensor] = []
    for frame in along_frames(len(inputs), reverse=reverse):
        state = mod_relu(state @ matrix.mT + inputs[frame], bias)
        outputs.append(state)
    return torch.stack(outputs[::-1] if reverse else outputs) if outputs else inputs


def mod_relu(planes: Tensor, bias: Tensor) -> Tensor:
    """ModReLU of planes (..., part * feature), with gradients by autograd."""
    planes_by_part = planes.unflatten(-1, (-1, len(bias)))
    modulus = planes_by_part.square().sum(-2, keepdim=True).clamp_min(SMALLEST_MODULUS**2).sqrt()
    return (planes_by_part * (torch.relu(modulus + bias) / modulus)).flatten(-2)


def by_part(numbers: Tensor, n_features: int) -> Tensor:
    """View (..., part * feature) as (..., part, feature)."""
    return numbers.unflatten(-1, (-1, n_features))


def _modulus(planes_by_part: Tensor) -> Tensor:
    """max(|p|, ε) of (..., part, feature), the parts kept as an axis of one."""
    squares = planes_by_part.square()
    power = squares[..., :1, :]
    if squares.shape[-2] == 2:
        power = power.add_(squares[..., 1:, :])
    return power.clamp_min_(SMALLEST_MODULUS**2).sqrt_()


def sum_over_parts(first: Tensor, second: Tensor) -> Tensor:
    """Sum of products over parts (..., part, feature), kept as an axis of one."""
    products = first[..., :1, :] * second[..., :1, :]
    if first.shape[-2] == 2:
        products.addcmul_(first[..., 1:, :], second[..., 1:, :])
    return products


def activate_into(planes_by_part: Tensor, bias: Tensor, out: Tensor) -> None:
    """ModReLU of (..., part, feature) into a tensor, without gradients."""
    modulus = _modulus(planes_by_part)
    torch.mul(planes_by_part, (modulus + bias).relu_().div_(modulus), out=out)


def slopes(planes_by_part: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """g, (on - g) / m² where |p| > ε, and on / m, of all frames at once."""
    modulus = _modulus(planes_by_part)
    lifted = modulus + bias
    gain = torch.relu(lifted) / modulus
    on = (lifted > 0).to(gain.dtype)
    bend = (on - gain) / modulus.square() * (modulus > SMALLEST_MODULUS)
    return gain, bend, on / modulus


def states_before(outputs: Tensor, state: Tensor, *, reverse: bool) -> Tensor:
    """h_{t-1} at every frame."""
    first = state.unsqueeze(0)
    return torch.cat((outputs[1:], first)) if reverse else torch.cat((first, outputs[:-1]))


def matrix_gradient(gradient: Tensor, numbers: Tensor) -> Tensor:
    """Gradient of a matrix that maps `numbers` at every frame."""
    return gradient.flatten(0, 1).mT @ numbers.flatten(0, 1)


@torch.library.custom_op("audiocx::unitary_scan", mutates_args=())
def _unitary(
    inputs: Tensor, matrix: Tensor, bias: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    outputs, before = (torch.empty_like(inputs, memory_format=torch.contiguous_format) for _ in range(2))
    results, arguments = (by_part(numbers, len(bias)) for numbers in (outputs, before))
    transposed = matrix.mT
    for frame in along_frames(len(inputs), reverse=reverse):
        torch.addmm(inputs[frame], state, transposed, out=before[frame])
        activate_into(arguments[frame], bias, results[frame])
        state = outputs[frame]
    return outputs, before


@_unitary.register_fake
def _(inputs: Tensor, matrix: Tensor, bias: Tensor, state: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    del matrix, bias, state, reverse
    outputs = torch.empty_like(inputs, memory_format=torch.contiguous_format)
    return outputs, torch.empty_like(outputs)


@torch.library.custom_op("audiocx::unitary_scan_backward", mutates_args=())
def _unitary_backward(
    gradient: Tensor,
    matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    outputs: Tensor,
    before: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    arguments = by_part(before, len(bias))
    gain, bend, to_bias = slopes(arguments, bias)
    result = torch.empty_like(outputs)
    results = by_part(result, len(bias))
    gradients = by_part(gradient, len(bias))
    along = torch.empty_like(gain)
    carried = torch.zeros_like(state)
    carried_by_part = by_part(carried, len(bias))
    for frame in along_frames(len(outputs), reverse=not reverse):
        reaching = gradients[frame] + carried_by_part
        along[frame] = sum_over_parts(reaching, arguments[frame])
        torch.mul(reaching, gain[frame], out=results[frame])
        results[frame].addcmul_(arguments[frame], along[frame] * bend[frame])
        torch.mm(result[frame], matrix, out=carried)
    to_matrix = matrix_gradient(result, states_before(outputs, state, reverse=reverse))
    return result, to_matrix, (along * to_bias).sum((0, 1, 2)), carried


@_unitary_backward.register_fake
def _(
    gradient: Tensor,
    matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    outputs: Tensor,
    before: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    del before, reverse, gradient
    return (
        torch.empty_like(outputs),
        matrix.new_empty(matrix.shape),
        bias.new_empty(bias.shape),
        state.new_empty(state.shape),
    )


def _keep_unitary(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, matrix, bias, state, ctx.reverse = inputs
    ctx.save_for_backward(matrix, bias, state, *output)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _unitary_gradients(ctx, gradient, _):  # type: ignore[no-untyped-def]
    if gradient is None:
        return (None,) * 5
    gradients = torch.ops.audiocx.unitary_scan_backward(
        gradient.contiguous(), *ctx.saved_tensors, ctx.reverse
    )
    return (*gradients, None)


torch.library.register_autograd("audiocx::unitary_scan", _unitary_gradients, setup_context=_keep_unitary)
