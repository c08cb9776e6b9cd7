"""Callbacks that end a training before its last step: Ctrl-C, no better score, a loss that is no number."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from audiocx.errors import TrainingError, describe
from audiocx.training.steps import begins_step
from audiocx.training.task import monitored_score


class Interrupted(Exception):
    """Training was stopped from outside, between two steps, with its state saved."""


class StopOnInterrupt(Callback):
    """Ctrl-C (or SIGTERM) ends training after the step at hand, with the validation that belongs to it.

    It ends by an exception, because Lightning validates once more when it is asked to stop: a run that goes on
    would have been validated at a step where an uninterrupted one is not. A second Ctrl-C stops at once.

    Args:
        save: called with the trainer before the end.
    """

    def __init__(self, save: Callable[[Trainer], None]) -> None:
        self.save = save
        self.interrupted = False
        self._previous: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals; only the main thread may."""
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._previous[number] = signal.signal(number, self._handle)
            except ValueError:
                return

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them over again: Lightning has put a handler of SIGTERM there that ends training without a save."""
        for number in self._previous:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop before this step."""
        if self.interrupted and begins_step(trainer, batch_idx):
            self.save(trainer)
            raise Interrupted

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()


class StopEarly(Callback):
    """Ends training after so many validations without a better score.

    Args:
        patience: that many; None never stops, and counts nevertheless.

    Attributes:
        stopped: whether it has ended this training.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.best_score = -math.inf
        self.n_without = 0
        self.stopped = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count."""
        score = monitored_score(trainer)
        if score > self.best_score:
            self.best_score, self.n_without = score, 0
        else:
            self.n_without += 1
        if self.patience is not None and self.n_without >= self.patience:
            self.stopped = trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on must know."""
        return {"best_score": self.best_score, "n_without": self.n_without}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.best_score, self.n_without = state_dict["best_score"], state_dict["n_without"]


class StopWhenNotFinite(Callback):
    """Ends a training whose loss is no number any more, with a line instead of a useless night.

    Args:
        every_n_steps: how often to look; looking waits for the device.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        self.every_n_steps = every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss."""
        if trainer.global_step % self.every_n_steps:
            return
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is not None and not bool(torch.isfinite(loss)):
            raise TrainingError(
                describe(
                    f"training: the loss is {float(loss)} at step {trainer.global_step}",
                    do="lower the learning rate (optimizer.lr=...), or look at the data",
                )
            )
