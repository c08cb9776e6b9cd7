"""The scan of gated units: r, z = σ(V h_{t-1} + v_t), c = f(W (r h_{t-1}) + u_t), h_t = z c + (1 - z) h_{t-1}.

f is modReLU; the gates r and z are real, one of each for every feature. Planes, loops and the gradient through f
are those of `audiocx.layers.unitary_scan`; the operator is `audiocx::gated_unit_scan`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.layers.gated_scan import exporting
from audiocx.layers.sequences import along_frames
from audiocx.layers.unitary_scan import (
    activate_into,
    by_part,
    matrix_gradient,
    mod_relu,
    slopes,
    states_before,
    sum_over_parts,
)


def gated_unit_scan(
    inputs: Tensor,
    gate_inputs: Tensor,
    matrix: Tensor,
    gate_matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    *,
    reverse: bool = False,
) -> Tensor:
    """Run the gated recurrence along the first axis.

    Args:
        inputs: u, (frame, sequence, part * feature).
        gate_inputs: v, what the frame gives to the logits of r, then of z: (frame, sequence, 2 * feature).
        matrix: W, (part * feature, part * feature).
        gate_matrix: V, (2 * feature, part * feature).
        bias: b of modReLU, (feature,).
        state: h before the first frame, (sequence, part * feature).
        reverse: run from the last frame to the first.

    Returns:
        h at every frame, (frame, sequence, part * feature).
    """
    arguments = (inputs, gate_inputs, matrix, gate_matrix, bias, state)
    if exporting():
        return plain_gated_unit_scan(*arguments, reverse=reverse)
    outputs: Tensor = torch.ops.audiocx.gated_unit_scan(*arguments, reverse)[0]
    return outputs


def plain_gated_unit_scan(
    inputs: Tensor,
    gate_inputs: Tensor,
    matrix: Tensor,
    gate_matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    *,
    reverse: bool = False,
) -> Tensor:
    """Run the gated recurrence as it is written: for export, and to test the operator against."""
    outputs: list[Tensor] = []
    parts = state.shape[-1] // len(bias)
    for frame in along_frames(len(inputs), reverse=reverse):
        gates = torch.sigmoid(state @ gate_matrix.mT + gate_inputs[frame])
        recall, update = (torch.cat([gate] * parts, -1) for gate in gates.chunk(2, -1))
        candidate = mod_relu((recall * state) @ matrix.mT + inputs[frame], bias)
        state = update * candidate + (1.0 - update) * state
        outputs.append(state)
    return torch.stack(outputs[::-1] if reverse else outputs) if outputs else inputs


@torch.library.custom_op("audiocx::gated_unit_scan", mutates_args=())
def _gated(
    inputs: Tensor,
    gate_inputs: Tensor,
    matrix: Tensor,
    gate_matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    outputs, before = (torch.empty_like(inputs, memory_format=torch.contiguous_format) for _ in range(2))
    gates = torch.empty_like(gate_inputs, memory_format=torch.contiguous_format)
    results, arguments, current = (by_part(numbers, len(bias)) for numbers in (outputs, before, state))
    recall, update = by_part(gates, len(bias)).split(1, -2)
    candidate = torch.empty_like(current)
    for frame in along_frames(len(inputs), reverse=reverse):
        torch.addmm(gate_inputs[frame], state, gate_matrix.mT, out=gates[frame])
        gates[frame].sigmoid_()
        torch.addmm(inputs[frame], (recall[frame] * current).flatten(-2), matrix.mT, out=before[frame])
        activate_into(arguments[frame], bias, candidate)
        torch.lerp(current, candidate, update[frame], out=results[frame])
        state, current = outputs[frame], results[frame]
    return outputs, before, gates


@_gated.register_fake
def _(
    inputs: Tensor,
    gate_inputs: Tensor,
    matrix: Tensor,
    gate_matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    del matrix, gate_matrix, bias, state, reverse
    outputs = torch.empty_like(inputs, memory_format=torch.contiguous_format)
    gates = torch.empty_like(gate_inputs, memory_format=torch.contiguous_format)
    return outputs, torch.empty_like(outputs), gates


@torch.library.custom_op("audiocx::gated_unit_scan_backward", mutates_args=())
def _gated_backward(
    gradient: Tensor,
    matrix: Tensor,
    gate_matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    outputs: Tensor,
    before: Tensor,
    gates: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    arguments = by_part(before, len(bias))
    gain, bend, to_bias = slopes(arguments, bias)
    states = states_before(outputs, state, reverse=reverse)
    former = by_part(states, len(bias))
    recall, update = by_part(gates, len(bias)).split(1, -2)
    change = gain * arguments - former  # c - h_{t-1}
    gate_slope = gates * (1.0 - gates)
    result, gate_result = torch.empty_like(outputs), torch.empty_like(gates)
    results, gradients = (by_part(numbers, len(bias)) for numbers in (result, gradient))
    to_recall, to_update = by_part(gate_result, len(bias)).split(1, -2)
    along = torch.empty_like(gain)
    carried = torch.zeros_like(state)
    carried_by_part = by_part(carried, len(bias))
    for frame in along_frames(len(outputs), reverse=not reverse):
        reaching = gradients[frame] + carried_by_part
        to_candidate = reaching * update[frame]
        to_update[frame] = sum_over_parts(reaching, change[frame])
        reaching -= to_candidate  # (1 - z) G
        along[frame] = sum_over_parts(to_candidate, arguments[frame])
        torch.mul(to_candidate, gain[frame], out=results[frame])
        results[frame].addcmul_(arguments[frame], along[frame] * bend[frame])
        to_recalled = by_part(result[frame] @ matrix, len(bias))
        to_recall[frame] = sum_over_parts(to_recalled, former[frame])
        gate_result[frame] *= gate_slope[frame]
        torch.mm(gate_result[frame], gate_matrix, out=carried)
        carried_by_part.add_(reaching).addcmul_(to_recalled, recall[frame])
    to_matrix = matrix_gradient(result, (recall * former).flatten(-2))
    to_gate_matrix = matrix_gradient(gate_result, states)
    return result, gate_result, to_matrix, to_gate_matrix, (along * to_bias).sum((0, 1, 2)), carried


@_gated_backward.register_fake
def _(
    gradient: Tensor,
    matrix: Tensor,
    gate_matrix: Tensor,
    bias: Tensor,
    state: Tensor,
    outputs: Tensor,
    before: Tensor,
    gates: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    del gradient, before, reverse
    kept = (matrix, gate_matrix, bias, state)
    to_matrix, to_gate_matrix, to_bias, to_state = (numbers.new_empty(numbers.shape) for numbers in kept)
    return torch.empty_like(outputs), torch.empty_like(gates), to_matrix, to_gate_matrix, to_bias, to_state


def _keep_gated(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *_, matrix, gate_matrix, bias, state, ctx.reverse = inputs
    ctx.save_for_backward(matrix, gate_matrix, bias, state, *output)
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _gated_gradients(ctx, gradient, *_):  # type: ignore[no-untyped-def]
    if gradient is None:
        return (None,) * 7
    gradients = torch.ops.audiocx.gated_unit_scan_backward(
        gradient.contiguous(), *ctx.saved_tensors, ctx.reverse
    )
    return (*gradients, None)


torch.library.register_autograd("audiocx::gated_unit_scan", _gated_gradients, setup_context=_keep_gated)
