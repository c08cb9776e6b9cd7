"""Complex gated unit (Wolter & Yao 2018), over the last axis: `layer(inputs, state) -> outputs, state`.

The bias of its modReLU stays below 0, as in `unitary_recurrence`. Gates start open: their biases are 4 (1 + j), so
the unit starts as a unitary recurrence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.layers.gated_unit_scan import gated_unit_scan
from audiocx.layers.initialisation import initialise_complex, initialise_real
from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.product import block_kernel
from audiocx.layers.sequences import by_frame, from_frames, without_autocast
from audiocx.layers.unitary import SMALL_SHRINKAGE, FullOrthogonal, FullUnitary

OPEN_GATE = 4.0
"""Bias of gates at the start: σ(4) = 0.98."""


class _GatedUnit(nn.Module, ABC):
    """What the complex and the real gated unit share.

    Args:
        in_features: of the input.
        hidden: features of the state, and out.
        parts: real numbers of a feature, 2 for complex ones.
        matrix: gives the real matrix U that acts on the planes of the state.
        reverse: run from the last frame to the first.
    """

    def __init__(self, in_features: int, hidden: int, parts: int, matrix: nn.Module, reverse: bool) -> None:
        super().__init__()
        self.in_features, self.hidden, self.parts, self.reverse = in_features, hidden, parts, reverse
        self.matrix = matrix
        self.bias = nn.Parameter(torch.zeros(parts * hidden))
        self.shrinkage = nn.Parameter(torch.full((hidden,), SMALL_SHRINKAGE))

    @abstractmethod
    def input_kernel(self) -> Tensor:
        """Real matrix V, (parts * hidden, parts * in_features)."""

    @abstractmethod
    def gate_maps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Real maps of the logits of r, then of z: of the input, of the state, and biases."""

    def run(self, planar: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run over planes (batch, plane, ..., frame), from a state (sequence, parts * hidden) or from zeros."""
        sequences, places = by_frame(planar)
        of_input, of_state, gate_bias = self.gate_maps()
        driven = widen(functional.linear(sequences, self.input_kernel(), self.bias))
        logits = widen(functional.linear(sequences, of_input, gate_bias))
        if state is None:
            state = driven.new_zeros(driven.shape[1], driven.shape[2])
        with without_autocast(planar):
            bias = -functional.softplus(self.shrinkage)
            states = gated_unit_scan(
                driven, logits, self.matrix(), of_state, bias, state, reverse=self.reverse
            )
        if len(states):
            # A copy: a state that is kept must not keep all frames in memory.
            state = states[0 if self.reverse else -1].clone()
        return from_frames(states.to(planar.dtype), places), state

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.hidden}, reverse={self.reverse}"


class ComplexGatedUnit(_GatedUnit, PlanarLayer):
    """Complex gated unit with a unitary recurrent matrix. Not phase-equivariant, as its gates see planes.

    Formula:
        r_t = φ(W_r h_{t-1} + V_r x_t + b_r),   z_t = φ(W_z h_{t-1} + V_z x_t + b_z)
        c_t = f(U (r_t h_{t-1}) + V x_t + b),   h_t = z_t c_t + (1 - z_t) h_{t-1}
        φ(p) = σ(α Re p + (1 - α) Im p) with α learned for each gate, f modReLU, U unitary

    Source:
        Wolter and Yao 2018.

    Args:
        in_features: complex features in.
        hidden: complex features of the state, and out.
        reverse: run from the last frame to the first.

    Shapes:
        (batch, 2 * in, ..., frame) -> (batch, 2 * hidden, ..., frame), or complex with half as many; the state is
        planar (sequence, 2 * hidden), a sequence for every batch item and place between.
    """

    def __init__(self, in_features: int, hidden: int, *, reverse: bool = False) -> None:
        super().__init__(in_features, hidden, 2, FullUnitary(hidden), reverse)
        self.weight_real, self.weight_imag = (
            nn.Parameter(torch.empty(hidden, in_features)) for _ in range(2)
        )
        initialise_complex(self.weight_real, self.weight_imag, in_features)
        # Both gates: rows of r, then of z.
        self.gate_in_real, self.gate_in_imag = (
            nn.Parameter(torch.empty(2 * hidden, in_features)) for _ in range(2)
        )
        self.gate_state_real, self.gate_state_imag = (
            nn.Parameter(torch.empty(2 * hidden, hidden)) for _ in range(2)
        )
        initialise_complex(self.gate_in_real, self.gate_in_imag, in_features)
        initialise_complex(self.gate_state_real, self.gate_state_imag, hidden)
        self.gate_bias = nn.Parameter(torch.full((2, 2 * hidden), OPEN_GATE))
        self.mixing = nn.Parameter(torch.zeros(2))

    def input_kernel(self) -> Tensor:
        """Block form of V."""
        return block_kernel(self.weight_real, self.weight_imag)

    def gate_maps(self) -> tuple[Tensor, Tensor, Tensor]:
        """α Re + (1 - α) Im of complex maps, which is a real map of the planes with half the products."""
        share = torch.sigmoid(self.mixing).repeat_interleave(self.hidden)
        of_input = _mixed(block_kernel(self.gate_in_real, self.gate_in_imag), share)
        of_state = _mixed(block_kernel(self.gate_state_real, self.gate_state_imag), share)
        return of_input, of_state, torch.lerp(self.gate_bias[1], self.gate_bias[0], share)

    def transform(self, planar: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a planar tensor."""
        return self.run(planar, state)


def _mixed(kernel: Tensor, share: Tensor) -> Tensor:
    """α times the rows of real parts plus 1 - α times those of imaginary parts."""
    real, imaginary = kernel.chunk(2)
    return torch.lerp(imaginary, real, share.unsqueeze(1))


class RealGatedUnit(_GatedUnit):
    """Real twin of `ComplexGatedUnit`: an orthogonal recurrent matrix, sigmoid gates and soft thresholds.

    Formula:
        r_t = σ(W_r h_{t-1} + V_r x_t + b_r),   z_t = σ(W_z h_{t-1} + V_z x_t + b_z)
        c_t = f(U (r_t h_{t-1}) + V x_t + b),   h_t = z_t c_t + (1 - z_t) h_{t-1}
        f the soft threshold, U orthogonal

    Source:
        Wolter and Yao 2018, with real numbers.

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
        self.gate_in = nn.Parameter(torch.empty(2 * hidden, in_features))
        self.gate_state = nn.Parameter(torch.empty(2 * hidden, hidden))
        initialise_real(self.weight, in_features)
        initialise_real(self.gate_in, in_features)
        initialise_real(self.gate_state, hidden)
        self.gate_bias = nn.Parameter(torch.full((2 * hidden,), OPEN_GATE))

    def input_kernel(self) -> Tensor:
        """V itself."""
        return self.weight

    def gate_maps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights as they are."""
        return self.gate_in, self.gate_state, self.gate_bias

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a real tensor."""
        return self.run(inputs, state)
