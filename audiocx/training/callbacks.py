"""Callbacks that look on: where the time goes, examples to hear and see."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from audiocx.data.batch import Batch
from audiocx.signal.stft import STFT
from audiocx.training.checkpoints import Checkpoints
from audiocx.training.pictures import spectrogram_figure
from audiocx.training.steps import begins_step
from audiocx.training.task import MaskingTask


class TimeShares(Callback):
    """Splits training time into data, STFT, network, metrics and checkpoints, in seconds.

    Args:
        checkpoints: what writes them; it stands before this one in the trainer's list.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self.seconds = {"data": 0.0, "stft": 0.0, "network": 0.0, "metrics": 0.0, "checkpoints": 0.0}
        self.n_steps = 0
        self._mark = 0.0
        self._stft_mark = 0.0
        self._in_validation = 0.0
        self._validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin."""
        self._mark = time.perf_counter()
        self._stft_mark = self._stft_seconds(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """What came before was fetching the batch, and its STFT."""
        in_checkpoints = self.checkpoints.seconds - self.seconds["checkpoints"]
        self.seconds["checkpoints"] += in_checkpoints
        if self._validated:
            self._validated = False
            self._add_validation(trainer)
            self.seconds["metrics"] -= in_checkpoints
            return
        now = time.perf_counter()
        in_stft = self._stft_seconds(trainer) - self._stft_mark
        self.seconds["stft"] += in_stft
        self.seconds["data"] += max(0.0, now - self._mark - in_stft - in_checkpoints)
        self._mark = now

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """What came before was the network: forward, backward, optimizer."""
        now = time.perf_counter()
        self.seconds["network"] += now - self._mark
        self.n_steps += begins_step(trainer, batch_idx + 1)
        self._mark = now
        self._stft_mark = self._stft_seconds(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count metrics."""
        self._in_validation = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count validation as metrics, with the pictures that follow it."""
        # What else is done at the end of a validation, pictures, runs to the next batch.
        self._validated = True
        self._add_validation(trainer)

    def _add_validation(self, trainer: Trainer) -> None:
        now = time.perf_counter()
        self.seconds["metrics"] += now - self._in_validation
        self._in_validation = self._mark = now
        self._stft_mark = self._stft_seconds(trainer)

    @property
    def seconds_per_step(self) -> float:
        """Mean time of a training step, data and STFT included."""
        in_steps = sum(self.seconds[name] for name in ("data", "stft", "network"))
        return in_steps / max(1, self.n_steps)

    def summary(self) -> str:
        """One line: seconds and shares."""
        total = sum(self.seconds.values()) or 1.0
        shares = ", ".join(
            f"{name} {value:.1f} s ({100 * value / total:.0f} %)" for name, value in self.seconds.items()
        )
        return f"time: {shares}; {self.seconds_per_step:.3f} s a step over {self.n_steps} steps"

    @staticmethod
    def _stft_seconds(trainer: Trainer) -> float:
        return float(getattr(trainer.datamodule, "stft_seconds", 0.0))  # type: ignore[attr-defined]


class TensorBoardExamples(Callback):
    """Writes audio and a picture of a few validation items to TensorBoard after each validation.

    Args:
        n_items: how many items of the first validation batch.
    """

    def __init__(self, n_items: int = 2) -> None:
        self.n_items = n_items
        self._batch: Batch | None = None

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Remember the first batch."""
        if batch_idx == 0:
            self._batch = batch

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write its first items."""
        writers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not writers or self._batch is None or not isinstance(pl_module, MaskingTask):
            return
        batch, self._batch = self._batch, None
        stft = STFT(**pl_module.separator.stft.settings)  # type: ignore[arg-type]  # on the CPU
        with torch.no_grad():
            estimates = pl_module(batch)
        for item in range(min(self.n_items, len(batch.mixture))):
            waveforms = {
                "noisy": batch.mixture[item, 0],
                "estimate": estimates[item, 0, 0],
                "clean": batch.target[item, 0, 0],
            }
            waveforms = {name: waveform.float().cpu() for name, waveform in waveforms.items()}
            figure = spectrogram_figure(
                waveforms["noisy"], waveforms["estimate"], waveforms["clean"], stft, title=batch.names[item]
            )
            for writer in writers:
                board = writer.experiment
                board.add_figure(f"examples/{item}", figure, trainer.global_step)
                for name, waveform in waveforms.items():
                    tag = f"examples/{item}_{name}"
                    board.add_audio(tag, waveform.clamp(-1, 1), trainer.global_step, stft.sample_rate)
