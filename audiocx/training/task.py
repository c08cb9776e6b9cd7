"""The Lightning module: a separator, a loss, an optimizer and a schedule, and what happens in a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning
from torch import Tensor
from torch.optim import Optimizer

from audiocx.data.batch import Batch
from audiocx.losses.base import Loss
from audiocx.metrics.accumulate import MeanScore
from audiocx.models.checkpoint import CHECKPOINT_KEY
from audiocx.models.conditions import Conditions
from audiocx.models.separator import Separator

MONITOR = "val/si_sdr_improvement_db"
"""What the best checkpoint is chosen by; higher is better."""


def monitored_score(trainer: lightning.Trainer) -> float:
    """Return the score of the validation that ends; NaN, and none at all, count as the lowest there is."""
    score = float(trainer.callback_metrics.get(MONITOR, math.nan))
    return -math.inf if math.isnan(score) else score


class MaskingTask(lightning.LightningModule):
    """Trains a separator's model on batches that carry the mixture's STFT.

    Args:
        separator: what is trained.
        loss: `loss(estimate, target, mixture=...)` on waveforms.
        optimizer: called with (name, parameter) pairs.
        scheduler: called with (optimizer, max_steps=...), stepped every step; None for a constant rate.
    """

    def __init__(
        self,
        separator: Separator,
        loss: Loss,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.loss = loss
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.improvement = MeanScore("si_sdr_db", stft=separator.stft, improvement=True)

    def forward(self, batch: Batch) -> Tensor:
        """Estimate the sources of a batch, (batch, source, channel, sample)."""
        assert batch.mixture_stft is not None
        model, stft = self.separator.model, self.separator.stft
        mask = model(batch.mixture_stft, Conditions(direction=batch.direction))
        estimate_stft = model.apply_mask(batch.mixture_stft, mask)
        return stft.inverse(estimate_stft, batch.mixture.shape[-1])

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of a batch."""
        value: Tensor = self.loss(self(batch), batch.target, mixture=batch.mixture)
        self.log("train/loss", value, batch_size=len(batch.mixture))
        return value

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Log the loss and the improvement of the items that have both noise and speech."""
        estimate = self(batch)
        n_items = len(batch.mixture)
        loss = self.loss(estimate, batch.target, mixture=batch.mixture)
        self.log("val/loss", loss, batch_size=n_items, sync_dist=True)
        self.improvement.update(estimate, batch.target, batch.mixture.unsqueeze(1))
        # Lightning takes the mean over all batches and processes, and resets it.
        self.log(MONITOR, self.improvement, batch_size=n_items)

    def configure_optimizers(self) -> Any:
        """Make the optimizer and its schedule."""
        optimizer = self.make_optimizer(list(self.separator.named_parameters()))
        if self.make_scheduler is None:
            return optimizer
        scheduler = self.make_scheduler(optimizer, max_steps=self.trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the separator's config, so that a checkpoint alone is enough to enhance a file."""
        checkpoint[CHECKPOINT_KEY] = self.separator.config
