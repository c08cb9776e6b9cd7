"""The scan of gated linear recurrences: h_t = a_t h_{t-1} + (1 - a_t) z_t, y_t = o_t h_t.

There is no product with the state inside a nonlinearity, so a frame costs one pass over the state and no matrix
product. Forward and backward are written out as one operator (`audiocx::gated_scan`) whose loop never touches
autograd; compilation takes it as a whole, and export sees the plain loop. It works in chunks of frames that fit
into a processor's cache.

The adjoint, with q the gradient that reaches h and g that of y: q_t = o_t g_t + a_{t+1} q_{t+1}; the gradient of
z_t is (1 - a_t) q_t, that of the logit of a_t the sum over parts of a_t q_t (h_{t-1} - h_t), since h_{t-1} - h_t is
(1 - a_t)(h_{t-1} - z_t), and that of the logit of o_t the sum over parts of o_t (1 - o_t) g_t h_t.
"""

import torch
from torch import Tensor

CHUNK_NUMBERS = 1 << 18
"""Numbers of the state in a chunk, 1 MiB of float32: near the flat minimum of forward and backward together."""


def gated_scan(projected: Tensor, state: Tensor, *, reverse: bool = False) -> tuple[Tensor, Tensor]:
    """Run a gated linear recurrence along the first axis.

    Args:
        projected: z (all features of the first part, then of the second), the logit of a, the logit of o, side by
            side: (frame, sequence, (part + 2) * feature); two parts of a complex number, or one of a real one.
        state: h before the first frame, (sequence, part * feature).
        reverse: run from the last frame to the first.

    Returns:
        y, (frame, sequence, part * feature), and h after the last frame, (sequence, part * feature).
    """
    if exporting():
        return plain_scan(projected, state, reverse=reverse)
    outputs, last, _, _ = torch.ops.audiocx.gated_scan(projected, state, reverse)
    return outputs, last


def plain_scan(projected: Tensor, state: Tensor, *, reverse: bool = False) -> tuple[Tensor, Tensor]:
    """Run the recurrence as it is written: what export unrolls, and what the operator is tested against."""
    n_numbers = state.shape[-1]
    keep, give = _gates(torch.sigmoid(projected[..., n_numbers:]))
    candidate = _by_part(projected[..., :n_numbers], keep)
    current = _by_part(state, keep)
    order = range(projected.shape[0])
    outputs: list[Tensor] = []
    for frame in reversed(order) if reverse else order:
        current = keep[frame] * current + (1.0 - keep[frame]) * candidate[frame]
        outputs.append((give[frame] * current).flatten(-2))
    return torch.stack(outputs[::-1] if reverse else outputs), current.flatten(-2)


def exporting() -> bool:
    """Whether `torch.export` traces: it unrolls plain loops instead of keeping operators of audiocx."""
    known = getattr(torch.compiler, "is_exporting", None)
    if known is not None:
        return bool(known())
    # Before torch 2.7 only `torch.export` with strict=False can be told from compilation; the strict form keeps
    # the operator, and what it exports runs where audiocx is imported.
    return torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()


def _gates(gates: Tensor) -> tuple[Tensor, Tensor]:
    """Views of a and o, each (frame, sequence, 1, feature), so that they apply to every part."""
    keep, give = gates.unsqueeze(-2).chunk(2, -1)
    return keep, give


def _by_part(numbers: Tensor, gate: Tensor) -> Tensor:
    """View (..., part * feature) as (..., part, feature)."""
    return numbers.unflatten(-1, (-1, gate.shape[-1]))


