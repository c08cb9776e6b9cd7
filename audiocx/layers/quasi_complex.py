"""Quasi-complex LSTM and GRU (DCCRN, Hu et al. 2020), over the last axis: `layer(inputs, state) -> outputs, state`.

Their gates see one part each, so there is no complex state and a global phase does not pass through.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.sequences import by_frame, from_frames, wide, without_autocast

CELLS: dict[str, tuple[Callable[[int, int], nn.RNNBase], int]] = {"lstm": (nn.LSTM, 2), "gru": (nn.GRU, 1)}
"""torch's recurrence and how many vectors its state has, by word."""


def _cell(word: str, in_features: int, hidden: int) -> tuple[nn.RNNBase, int]:
    if word not in CELLS:
        raise ConfigError(describe(f"recurrence: no cell `{word}`", do=nearest(word, CELLS)))
    make, n_vectors = CELLS[word]
    return make(in_features, hidden), n_vectors


def _run(recurrence: nn.RNNBase, sequences: Tensor, state: Tensor, *, reverse: bool) -> tuple[Tensor, Tensor]:
    """Run torch's recurrence over (frame, sequence, feature) from a state (sequence, vector * hidden)."""
    if not len(sequences):
        return sequences.new_zeros(0, sequences.shape[1], recurrence.hidden_size), state
    vectors = [wide(part).unsqueeze(0).contiguous() for part in state.split(recurrence.hidden_size, -1)]
    if reverse:
        sequences = sequences.flip(0)
    # Under autocast recurrences stay float32, as all of audiocx do: torch would keep the state in half precision.
    with without_autocast(sequences):
        outputs, last = recurrence(wide(sequences), tuple(vectors) if len(vectors) > 1 else vectors[0])
    if reverse:
        outputs = outputs.flip(0)
    return outputs, torch.cat(last if isinstance(last, tuple) else (last,), -1).squeeze(0)


class QuasiComplexRecurrence(PlanarLayer):
    """Two real LSTMs or GRUs, each of which runs over both parts in one call. Not phase-equivariant.

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
        n_sequences = sequences.shape[1]
        both = torch.cat(sequences.chunk(2, -1), 1)  # X_r, then X_i: (frame, 2 * sequence, feature)
        if state is None:
            state = both.new_zeros(n_sequences, 4 * self.n_vectors * self.hidden)
        of_real, of_imaginary = (torch.cat(half.chunk(2, -1)) for half in state.chunk(2, -1))
        by_real, of_real = _run(self.real, both, of_real, reverse=self.reverse)
        by_imaginary, of_imaginary = _run(self.imaginary, both, of_imaginary, reverse=self.reverse)
        real_of_real, real_of_imaginary = by_real.split(n_sequences, 1)
        imaginary_of_real, imaginary_of_imaginary = by_imaginary.split(n_sequences, 1)
        outputs = torch.cat(
            (real_of_real - imaginary_of_imaginary, imaginary_of_real + real_of_imaginary), -1
        )
        state = torch.cat((*of_real.split(n_sequences), *of_imaginary.split(n_sequences)), -1)
        return from_frames(outputs.to(planar.dtype), places), state

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
