"""Progress of a training counted in steps: seconds a step, time left, loss, the monitored score."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from audiocx.training.task import MONITOR


class StepProgress(ProgressBar):
    """A bar on a terminal; a line every `line_seconds` where output goes to a file.

    Args:
        line_seconds: seconds between lines where there is no terminal.
    """

    def __init__(self, line_seconds: float = 30.0) -> None:
        super().__init__()
        self.line_seconds = line_seconds
        self.console = Console()
        self._enabled = True
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._started = 0.0
        self._first_step = 0
        self._last_line = 0.0

    def disable(self) -> None:
        """Show nothing (Lightning calls this on all processes but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Show again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the bar."""
        self._started = self._last_line = time.monotonic()
        self._first_step = trainer.global_step
        if not self._enabled or not self.console.is_terminal:
            return
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._progress.start()
        self._task = self._progress.add_task(
            "training", total=trainer.max_steps, completed=trainer.global_step, facts=""
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, or print a line now and then."""
        if not self._enabled:
            return
        if self._progress is not None:
            self._progress.update(self._task, completed=trainer.global_step, facts=self._facts(trainer))
        elif time.monotonic() - self._last_line >= self.line_seconds:
            self._last_line = time.monotonic()
            left = (trainer.max_steps - trainer.global_step) * self._seconds_per_step(trainer)
            self.console.print(
                f"step {trainer.global_step}/{trainer.max_steps}  {self._facts(trainer)}  {left:.0f} s left",
                highlight=False,
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the bar."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the bar, so that the message stands on a line of its own."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _seconds_per_step(self, trainer: Trainer) -> float:
        n_steps = max(1, trainer.global_step - self._first_step)
        return (time.monotonic() - self._started) / n_steps

    def _facts(self, trainer: Trainer) -> str:
        facts = [f"{self._seconds_per_step(trainer):.2f} s/step"]
        metrics = trainer.callback_metrics
        if "train/loss" in metrics:
            facts.append(f"loss {float(metrics['train/loss']):.2f}")
        if MONITOR in metrics:
            facts.append(f"valid SI-SDR gain {float(metrics[MONITOR]):.2f} dB")
        return "  ".join(facts)
