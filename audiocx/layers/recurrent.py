"""Recurrent layers, over the last axis of their input: `layer(inputs, state) -> outputs, state`.

Here are the gated linear ones and the join of two directions. Given no state, a layer starts from zeros; pieces run
with the state between them equal the whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe
from audiocx.layers.gated_scan import gated_scan
from audiocx.layers.initialisation import initialise_complex, initialise_real
from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer, concatenate
from audiocx.layers.product import block_kernel
from audiocx.layers.sequences import by_frame, from_frames

GATES = ("planes", "modulus")

LONGEST_KEEP = 4.0
"""Biases of a start evenly spaced from 0 to this: time constants of 1 to 55 frames."""


class _GatedLinear(nn.Module, ABC):
    """What the complex and the real gated linear recurrence share: gates, sequences and the scan.

    Args:
        in_features: of the input.
        hidden: features of the state.
        parts: real numbers of a feature, 2 for complex ones.
        gates: what they see, `planes` or `modulus`; with moduli there is no bias of the candidate, and all that
            follows turns with the phase of the input.
        reverse: run from the last frame to the first; then there is no state to hand on.
    """

    def __init__(self, in_features: int, hidden: int, parts: int, reverse: bool, gates: str) -> None:
        super().__init__()
        if gates not in GATES:
            raise ConfigError(
                describe(f"recurrence: gates cannot see `{gates}`", expected="planes or modulus")
            )
        self.in_features, self.hidden, self.parts, self.reverse = in_features, hidden, parts, reverse
        self.gates = gates
        n_seen = in_features if gates == "modulus" else parts * in_features
        self.gate_weight = nn.Parameter(torch.empty(2 * hidden, n_seen))
        self.gate_bias = nn.Parameter(torch.zeros(2 * hidden))
        # Features come at E|x|² = 1, so a plane of a complex one has half of that.
        power = 1.0 if gates == "modulus" else 1.0 / parts
        initialise_real(self.gate_weight, n_seen * power)
        with torch.no_grad():
            self.gate_bias[:hidden] = torch.linspace(0.0, LONGEST_KEEP, hidden)
        self.bias = nn.Parameter(torch.zeros(parts * hidden)) if gates == "planes" else None

    @abstractmethod
    def candidate_kernel(self) -> Tensor:
        """Real matrix of the candidate, (parts * hidden, parts * in_features)."""

    def project(self, sequences: Tensor) -> Tensor:
        """Candidate and logits of both gates, side by side, of planes (frame, sequence, plane)."""
        kernel = self.candidate_kernel()
        if self.bias is not None:
            weight, bias = torch.cat((kernel, self.gate_weight)), torch.cat((self.bias, self.gate_bias))
            return functional.linear(sequences, weight, bias)
        moduli = torch.linalg.vector_norm(sequences.unflatten(-1, (self.parts, -1)), dim=-2)
        gates = functional.linear(moduli, self.gate_weight, self.gate_bias)
        return torch.cat((functional.linear(sequences, kernel), gates), -1)

    def run(self, planar: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run over real planes.

        Args:
            planar: (batch, plane, ..., frame).
            state: (sequence, parts * hidden), a sequence for every batch item and place between; None is zeros.

        Returns:
            (batch, parts * hidden, ..., frame) and the state after the last frame.
        """
        sequences, places = by_frame(planar)
        projected = widen(self.project(sequences))
        if state is None:
            state = projected.new_zeros(projected.shape[1], self.parts * self.hidden)
        outputs, state = gated_scan(projected, state, reverse=self.reverse)
        return from_frames(outputs.to(planar.dtype), places), state

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.hidden}, reverse={self.reverse}, gates={self.gates}"


