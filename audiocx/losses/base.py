"""What all losses share: the signature, and what stands in for a silent target."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from audiocx.errors import ShapeError, describe

SILENT_RATIO = 1e-7
"""A target 70 dB below its mixture counts as silent."""
SMALLEST_ENERGY = 1e-12


class Loss(nn.Module, ABC):
    """A loss of waveforms, the mean over the batch of one value for every item and source."""

    @abstractmethod
    def forward(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> Tensor:
        """Return the loss.

        Args:
            estimate: waveforms (batch, source, channel, sample).
            target: the same shape; may be silent.
            mixture: (batch, channel, sample); what a silent target's residual is compared with.

        Returns:
            Scalar.

        Raises:
            ShapeError: the shapes differ.
        """


def check_pair(estimate: Tensor, target: Tensor) -> None:
    """Check that two tensors (batch, source, channel, sample) agree.

    Raises:
        ShapeError: they do not.
    """
    if estimate.shape != target.shape or estimate.ndim != 4:
        raise ShapeError(
            describe(
                "loss: estimate and target differ",
                expected="two of (batch, source, channel, sample)",
                got=f"{tuple(estimate.shape)} and {tuple(target.shape)}",
            )
        )


def energy(signal: Tensor) -> Tensor:
    """Energy (batch, source) of waveforms (batch, source, channel, sample), in float32 at least."""
    signal = signal.float() if signal.dtype in (torch.float16, torch.bfloat16) else signal
    return signal.square().sum((-2, -1))


def reference_energy(target: Tensor, mixture: Tensor | None) -> tuple[Tensor, Tensor]:
    """Energy that an error is compared with: the target's or, where that is silent, the mixture's.

    Args:
        target: (batch, source, channel, sample).
        mixture: (batch, channel, sample) or None.

    Returns:
        Energy (batch, source), never zero, and whether the target is silent (batch, source).
    """
    of_target = energy(target)
    of_mixture = of_target if mixture is None else energy(mixture.unsqueeze(1)).expand_as(of_target)
    silent = of_target <= SILENT_RATIO * of_mixture + SMALLEST_ENERGY
    return torch.where(silent, of_mixture, of_target).clamp_min(SMALLEST_ENERGY), silent
