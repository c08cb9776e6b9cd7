"""The two checkpoints of a run: the last one, to go on from, and the best one, to use."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from audiocx.errors import TrainingError, describe
from audiocx.training.run_folder import RunFolder, whole_file
from audiocx.training.steps import begins_step
from audiocx.training.task import monitored_score

SETTINGS_KEY = "audiocx_settings"
"""Key of a checkpoint under which the settings that shape a training are kept."""


class Checkpoints(Callback):
    """Writes `last.ckpt` every so many steps and after each validation, `best.ckpt` where the score is better.

    Both are written between two steps, when nothing is half done: Lightning's own callback writes in the middle of
    a step or a validation, and forgets the best score when a run goes on in another folder. A file is written
    under another name and renamed, so that a kill leaves the former one. The portable model that a former leg of
    the same run left is removed: it would be loaded in place of what is trained from here on.

    Args:
        folder: of the run.
        every_n_steps: steps between two writings of `last.ckpt`.
        settings: plain values, kept in each checkpoint.

    Raises:
        TrainingError: while training, where a checkpoint cannot be written or the former model not be removed.

    Attributes:
        best_score: of the best checkpoint; a score that is NaN counts as the lowest.
        best_step: step of it; None before the first validation.
        seconds: time spent writing.
    """

    def __init__(self, folder: RunFolder, every_n_steps: int, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.every_n_steps = every_n_steps
        self.settings = dict(settings)
        self.best_score = -math.inf
        self.best_step: int | None = None
        self.seconds = 0.0
        self._new_score: float | None = None
        self._saved_step: int | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the score until the validation is over."""
        self._new_score = monitored_score(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Write what is due after the step before this batch."""
        if begins_step(trainer, batch_idx):
            validated = self._new_score is not None
            self._write_best(trainer)
            if validated or trainer.global_step % self.every_n_steps == 0:
                self.write_last(trainer)
            # Only now, with the first batch, has training begun; and something must be there to be loaded.
            if self.folder.best.is_file() or self._saved_step is not None:
                self.folder.remove_model()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write both after the last step."""
        self._write_best(trainer)
        self.write_last(trainer)

    def _write_best(self, trainer: Trainer) -> None:
        score, self._new_score = self._new_score, None
        if score is not None and (self.best_step is None or score > self.best_score):
            self.best_score, self.best_step = score, trainer.global_step
            self._write(trainer, self.folder.best)

    def write_last(self, trainer: Trainer) -> None:
        """Write `last.ckpt`, unless it is that of this step; nothing before the first step."""
        if trainer.global_step in (0, self._saved_step):
            return
        self._write(trainer, self.folder.last)
        self._saved_step = trainer.global_step
        for logger in trainer.loggers:
            logger.save()  # curves reach as far as the checkpoint

    def _write(self, trainer: Trainer, path: Path) -> None:
        began = time.perf_counter()
        try:
            with whole_file(path) as temporary:
                trainer.save_checkpoint(temporary)
        except OSError as error:
            raise TrainingError(
                describe(
                    f"{path}: cannot be written at step {trainer.global_step}",
                    got=error.strerror or error,
                    do="the checkpoint before it is whole; mend the cause and go on with it",
                )
            ) from error
        self.seconds += time.perf_counter() - began

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the settings, and leave out that the next batch was fetched already."""
        checkpoint[SETTINGS_KEY] = self.settings
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for part in ("total", "current"):
            progress[part]["ready"] = progress[part]["completed"]

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on must know."""
        return {"best_score": self.best_score, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best score of the run before, if its checkpoint is here."""
        if self.folder.best.is_file():
            self.best_score, self.best_step = state_dict["best_score"], state_dict["best_step"]


def bring_best(checkpoint: Path, folder: RunFolder) -> bool:
    """Copy the best checkpoint that lies beside one to go on from into the folder of the run that goes on.

    Args:
        checkpoint: what the run goes on from.
        folder: of the run that goes on; it may be the same.

    Returns:
        Whether there is one now.

    Raises:
        TrainingError: it cannot be copied.
    """
    beside = checkpoint.parent / folder.best.name
    if folder.best.exists() or not beside.is_file():
        return folder.best.exists()
    try:
        with whole_file(folder.best) as temporary:
            shutil.copyfile(beside, temporary)
    except OSError as error:
        raise TrainingError(
            describe(f"{beside}: cannot be copied to {folder.best}", got=error.strerror)
        ) from error
    return True
