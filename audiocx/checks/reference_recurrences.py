"""Recurrences, frame by frame in native complex numbers from zeros, which the planar ones must equal.

All take (batch, feature, ..., frame), every place a sequence of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from audiocx.checks.reference_maps import native, paired


def _over_frames(z: Tensor, hidden: int, step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """Run `step(frame, state) -> output, state` with the features last, from zeros."""
    frames = z.movedim(1, -1).unbind(-2)  # each (batch, ..., feature)
    state, outputs = frames[0].new_zeros(*frames[0].shape[:-1], hidden), []
    for frame in frames:
        output, state = step(frame, state)
        outputs.append(output)
    return torch.stack(outputs, -1).movedim(-2, 1)


def _planes(x: Tensor) -> Tensor:
    return torch.cat((x.real, x.imag), -1) if x.is_complex() else x


def gated_linear(layer: Any, z: Tensor) -> Tensor:
    """h_t = a_t h_{t-1} + (1 - a_t)(B x_t + b), y_t = o_t h_t."""
    kernel = native(layer) if z.is_complex() else layer.weight
    bias = layer.bias if layer.bias is None or not z.is_complex() else paired(layer.bias)

    def step(frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        seen = frame.abs() if layer.gates == "modulus" else _planes(frame)
        keep, give = torch.sigmoid(seen @ layer.gate_weight.T + layer.gate_bias).chunk(2, -1)
        candidate = frame @ kernel.T + (0.0 if bias is None else bias)
        state = keep * state + (1.0 - keep) * candidate
        return give * state, state

    if layer.reverse:
        return _over_frames(z.flip(-1), layer.hidden, step).flip(-1)
    return _over_frames(z, layer.hidden, step)


def linear(layer: Any, z: Tensor) -> Tensor:
    """h_t = λ h_{t-1} + γ B x_t, y_t = C h_t + D x_t."""
    decay = layer.log_decay.exp() + 1e-6
    if z.is_complex():
        factor = torch.exp(torch.complex(-decay, layer.log_angle.exp()))
        entering, leaving = native(layer, "in"), native(layer, "out")
        skip = torch.complex(*layer.skip_weight) if layer.has_skip else 0.0
    else:
        factor, entering, leaving = torch.exp(-decay), layer.in_weight, layer.out_weight
        skip = layer.skip_weight if layer.has_skip else 0.0

    def step(frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = factor * state + layer.log_gain.exp() * (frame @ entering.T)
        outputs = state @ leaving.T
        return (outputs + skip * frame if layer.has_skip else outputs), state

    return _over_frames(z, layer.hidden, step)


def unitary(layer: Any, z: Tensor) -> Tensor:
    """h_t = f(W h_{t-1} + V x_t) with modReLU, or the soft threshold of real numbers."""
    matrix = matrix_of(layer.matrix)
    entering = native(layer) if z.is_complex() else layer.weight

    def step(frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = _shrunk(state @ matrix.T + frame @ entering.T, layer.shrinkage)
        return state, state

    return _over_frames(z, layer.hidden, step)


def _shrunk(numbers: Tensor, shrinkage: Tensor) -> Tensor:
    return torch.relu(numbers.abs() - softplus(shrinkage)) * torch.sgn(numbers)


def gated_unit(layer: Any, z: Tensor) -> Tensor:
    """Wolter and Yao's unit, or its real twin."""
    matrix = matrix_of(layer.matrix)
    if z.is_complex():
        entering, of_input, of_state = native(layer), native(layer, "gate_in"), native(layer, "gate_state")
        bias, gate_bias = torch.complex(*layer.bias.chunk(2)), torch.complex(*layer.gate_bias)
        share = torch.sigmoid(layer.mixing).repeat_interleave(layer.hidden)
    else:
        entering, of_input, of_state = layer.weight, layer.gate_in, layer.gate_state
        bias, gate_bias = layer.bias, layer.gate_bias

    def step(frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        logits = state @ of_state.T + frame @ of_input.T + gate_bias
        if z.is_complex():
            logits = share * logits.real + (1.0 - share) * logits.imag
        recall, update = torch.sigmoid(logits).chunk(2, -1)
        candidate = _shrunk((recall * state) @ matrix.T + frame @ entering.T + bias, layer.shrinkage)
        state = update * candidate + (1.0 - update) * state
        return state, state

    return _over_frames(z, layer.hidden, step)


def matrix_of(layer: Any) -> Tensor:
    """Cayley's transform of a skew matrix times the start, or Arjovsky's product; native numbers."""
    if hasattr(layer, "angles"):
        return _arjovskys_product(layer)
    if hasattr(layer, "skew"):
        general, start = layer.skew, layer.start
    else:
        general, start = native(layer, "skew"), native(layer, "start")
    skew = general - general.mH
    identity = torch.eye(len(skew), dtype=skew.dtype)
    return torch.linalg.inv(identity + skew) @ (identity - skew) @ start


def _arjovskys_product(layer: Any) -> Tensor:
    phases, vectors = torch.polar(torch.ones_like(layer.angles), layer.angles), native(layer, "reflection")

    def reflect(vector: Tensor, matrix: Tensor) -> Tensor:
        return matrix - 2.0 * torch.outer(vector, vector.conj() @ matrix) / vector.abs().square().sum()

    product = torch.diag(phases[0])
    product = reflect(vectors[0], torch.fft.fft(product, dim=0, norm="ortho"))[layer.permutation]
    product = torch.fft.ifft(phases[1].unsqueeze(1) * product, dim=0, norm="ortho")
    return phases[2].unsqueeze(1) * reflect(vectors[1], product)


def block_of_matrix(layer: Any, nothing: Tensor) -> Tensor:
    """The real matrix that acts on planes."""
    del nothing
    matrix = matrix_of(layer)
    if not matrix.is_complex():
        return matrix
    return torch.cat((torch.cat((matrix.real, -matrix.imag), 1), torch.cat((matrix.imag, matrix.real), 1)), 0)


def quasi_complex(layer: Any, z: Tensor) -> Tensor:
    """(R(X_r) - I(X_i)) + j (I(X_r) + R(X_i)), each by its formula."""
    real = real_cell(layer.real, z.real) - real_cell(layer.imaginary, z.imag)
    return torch.complex(real, real_cell(layer.imaginary, z.real) + real_cell(layer.real, z.imag))


def real_recurrence(layer: Any, x: Tensor) -> Tensor:
    """An LSTM or a GRU by its formula."""
    return real_cell(layer.recurrence, x)


def real_cell(cell: Any, x: Tensor) -> Tensor:
    """An LSTM (Hochreiter and Schmidhuber 1997) or a GRU (Cho et al. 2014), with torch's order of weights."""
    is_lstm, hidden = isinstance(cell, torch.nn.LSTM), cell.hidden_size

    def step(frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        of_frame = frame @ cell.weight_ih_l0.T + cell.bias_ih_l0
        of_state = state[..., :hidden] @ cell.weight_hh_l0.T + cell.bias_hh_l0
        if is_lstm:
            enter, keep, candidate, give = (of_frame + of_state).chunk(4, -1)
            inner = torch.sigmoid(keep) * state[..., hidden:] + torch.sigmoid(enter) * torch.tanh(candidate)
            output = torch.sigmoid(give) * torch.tanh(inner)
            return output, torch.cat((output, inner), -1)
        recall, update = torch.sigmoid((of_frame + of_state)[..., : 2 * hidden]).chunk(2, -1)
        candidate = torch.tanh(of_frame[..., 2 * hidden :] + recall * of_state[..., 2 * hidden :])
        state = (1.0 - update) * candidate + update * state
        return state, state

    return _over_frames(x, 2 * hidden if is_lstm else hidden, step)


def both_directions(layer: Any, z: Tensor) -> Tensor:
    """Gated linear recurrences to and fro, side by side."""
    return torch.cat((gated_linear(layer.forward_layer, z), gated_linear(layer.backward_layer, z)), 1)


def recurrent_halves(layer: Any, x: Tensor) -> Tensor:
    """Two real gated linear recurrences, each over its half."""
    real, imaginary = x.chunk(2, 1)
    return torch.cat((gated_linear(layer.real, real), gated_linear(layer.imaginary, imaginary)), 1)