class GatedLinearRecurrence(_GatedLinear, PlanarLayer):
    """Gated linear recurrence with a complex candidate and state, and real gates.

    The gates see the planes [x] or, with `gates="modulus"`, the moduli |x|; then the candidate has no bias, and a
    global phase passes through. The biases b_a spread the time constants at the start over 1 to 55 frames.

    Formula:
        z_t = B x_t + b,   a_t = σ(W_a [x_t] + b_a),   o_t = σ(W_o [x_t] + b_o)
        h_t = a_t h_{t-1} + (1 - a_t) z_t,   y_t = o_t h_t

    Source:
        minGRU (Feng et al. 2024, §3.1) and HGRN (Qin et al. 2023), with a complex candidate and an output gate.

    Args:
        in_features: complex features in.
        hidden: complex features of the state, and out.
        reverse: run from the last frame to the first.
        gates: what the gates see, `planes` or `modulus`, which lets a global phase pass through.

    Shapes:
        (batch, 2 * in, ..., frame) -> (batch, 2 * hidden, ..., frame), or complex with half as many; the state is
        planar (sequence, 2 * hidden), a sequence for every batch item and place between.
    """

    def __init__(
        self, in_features: int, hidden: int, *, reverse: bool = False, gates: str = "planes"
    ) -> None:
        super().__init__(in_features, hidden, 2, reverse, gates)
        self.phase_equivariant = gates == "modulus"
        self.weight_real = nn.Parameter(torch.empty(hidden, in_features))
        self.weight_imag = nn.Parameter(torch.empty(hidden, in_features))
        initialise_complex(self.weight_real, self.weight_imag, in_features)

    def candidate_kernel(self) -> Tensor:
        """Block form of the complex matrix."""
        return block_kernel(self.weight_real, self.weight_imag)

    def transform(self, planar: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a planar tensor."""
        return self.run(planar, state)


class RealGatedLinearRecurrence(_GatedLinear):
    """Real twin of `GatedLinearRecurrence`: a real candidate and state, a gate for every real feature.

    Formula:
        z_t = B x_t + b,   a_t = σ(W_a x_t + b_a),   o_t = σ(W_o x_t + b_o)
        h_t = a_t h_{t-1} + (1 - a_t) z_t,   y_t = o_t h_t

    Source:
        minGRU (Feng et al. 2024, §3.1) and HGRN (Qin et al. 2023), with an output gate.

    Args:
        in_features: real features in.
        hidden: real features of the state, and out.
        reverse: run from the last frame to the first.
        gates: what the gates see, `planes` or `modulus` (the absolute values).

    Shapes:
        (batch, in, ..., frame) -> (batch, hidden, ..., frame); the state is (sequence, hidden).
    """

    def __init__(
        self, in_features: int, hidden: int, *, reverse: bool = False, gates: str = "planes"
    ) -> None:
        super().__init__(in_features, hidden, 1, reverse, gates)
        self.weight = nn.Parameter(torch.empty(hidden, in_features))
        initialise_real(self.weight, in_features)

    def candidate_kernel(self) -> Tensor:
        """The matrix itself."""
        return self.weight

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a real tensor."""
        return self.run(inputs, state)


class BothDirections(nn.Module):
    """A recurrence from the first frame to the last and another back, their outputs side by side.

    Formula:
        y_t = (there_t(x), back_t(x)),   of each its outputs

    Source:
        Schuster and Paliwal 1997.

    Args:
        forward_layer, backward_layer: the two, the second one made with `reverse`.
        paired: outputs are planar, and stay so: real parts of both, then imaginary parts of both.

    Shapes:
        (batch, plane, ..., frame) -> (batch, 2 * hidden plane, ..., frame).
    """

    def __init__(self, forward_layer: nn.Module, backward_layer: nn.Module, *, paired: bool) -> None:
        super().__init__()
        self.forward_layer, self.backward_layer, self.paired = forward_layer, backward_layer, paired

    def forward(self, inputs: Tensor) -> Tensor:
        """Run both."""
        both = (self.forward_layer(inputs)[0], self.backward_layer(inputs)[0])
        # Native complex features have no halves to keep together.
        paired = self.paired and not inputs.is_complex()
        return concatenate(both) if paired else torch.cat(both, 1)
