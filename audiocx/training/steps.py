"""What a step does by its number alone, so that a run that was stopped and goes on does the same.

Lightning keeps no random state, restores its counters differently at different hooks, and validates when a run is
stopped. Here random numbers and validations depend on the number of the step and on nothing that happened before.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

NEVER = sys.maxsize
"""An interval of Lightning's that never comes round: validation is called for by `ValidationSchedule`."""


def begins_step(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a batch is the first of its step: no gradient is accumulated before it."""
    return batch_idx % trainer.accumulate_grad_batches == 0


class RandomStateOfStep(Callback):
    """Gives every batch random numbers (dropout, level jitter) of its own: a function of seed and step.

    Nothing has to be saved, and what validation draws in between changes nothing.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed the generators of torch (all devices), of Python and of numpy."""
        part_of_step = batch_idx % trainer.accumulate_grad_batches
        origin = [self.seed, trainer.global_step, part_of_step, trainer.global_rank]
        words = np.random.SeedSequence(origin).generate_state(3)
        torch.manual_seed(int(words[0]))
        random.seed(int(words[1]))
        np.random.seed(int(words[2]))  # noqa: NPY002 (a user's own model may draw from it)


class ValidationSchedule(Callback):
    """Validates after every so many steps, and after the last one: the end of the schedule is the best part.

    Args:
        interval: in steps.
    """

    def __init__(self, interval: int) -> None:
        self.interval = interval

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Say whether this batch is followed by a validation."""
        ends_step = begins_step(trainer, batch_idx + 1)
        step = trainer.global_step + 1
        due = ends_step and (step % self.interval == 0 or step == trainer.max_steps)
        # Lightning validates after batches whose number, from 1, is a multiple of this.
        trainer.val_check_batch = trainer.fit_loop.epoch_loop.total_batch_idx + 1 if due else NEVER
