"""The run that `audiocx train` makes: a trainer with its callbacks, and what it leaves in the run folder."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from safetensors import SafetensorError

from audiocx.apps.settings import at_least, fitting
from audiocx.data.module import SpectralDataModule
from audiocx.errors import ConfigError, TrainingError, describe
from audiocx.models.build import packages
from audiocx.models.checkpoint import load
from audiocx.training.callbacks import TensorBoardExamples, TimeShares
from audiocx.training.checkpoints import Checkpoints, bring_best
from audiocx.training.progress import StepProgress
from audiocx.training.resume import Resume, shaping_settings
from audiocx.training.run_folder import RunFolder
from audiocx.training.steps import NEVER, RandomStateOfStep, ValidationSchedule
from audiocx.training.stops import Interrupted, StopEarly, StopOnInterrupt, StopWhenNotFinite
from audiocx.training.task import MaskingTask

log = logging.getLogger("audiocx")
console = Console()


def say(text: str) -> None:
    """Print a line and log it."""
    log.info(text)
    console.print(text, highlight=False, markup=False, soft_wrap=True)


class Run:
    """A trainer with its callbacks, and what is left in the run folder when it ends.

    Args:
        config: composed.
        folder: of the run; nothing is written before `fit`.

    Raises:
        ConfigError: a setting of `trainer`, `logger` or `early_stop` is unknown or does not fit the machine.

    Attributes:
        settings: those that shape the training, kept in each checkpoint.
        patience: validations without a better score after which it stops; None never stops.
    """

    def __init__(self, config: DictConfig, folder: RunFolder) -> None:
        self.folder = folder
        trainer, schedule = trainer_settings(config)
        plain: Any = OmegaConf.to_container(config, resolve=True)
        self.patience = patience(config)
        self.checkpoints = Checkpoints(folder, schedule["checkpoint_interval"], shaping_settings(plain))
        self.settings = self.checkpoints.settings
        self.shares = TimeShares(self.checkpoints)
        self.interrupt = StopOnInterrupt(self.checkpoints.write_last)
        self.early = StopEarly(self.patience)
        callbacks: list[Callback] = [
            self.checkpoints,
            self.interrupt,
            self.early,
            StepProgress(),
            self.shares,
        ]
        callbacks += [StopWhenNotFinite(), RandomStateOfStep(config.seed)]
        callbacks.append(ValidationSchedule(schedule["val_check_interval"]))
        if config.logger.tensorboard:
            n_items = at_least(0, "logger.tensorboard_items", config.logger.tensorboard_items)
            callbacks.append(TensorBoardExamples(n_items))
        at_least(0, "logger.log_every_n_steps", config.logger.log_every_n_steps)
        with fitting("trainer"):
            self.trainer = lightning.Trainer(
                **trainer,
                val_check_interval=NEVER,
                check_val_every_n_epoch=None,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
                enable_checkpointing=False,
                log_every_n_steps=config.logger.log_every_n_steps,
                enable_model_summary=False,
                logger=loggers(config, folder),
                callbacks=callbacks,
            )

    def fit(self, task: MaskingTask, data: SpectralDataModule, resume: Resume | None) -> None:
        """Train, and leave both checkpoints and the portable model.

        Args:
            task: what is trained.
            data: what on.
            resume: what to go on from.

        Raises:
            TrainingError: it cannot go on, or what it leaves cannot be written.
            KeyboardInterrupt: interrupted, after everything was written.
        """
        if resume is not None:
            self._go_on(resume)
        try:
            self.trainer.fit(task, datamodule=data, ckpt_path=None if resume is None else resume.path)
        except Interrupted:
            pass
        except SystemExit as error:  # how Lightning ends at a second Ctrl-C
            raise KeyboardInterrupt from error
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                describe(
                    f"training: the device's memory does not hold step {self.trainer.global_step + 1}",
                    do="lower data.batch_size (trainer.accumulate_grad_batches makes up for it) or the widths",
                )
            ) from error
        finally:
            self.interrupt.restore()
        say(self.shares.summary())
        self._report_end()
        self._save_model(packages(task.separator.config["model"]))
        if self.interrupt.interrupted:
            raise KeyboardInterrupt

    def _go_on(self, resume: Resume) -> None:
        """Take over what the run before has left, and say what is not as it was."""
        say(f"goes on from {resume.path} at step {resume.step}")
        differing = resume.differences(self.settings)
        if differing:
            say(f"with other settings than before: {', '.join(differing)}")
        if resume.best_step is not None and not bring_best(resume.path, self.folder):
            say("no best checkpoint lies beside it: the best from here on is kept")
        keep_curves(self.trainer.loggers, self.folder, resume.step)

    def _save_model(self, trust: Sequence[str]) -> None:
        """Leave the portable model of the best checkpoint, of the last one where nothing was validated."""
        used = next((path for path in (self.folder.best, self.folder.last) if path.is_file()), None)
        if used is None:
            return
        # A leg that was stopped before its first batch finds that of the leg before still there.
        self.folder.remove_model()
        try:
            load(used, trust=trust).save(self.folder.model)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                describe(
                    f"{self.folder.model}: cannot be written",
                    got=getattr(error, "strerror", None) or error,
                    do=f"the checkpoint it is made from is whole: {used}",
                )
            ) from error

    def _report_end(self) -> None:
        step = self.trainer.global_step
        if self.early.stopped:
            say(
                f"stopped early at step {step}: {self.early.n_without} validations without a better score; "
                f"the best, {self.checkpoints.best_score:.2f} dB, is that of step {self.checkpoints.best_step}"
            )
        elif self.interrupt.interrupted and step < self.trainer.max_steps:
            last = self.folder.last.is_file()
            say(f"stopped at step {step}" + (f"; go on with checkpoint={self.folder.path}" if last else ""))
        if self.interrupt.interrupted and (self.early.stopped or step >= self.trainer.max_steps):
            say(
                f"interrupted after the last step; test it with audiocx evaluate checkpoint={self.folder.path}"
            )


def patience(config: DictConfig) -> int | None:
    """Return how many validations without a better score end a training; None where none do.

    Raises:
        ConfigError: it is no whole number, or too small.
    """
    if not isinstance(config.early_stop, DictConfig):
        raise ConfigError(
            describe(
                f"early_stop={config.early_stop}: is a group of settings", do="write early_stop.patience=..."
            )
        )
    value: int | None = config.early_stop.patience
    return None if value is None else at_least(1, "early_stop.patience", value)


def trainer_settings(config: DictConfig) -> tuple[dict[str, Any], dict[str, int]]:
    """Split the settings of `trainer` into Lightning's own and what the callbacks take.

    Raises:
        ConfigError: a number is none or too small, or several devices or a precision are asked for that cannot be.
    """
    settings: dict[str, Any] = dict(OmegaConf.to_container(config.trainer, resolve=True))  # type: ignore[arg-type]
    for key in ("max_steps", "val_check_interval", "checkpoint_interval", "accumulate_grad_batches"):
        at_least(1, f"trainer.{key}", settings.get(key))
    if settings.get("devices") not in (1, "1", "auto"):
        raise ConfigError(
            describe("trainer.devices", expected="1", got=settings.get("devices"), do="train on one device")
        )
    if settings.get("precision") in ("16-true", "bf16-true"):
        raise ConfigError(
            describe(
                "trainer.precision",
                expected="32-true, 16-mixed or bf16-mixed",
                got=settings["precision"],
                do="spectra and weights stay in single precision",
            )
        )
    settings["devices"] = 1  # `auto` would take all GPUs
    schedule = {key: settings.pop(key) for key in ("val_check_interval", "checkpoint_interval")}
    return settings, schedule


def loggers(config: DictConfig, folder: RunFolder) -> list[Logger]:
    """Make the loggers of a config; they write when training begins."""
    chosen: list[Logger] = []
    if config.logger.csv:
        chosen.append(CSVLogger(folder.path, name="", version=""))
    if config.logger.tensorboard:
        chosen.append(TensorBoardLogger(folder.path, name="", version="tensorboard"))
    return chosen


def keep_curves(chosen: Sequence[Logger], folder: RunFolder, step: int) -> None:
    """Keep the rows of a `metrics.csv` that lie before the step at which this very run goes on.

    Lightning would delete the file, and what was logged after the checkpoint would stand there twice.
    """
    path = folder.path / "metrics.csv"
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        found = [{key: value for key, value in row.items() if key and value} for row in csv.DictReader(file)]
    # A kill may have cut the last line short.
    whole = [row for row in found if row.get("step", "").isdigit() and row.keys() > {"epoch", "step"}]
    for logger in chosen:
        if isinstance(logger, CSVLogger):
            logger.experiment.metrics.extend(row for row in whole if int(row["step"]) < step)
            logger.save()
