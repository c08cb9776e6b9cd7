"""Base of heads: what comes out of a network, and how it is applied."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.signal.masking import apply_mask


class Head(nn.Module, ABC):
    """Base of heads: planes of a network to a complex tensor, and that to an estimate.

    Args:
        bound: largest modulus of the mask; None for a free one (of `magnitude_mask`, whose sigmoid has to end: 1).
    """

    planes_per_source: ClassVar[int]
    phase_equivariant: ClassVar[bool] = False
    """A network that turns with its input gives an estimate that turns with it."""
    complex_word: ClassVar[str | None] = None
    """The head of the same model in complex arithmetic; each class says its own."""

    def __init__(self, bound: float | None = 2.0) -> None:
        super().__init__()
        if bound is not None and not bound > 0:
            raise ConfigError(
                describe("model.mask_bound", expected="a number above zero, or null", got=bound)
            )
        self.bound = bound

    @abstractmethod
    def forward(self, network_planes: Tensor, level: Tensor) -> Tensor:
        """Turn a network's planes into a mask.

        Args:
            network_planes: (batch * channel, plane, frequency, frame), float32.
            level: what the mixture was divided by (batch * channel, frame or 1).

        Returns:
            Complex mask (batch * channel, source, frequency, frame).
        """

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        """Apply a mask (batch, source, channel, frequency, frame) to the unscaled mixture."""
        return apply_mask(mixture_stft, mask)
