"""Linear recurrent unit (Orvieto et al. 2023), over the last axis: `layer(inputs, state) -> outputs, state`.

The diagonal λ stays inside the unit disc whatever an optimizer does. It starts on a ring, with γ = sqrt(1 - |λ|²),
so that white input of unit power has a state of unit power. The unit is linear: it needs an activation around it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe
from audiocx.layers.diagonal_scan import diagonal_scan
from audiocx.layers.initialisation import initialise_complex, initialise_real
from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.product import block_kernel
from audiocx.layers.sequences import by_frame, from_frames

RING = (0.9, 0.999)
"""Moduli of λ at the start: time constants of 9 to 1 000 frames."""

SMALLEST_DECAY = 1e-6
"""Added to exp(ν): float32 rounds exp(-x) to 1 for x below 3e-8, and |λ| must stay below 1."""

LARGEST_LOG_DECAY = 4.0
"""ν counts up to here, where |λ| is 2e-24; further up, its gradient would be 0 times infinity."""

LARGEST_LOG_ANGLE = 8.0


class _LinearRecurrence(nn.Module, ABC):
    """What the complex and the real linear recurrent unit share.

    Args:
        in_features: of the input.
        hidden: features of the state, and out.
        parts: real numbers of a feature, 2 for complex ones.
        reverse: run from the last frame to the first.
        ring: least and greatest modulus of λ at the start.
    """

    def __init__(
        self, in_features: int, hidden: int, parts: int, reverse: bool, ring: tuple[float, float]
    ) -> None:
        super().__init__()
        inner, outer = ring
        if not 0.0 < inner <= outer < 1.0:
            raise ConfigError(
                describe(
                    "recurrence: no ring inside the unit disc", expected="0 < inner <= outer < 1", got=ring
                )
            )
        self.in_features, self.hidden, self.parts, self.reverse = in_features, hidden, parts, reverse
        self.has_skip = in_features == hidden
        # Uniform over the area of the ring.
        squared = torch.rand(hidden) * (outer**2 - inner**2) + inner**2
        self.log_decay = nn.Parameter(torch.log(-0.5 * torch.log(squared)))
        self.log_gain = nn.Parameter(0.5 * torch.log1p(-squared))

    @abstractmethod
    def input_kernel(self) -> Tensor:
        """Real matrix B, (hidden * part, plane in): parts of a feature side by side."""

    @abstractmethod
    def output_kernel(self) -> Tensor:
        """Real matrix C, (plane out, hidden * part)."""

    @abstractmethod
    def factor(self) -> Tensor:
        """λ, (hidden, part)."""

    @abstractmethod
    def skip(self, sequences: Tensor) -> Tensor:
        """D x_t of planes (frame, sequence, plane)."""

    def modulus(self) -> Tensor:
        """|λ|, (hidden,), below 1 for whatever ν."""
        return torch.exp(-self.log_decay.clamp(max=LARGEST_LOG_DECAY).exp() - SMALLEST_DECAY)

    def run(self, planar: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run over real planes.

        Args:
            planar: (batch, plane, ..., frame).
            state: (sequence, hidden * part), a sequence for every batch item and place between; None is zeros.

        Returns:
            (batch, parts * hidden, ..., frame) and the state after the last frame.
        """
        sequences, places = by_frame(planar)
        gain = self.log_gain.exp().repeat_interleave(self.parts)
        driven = widen(functional.linear(sequences, gain.unsqueeze(1) * self.input_kernel()))
        if state is None:
            state = driven.new_zeros(driven.shape[1], driven.shape[2])
        by_part = (-1, self.parts)
        states = diagonal_scan(
            driven.unflatten(-1, by_part), self.factor(), state.unflatten(-1, by_part), reverse=self.reverse
        ).flatten(-2)
        if len(states):
            # A copy: a state that is kept must not keep all frames in memory.
            state = states[0 if self.reverse else -1].clone()
        outputs = functional.linear(states, self.output_kernel())
        if self.has_skip:
            outputs = outputs + self.skip(sequences)
        return from_frames(outputs.to(planar.dtype), places), state

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.hidden}, reverse={self.reverse}"


