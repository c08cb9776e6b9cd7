"""Quasi-complex LSTM and GRU (DCCRN, Hu et al. 2020), over the last axis: `layer(inputs, state) -> outputs, state`.

Their gates see one part each, so there is no complex state and a global phase does not pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.sequences import by_frame, from_frames, without_autocast

CELLS: dict[str, tuple[Callable[[int, int], nn.RNNBase], int]] = {"lstm": (nn.LSTM, 2), "gru": (nn.GRU, 1)}
"""torch's recurrence and how many vectors its state has, by word."""


LARGE_NUMBERS = 1 << 20
"""Numbers that come out of a recurrence over both parts from which it runs over one after the other in training.

What a call keeps for the way back grows with it, and memory in pieces above 32 MiB goes back to the system after
each and has to be paged in anew: over 1 000 frames of 16 sequences, two calls more took 0.8 to 0.9 of the time.
"""


def _is_large(part: Tensor, hidden: int) -> bool:
    return (
        part.device.type == "cpu"
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and 2 * part.shape[0] * part.shape[1] * hidden >= LARGE_NUMBERS
    )


def _cell(word: str, in_features: int, hidden: int) -> tuple[nn.RNNBase, int]:
    if word not in CELLS:
        raise ConfigError(describe(f"recurrence: no cell `{word}`", do=nearest(word, CELLS)))
    make, n_vectors = CELLS[word]
    return make(in_features, hidden), n_vectors


def _run(recurrence: nn.RNNBase, sequences: Tensor, state: Tensor, *, reverse: bool) -> tuple[Tensor, Tensor]:
    """Run torch's recurrence over (frame, sequence, feature) from a state (sequence, vector * hidden)."""
    if not len(sequences):
        return sequences.new_zeros(0, sequences.shape[1], recurrence.hidden_size), state
    vectors = [widen(part).unsqueeze(0).contiguous() for part in state.split(recurrence.hidden_size, -1)]
    if reverse:
        sequences = sequences.flip(0)
    # Under autocast recurrences stay float32, as all of audiocx do: torch would keep the state in half precision.
    with without_autocast(sequences):
        outputs, last = recurrence(widen(sequences), tuple(vectors) if len(vectors) > 1 else vectors[0])
    if reverse:
        outputs = outputs.flip(0)
    return outputs, torch.cat(last if isinstance(last, tuple) else (last,), -1).squeeze(0)


class QuasiComplexRecurrence(PlanarLayer):
    """Two real LSTMs or GRUs, each of which runs over both parts. Not phase-equivariant.

    Formula:
        y = (R(x_r) - I(x_i)) + j (I(x_r) + R(x_i)),   R and I real LSTMs or GRUs

    Source:
        DCCRN, Hu et al. 2020.

    Args:
        in_features: complex features in.
        hidden: complex features out.
        cell: `lstm` or `gru`.
        reverse: run from the last frame to the first.

    Shapes:
        (batch, 2 * in, ..., frame) -> (batch, 2 * hidden, ..., frame), or complex with half as many; the state is
        (sequence, 4 * vector * hidden), that of R over both parts, then that of I; two vectors for an LSTM.

    Raises:
        ConfigError: there is no such cell.
    """

    def __init__(self, in_features: int, hidden: int, *, cell: str = "lstm", reverse: bool = False) -> None:
        super().__init__()
        self.in_features, self.hidden, self.reverse = in_features, hidden, reverse
        self.real, self.n_vectors = _cell(cell, in_features, hidden)
        self.imaginary, _ = _cell(cell, in_features, hidden)

    def transform(self, planar: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a planar tensor."""
        sequences, places = by_frame(planar)
        parts = sequences.chunk(2, -1)
        if state is None:
            state = sequences.new_zeros(sequences.shape[1], 4 * self.n_vectors * self.hidden)
        of_real, of_imaginary = state.chunk(2, -1)
        (real_of_real, real_of_imaginary), of_real = self._over_parts(self.real, parts, of_real)
        (imaginary_of_real, imaginary_of_imaginary), of_imaginary = self._over_parts(
            self.imaginary, parts, of_imaginary
        )
        outputs = torch.cat(
            (real_of_real - imaginary_of_imaginary, imaginary_of_real + real_of_imaginary), -1
        )
        return from_frames(outputs.to(planar.dtype), places), torch.cat((of_real, of_imaginary), -1)

    def _over_parts(
        self, recurrence: nn.RNNBase, parts: Sequence[Tensor], state: Tensor
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Run one of the two over real and imaginary parts; its state holds that of both, side by side."""
        states = state.chunk(2, -1)
        if _is_large(parts[0], self.hidden):
            runs = [
                _run(recurrence, part, of_part, reverse=self.reverse)
                for part, of_part in zip(parts, states, strict=True)
            ]
            return [outputs for outputs, _ in runs], torch.cat([after for _, after in runs], -1)
        # As twice the sequences: half the calls.
        outputs, after = _run(recurrence, torch.cat(list(parts), 1), torch.cat(states), reverse=self.reverse)
        return outputs.chunk(2, 1), torch.cat(after.chunk(2), -1)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.hidden}, reverse={self.reverse}"


class RealRecurrence(nn.Module):
    """Real twin of `QuasiComplexRecurrence`: torch's LSTM or GRU.

    Formula:
        y = R(x),   R a real LSTM or GRU

    Source:
        Hochreiter and Schmidhuber 1997; Cho et al. 2014.

    Args:
        in_features: real features in.
        hidden: real features out.
        cell: `lstm` or `gru`.
        reverse: run from the last frame to the first.

    Shapes:
        (batch, in, ..., frame) -> (batch, hidden, ..., frame); the state is (sequence, vector * hidden), two
        vectors for an LSTM.

    Raises:
        ConfigError: there is no such cell.
    """

    def __init__(self, in_features: int, hidden: int, *, cell: str = "lstm", reverse: bool = False) -> None:
        super().__init__()
        self.in_features, self.hidden, self.reverse = in_features, hidden, reverse
        self.recurrence, self.n_vectors = _cell(cell, in_features, hidden)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a real tensor."""
        sequences, places = by_frame(inputs)
        if state is None:
            state = sequences.new_zeros(sequences.shape[1], self.n_vectors * self.hidden)
        outputs, state = _run(self.recurrence, sequences, state, reverse=self.reverse)
        return from_frames(outputs.to(inputs.dtype), places), state

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.hidden}, reverse={self.reverse}"
