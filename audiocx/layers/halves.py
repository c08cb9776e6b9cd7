"""Layers of the dual arithmetic: one for the real halves of pairs, another for the imaginary halves."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Halves(nn.Module):
    """Two layers of one kind for the two halves of the planes, which never meet.

    Formula:
        y = f(Re z) + j g(Im z),   f and g real layers with weights of their own

    Source:
        The split kernels of Deshpande's report, "The Reality Behind the Optimization of Imaginary Variables".

    Args:
        make: makes the real layer of one half.

    Shapes:
        (batch, 2 * in, ...) -> (batch, 2 * out, ...).
    """

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.real, self.imaginary = make(), make()

    def forward(self, planar: Tensor) -> Tensor:
        """Apply both."""
        real, imaginary = planar.chunk(2, 1)
        return torch.cat((self.real(real), self.imaginary(imaginary)), 1)


class RecurrentHalves(nn.Module):
    """Two recurrences of one kind for the two halves of the planes, which never meet.

    Formula:
        y = f(Re z) + j g(Im z),   f and g real recurrences with weights of their own

    Source:
        As `Halves`.

    Args:
        make: makes the real recurrence of one half.

    Shapes:
        (batch, 2 * in, ..., frame) -> (batch, 2 * hidden, ..., frame); the state is that of both, side by side.
    """

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.real, self.imaginary = make(), make()

    def forward(self, planar: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run both."""
        real, imaginary = planar.chunk(2, 1)
        real_state, imaginary_state = (None, None) if state is None else state.chunk(2, -1)
        real, real_state = self.real(real, real_state)
        imaginary, imaginary_state = self.imaginary(imaginary, imaginary_state)
        return torch.cat((real, imaginary), 1), torch.cat((real_state, imaginary_state), -1)