def _chunks(n_frames: int, n_numbers: int, *, backwards: bool) -> list[tuple[int, int]]:
    size = max(1, CHUNK_NUMBERS // max(1, n_numbers))
    bounds = [(start, min(start + size, n_frames)) for start in range(0, n_frames, size)]
    return bounds[::-1] if backwards else bounds


@torch.library.custom_op("audiocx::gated_scan", mutates_args=())
def _scan(projected: Tensor, state: Tensor, reverse: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n_numbers = state.shape[-1]
    states = projected.new_empty(*projected.shape[:2], n_numbers)
    outputs = torch.empty_like(states)
    gates = projected.new_empty(*projected.shape[:2], projected.shape[-1] - n_numbers)
    keep, give = _gates(gates)
    candidate = _by_part(projected[..., :n_numbers], keep)
    by_part, outputs_by_part, current = (_by_part(numbers, keep) for numbers in (states, outputs, state))
    for start, end in _chunks(len(states), state.numel(), backwards=reverse):
        torch.sigmoid(projected[start:end, :, n_numbers:], out=gates[start:end])
        order = range(start, end)
        for frame in reversed(order) if reverse else order:
            torch.lerp(candidate[frame], current, keep[frame], out=by_part[frame])
            current = by_part[frame]
        torch.mul(by_part[start:end], give[start:end], out=outputs_by_part[start:end])
    return outputs, current.flatten(-2).clone(), states, gates


@_scan.register_fake
def _(projected: Tensor, state: Tensor, reverse: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n_numbers = state.shape[-1]
    outputs = projected.new_empty(*projected.shape[:2], n_numbers)
    gates = projected.new_empty(*projected.shape[:2], projected.shape[-1] - n_numbers)
    last = torch.empty_like(state, memory_format=torch.contiguous_format)
    return outputs, last, torch.empty_like(outputs), gates


def _sum_over_parts(first: Tensor, second: Tensor) -> Tensor:
    """Sum of products over parts (..., part, feature), kept as an axis of one; half the passes of `sum`."""
    products = first[..., :1, :] * second[..., :1, :]
    if first.shape[-2] == 2:
        products.addcmul_(first[..., 1:, :], second[..., 1:, :])
    return products


@torch.library.custom_op("audiocx::gated_scan_backward", mutates_args=())
def _scan_backward(
    gradient: Tensor,
    last_gradient: Tensor | None,
    state: Tensor,
    states: Tensor,
    gates: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    n_numbers = state.shape[-1]
    result = states.new_empty(*states.shape[:2], n_numbers + gates.shape[-1])
    keep, give = _gates(gates)
    to_keep, to_give = _gates(result[..., n_numbers:])
    to_candidate, by_part, gradient, first = (
        _by_part(numbers, keep) for numbers in (result[..., :n_numbers], states, gradient, state)
    )
    carried = torch.zeros_like(state) if last_gradient is None else last_gradient.clone()
    carried = _by_part(carried, keep)  # a_{t+1} q_{t+1}
    n_frames, step = len(states), -1 if reverse else 1
    for start, end in _chunks(n_frames, state.numel(), backwards=not reverse):
        chunk = slice(start, end)
        reaching = gradient[chunk] * give[chunk]  # becomes q
        for frame in range(end - start) if reverse else range(end - start - 1, -1, -1):
            reaching[frame].add_(carried)
            torch.mul(reaching[frame], keep[start + frame], out=carried)
        # h_{t-1} - h_t: of the frame at the edge, whose predecessor is outside, and of the others
        change = torch.empty_like(reaching)
        edge = end - 1 if reverse else start
        before = by_part[edge - step] if 0 <= edge - step < n_frames else first
        torch.sub(before, by_part[edge], out=change[edge - start])
        later = slice(start, end - 1) if reverse else slice(start + 1, end)
        earlier = slice(start + 1, end) if reverse else slice(start, end - 1)
        torch.sub(by_part[earlier], by_part[later], out=change[:-1] if reverse else change[1:])
        torch.mul(_sum_over_parts(change, reaching), keep[chunk], out=to_keep[chunk])
        slope = give[chunk] * (1.0 - give[chunk])
        torch.mul(_sum_over_parts(gradient[chunk], by_part[chunk]), slope, out=to_give[chunk])
        torch.addcmul(reaching, reaching, keep[chunk], value=-1.0, out=to_candidate[chunk])
    return result, carried.flatten(-2)


@_scan_backward.register_fake
def _(
    gradient: Tensor,
    last_gradient: Tensor | None,
    state: Tensor,
    states: Tensor,
    gates: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    result = states.new_empty(*states.shape[:2], state.shape[-1] + gates.shape[-1])
    return result, torch.empty_like(state, memory_format=torch.contiguous_format)


def _keep_for_backward(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, state, ctx.reverse = inputs
    _, _, states, gates = output
    ctx.save_for_backward(state, states, gates)
    ctx.mark_non_differentiable(states, gates)
    ctx.set_materialize_grads(False)


def _backward(ctx, gradient, last_gradient, *_):  # type: ignore[no-untyped-def]
    state, states, gates = ctx.saved_tensors
    gradient = torch.zeros_like(states) if gradient is None else gradient.contiguous()
    gradients = torch.ops.audiocx.gated_scan_backward(
        gradient, last_gradient, state, states, gates, ctx.reverse
    )
    return (*gradients, None)


torch.library.register_autograd("audiocx::gated_scan", _backward, setup_context=_keep_for_backward)
