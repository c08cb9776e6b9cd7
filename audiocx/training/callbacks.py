"""Callbacks: where the time goes, a graceful Ctrl-C, examples to hear and see."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from audiocx.data.batch import Batch
from audiocx.errors import TrainingError, describe
from audiocx.signal.stft import STFT
from audiocx.training.pictures import spectrogram_figure
from audiocx.training.task import MaskingTask


class TimeShares(Callback):
    """Splits training time into data, STFT, network and metrics, in seconds."""

    def __init__(self) -> None:
        self.seconds = {"data": 0.0, "stft": 0.0, "network": 0.0, "metrics": 0.0}
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
        if self._validated:
            self._validated = False
            self._add_validation(trainer)
            return
        now = time.perf_counter()
        in_stft = self._stft_seconds(trainer) - self._stft_mark
        self.seconds["stft"] += in_stft
        self.seconds["data"] += max(0.0, now - self._mark - in_stft)
        self._mark = now

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """What came before was the network: forward, backward, optimizer."""
        now = time.perf_counter()
        self.seconds["network"] += now - self._mark
        self.n_steps += 1
        self._mark = now
        self._stft_mark = self._stft_seconds(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count metrics."""
        self._in_validation = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count validation as metrics, with the checkpoints and pictures that follow it."""
        # What else is done at the end of a validation, checkpoints and pictures, runs to the next batch.
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
        in_steps = sum(value for name, value in self.seconds.items() if name != "metrics")
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


class StopOnInterrupt(Callback):
    """Ctrl-C (or SIGTERM) ends training after the step at hand, so that the last checkpoint is whole.

    A second Ctrl-C stops at once.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._previous: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals; only the main thread may."""
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._previous[number] = signal.signal(number, self._handle)
            except ValueError:
                return

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop after this step."""
        if self.interrupted:
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self.restore()

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()


class ValidateLastStep(Callback):
    """Validates after the last step, wherever the interval falls: the end of the schedule is the best part."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Move the next validation to this batch, where it is the last one."""
        last_step = trainer.global_step == trainer.max_steps - 1
        if last_step and (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            trainer.val_check_batch = trainer.fit_loop.epoch_loop.total_batch_idx + 1


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
