"""Unitary recurrence (Arjovsky et al. 2016), over the last axis: `layer(inputs, state) -> outputs, state`.

Neither the state nor its gradient grows or fades by a unitary W. b = -softplus(β) stays below 0: above it, zero is
a state that modReLU flees from, and every frame of silence multiplies gradients. b starts near 0, where the state
adds up all frames: unit input has E|h_t|² = t.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.initialisation import initialise_complex, initialise_real
from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.product import block_kernel
from audiocx.layers.sequences import by_frame, from_frames, without_autocast
from audiocx.layers.unitary import SMALL_SHRINKAGE, FactoredUnitary, FullOrthogonal, FullUnitary
from audiocx.layers.unitary_scan import unitary_scan

MATRICES: dict[str, Callable[[int], nn.Module]] = {"full": FullUnitary, "factored": FactoredUnitary}


class _UnitaryRecurrence(nn.Module, ABC):
    """What the unitary and the orthogonal recurrence share.

    Args:
        in_features: of the input.
        hidden: features of the state, and out.
        parts: real numbers of a feature, 2 for complex ones.
        matrix: gives the real matrix that acts on the planes of the state.
        reverse: run from the last frame to the first.
    """

    def __init__(self, in_features: int, hidden: int, parts: int, matrix: nn.Module, reverse: bool) -> None:
        super().__init__()
        self.in_features, self.hidden, self.parts, self.reverse = in_features, hidden, parts, reverse
        self.matrix = matrix
        self.shrinkage = nn.Parameter(torch.full((hidden,), SMALL_SHRINKAGE))

    @abstractmethod
    def input_kernel(self) -> Tensor:
        """Real matrix V, (parts * hidden, parts * in_features)."""

    def run(self, planar: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run over planes (batch, plane, ..., frame), from a state (sequence, parts * hidden) or from zeros."""
        sequences, places = by_frame(planar)
        driven = widen(functional.linear(sequences, self.input_kernel()))
        if state is None:
            state = driven.new_zeros(driven.shape[1], driven.shape[2])
        with without_autocast(planar):
            states = unitary_scan(
                driven, self.matrix(), -functional.softplus(self.shrinkage), state, reverse=self.reverse
            )
        if len(states):
            # A copy: a state that is kept must not keep all frames in memory.
            state = states[0 if self.reverse else -1].clone()
        return from_frames(states.to(planar.dtype), places), state

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.hidden}, reverse={self.reverse}"


class UnitaryRecurrence(_UnitaryRecurrence, PlanarLayer):
    """Recurrence with a unitary matrix and modReLU. Phase-equivariant.

    Formula:
        h_t = f(W h_{t-1} + V x_t),   f(p) = max(|p| + b, 0) p / |p|, W unitary, b < 0

    Source:
        Arjovsky et al. 2016; the full matrix after Wisdom et al. 2016 and Helfrich et al. 2018.

    Args:
        in_features: complex features in.
        hidden: complex features of the state, and out.
        matrix: `full`, any unitary matrix, or `factored`, Arjovsky's product with 7 real parameters a row.
        reverse: run from the last frame to the first.

    Shapes:
        (batch, 2 * in, ..., frame) -> (batch, 2 * hidden, ..., frame), or complex with half as many; the state is
        planar (sequence, 2 * hidden), a sequence for every batch item and place between.

    Raises:
        ConfigError: there is no such matrix.
    """

    phase_equivariant = True

    def __init__(self, in_features: int, hidden: int, *, matrix: str = "full", reverse: bool = False) -> None:
        if matrix not in MATRICES:
            raise ConfigError(
                describe(f"recurrence: no unitary matrix `{matrix}`", do=nearest(matrix, MATRICES))
            )
        super().__init__(in_features, hidden, 2, MATRICES[matrix](hidden), reverse)
        self.weight_real, self.weight_imag = (
            nn.Parameter(torch.empty(hidden, in_features)) for _ in range(2)
        )
        initialise_complex(self.weight_real, self.weight_imag, in_features)

    def input_kernel(self) -> Tensor:
        """Block form of V."""
        return block_kernel(self.weight_real, self.weight_imag)

    def transform(self, planar: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a planar tensor."""
        return self.run(planar, state)


class OrthogonalRecurrence(_UnitaryRecurrence):
    """Real twin of `UnitaryRecurrence`: any orthogonal matrix, and soft thresholds for modReLU.

    Formula:
        h_t = f(W h_{t-1} + V x_t),   f(p) = max(|p| + b, 0) sign(p), W orthogonal, b < 0

    Source:
        Arjovsky et al. 2016, with real numbers.

    Args:
        in_features: real features in.
        hidden: real features of the state, and out.
        reverse: run from the last frame to the first.

    Shapes:
        (batch, in, ..., frame) -> (batch, hidden, ..., frame); the state is (sequence, hidden).
    """

    def __init__(self, in_features: int, hidden: int, *, reverse: bool = False) -> None:
        super().__init__(in_features, hidden, 1, FullOrthogonal(hidden), reverse)
        self.weight = nn.Parameter(torch.empty(hidden, in_features))
        initialise_real(self.weight, in_features)

    def input_kernel(self) -> Tensor:
        """V itself."""
        return self.weight

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a real tensor."""
        return self.run(inputs, state)