class LinearRecurrence(_LinearRecurrence, PlanarLayer):
    """Linear recurrent unit with a complex state. Phase-equivariant.

    All maps are linear, so a global phase passes through. D is diagonal, and is there when as many features leave
    as enter.

    Formula:
        h_t = λ h_{t-1} + γ B x_t,   y_t = C h_t + D x_t
        λ = exp(-exp(ν) + jθ),   θ = exp(θ_log),   γ = exp(γ_log)

    Source:
        Orvieto et al. 2023, §3.3 and §3.4.

    Args:
        in_features: complex features in.
        hidden: complex features of the state, and out.
        reverse: run from the last frame to the first.
        ring: least and greatest modulus of λ at the start; its angle is uniform.

    Shapes:
        (batch, 2 * in, ..., frame) -> (batch, 2 * hidden, ..., frame), or complex with half as many; the state is
        (sequence, 2 * hidden), real and imaginary part of every feature side by side, a sequence for every batch
        item and place between.
    """

    phase_equivariant = True

    def __init__(
        self, in_features: int, hidden: int, *, reverse: bool = False, ring: tuple[float, float] = RING
    ) -> None:
        super().__init__(in_features, hidden, 2, reverse, ring)
        self.log_angle = nn.Parameter(torch.log(2.0 * math.pi * torch.rand(hidden).clamp_min(1e-6)))
        self.in_real, self.in_imag = (nn.Parameter(torch.empty(hidden, in_features)) for _ in range(2))
        self.out_real, self.out_imag = (nn.Parameter(torch.empty(hidden, hidden)) for _ in range(2))
        initialise_complex(self.in_real, self.in_imag, in_features)
        gain = math.sqrt(0.5) if self.has_skip else 1.0
        initialise_complex(self.out_real, self.out_imag, hidden, gain)
        self.skip_weight = nn.Parameter(0.5 * torch.randn(2, hidden)) if self.has_skip else None

    def input_kernel(self) -> Tensor:
        """Block form of B, with its rows paired."""
        return block_kernel(self.in_real, self.in_imag).unflatten(0, (2, -1)).transpose(0, 1).flatten(0, 1)

    def output_kernel(self) -> Tensor:
        """Block form of C, with its columns paired."""
        return block_kernel(self.out_real, self.out_imag).unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)

    def factor(self) -> Tensor:
        """λ as pairs."""
        angle = self.log_angle.clamp(max=LARGEST_LOG_ANGLE).exp()
        return self.modulus().unsqueeze(-1) * torch.stack((angle.cos(), angle.sin()), -1)

    def skip(self, sequences: Tensor) -> Tensor:
        """D x_t."""
        assert self.skip_weight is not None
        real, imaginary = sequences.chunk(2, -1)
        weight_real, weight_imag = self.skip_weight
        return torch.cat(
            (weight_real * real - weight_imag * imaginary, weight_imag * real + weight_real * imaginary), -1
        )

    def transform(self, planar: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a planar tensor."""
        return self.run(planar, state)


class RealLinearRecurrence(_LinearRecurrence):
    """Real twin of `LinearRecurrence`: a real state, which decays and cannot oscillate.

    Formula:
        h_t = λ h_{t-1} + γ B x_t,   y_t = C h_t + D x_t
        λ = exp(-exp(ν)),   γ = exp(γ_log)

    Source:
        Orvieto et al. 2023, §3.3 and §3.4, with real numbers.

    Args:
        in_features: real features in.
        hidden: real features of the state, and out.
        reverse: run from the last frame to the first.
        ring: least and greatest λ at the start.

    Shapes:
        (batch, in, ..., frame) -> (batch, hidden, ..., frame); the state is (sequence, hidden).
    """

    def __init__(
        self, in_features: int, hidden: int, *, reverse: bool = False, ring: tuple[float, float] = RING
    ) -> None:
        super().__init__(in_features, hidden, 1, reverse, ring)
        self.in_weight = nn.Parameter(torch.empty(hidden, in_features))
        self.out_weight = nn.Parameter(torch.empty(hidden, hidden))
        initialise_real(self.in_weight, in_features)
        initialise_real(self.out_weight, hidden, math.sqrt(0.5) if self.has_skip else 1.0)
        self.skip_weight = nn.Parameter(math.sqrt(0.5) * torch.randn(hidden)) if self.has_skip else None

    def input_kernel(self) -> Tensor:
        """B itself."""
        return self.in_weight

    def output_kernel(self) -> Tensor:
        """C itself."""
        return self.out_weight

    def factor(self) -> Tensor:
        """λ as it is."""
        return self.modulus().unsqueeze(-1)

    def skip(self, sequences: Tensor) -> Tensor:
        """D x_t."""
        assert self.skip_weight is not None
        return self.skip_weight * sequences

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a real tensor."""
        return self.run(inputs, state)
