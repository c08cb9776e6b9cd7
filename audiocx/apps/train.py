"""`audiocx train`: builds what the config names, trains, tests the best checkpoint, writes the run folder."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from audiocx.apps.settings import at_least, fitting
from audiocx.data.module import SpectralDataModule
from audiocx.errors import AudiocxError, CheckpointError, ConfigError, describe
from audiocx.evaluation.session import report_test
from audiocx.models.build import packages
from audiocx.models.checkpoint import load
from audiocx.models.counting import count_macs_per_second, count_parameters
from audiocx.models.separator import Separator
from audiocx.training.callbacks import (
    StopOnInterrupt,
    StopWhenNotFinite,
    TensorBoardExamples,
    TimeShares,
    ValidateLastStep,
)
from audiocx.training.progress import StepProgress
from audiocx.training.run_folder import RunFolder
from audiocx.training.task import MONITOR, MaskingTask

log = logging.getLogger("audiocx")
console = Console()


def train(config: DictConfig) -> int:
    """Train, test and report.

    Args:
        config: composed from conf/train.yaml.

    Returns:
        Exit code; 1 where test items failed.

    Raises:
        AudiocxError: something that the config names does not fit.
        KeyboardInterrupt: interrupted, after the last checkpoint was written.
    """
    started = time.monotonic()
    _quiet_libraries()
    name = str(HydraConfig.get().runtime.choices.get("model", "model"))
    folder = RunFolder(HydraConfig.get().runtime.output_dir)
    # What can be wrong with the words is found before anything is rendered, read or written.
    with fitting("seed"):
        lightning.seed_everything(config.seed, workers=True, verbose=False)
    at_least(0, "n_examples", config.n_examples)
    separator = make_separator(config)
    trust = packages(separator.config["model"])  # what this very config has built may be built again
    task = make_task(config, separator)
    run = Run(config, folder)
    resume = resumed_checkpoint(config.checkpoint, task, run.trainer.max_steps, trust)
    with fitting("data"):
        data = instantiate(config.data, stft=separator.stft, seed=config.seed, _convert_="all")
    _check_sources(separator, data)
    folder.make(going_on=resume)
    handler = folder.log_to_file()
    try:
        data.prepare_data()
        data.setup("fit")
        _describe_run(config, folder, name, separator, data)
        run.fit(task, data, resume)
        failed = _test(config, folder, name, data, trust) if config.test else 0
        _say(f"all in {time.monotonic() - started:.0f} s; run folder: {folder.path}")
    except AudiocxError as error:
        handler.close()
        if error.exit_code == 2:
            folder.remove_unstarted()
        raise
    finally:
        logging.getLogger("audiocx").removeHandler(handler)
        handler.close()
    return 1 if failed else 0


def make_separator(config: DictConfig) -> Separator:
    """Build an untrained separator from a composed config.

    Raises:
        ConfigError: model or STFT does not fit.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True)
    with fitting("model or stft"):
        return Separator.from_config(
            {
                "task": plain["task"]["name"],
                "n_sources": plain["task"]["n_sources"],
                "stft": plain["stft"],
                "model": plain["model"],
            }
        )


def _check_sources(separator: Separator, data: SpectralDataModule) -> None:
    if data.n_sources != separator.n_sources:
        raise ConfigError(
            describe(
                "data and task differ in the number of sources",
                expected=separator.n_sources,
                got=data.n_sources,
                do="take the task and the data that belong together",
            )
        )


def _describe_run(
    config: DictConfig, folder: RunFolder, name: str, separator: Separator, data: SpectralDataModule
) -> None:
    folder.write_config(OmegaConf.to_yaml(config, resolve=True))
    facts = data.describe()
    folder.write_environment({"data_fingerprint": data.fingerprint(), "data": facts, "seed": config.seed})
    _say(
        f"{name}: {count_parameters(separator):,} real parameters, "
        f"{count_macs_per_second(separator) / 1e9:.3f} GMAC a second of audio"
    )
    _say("data: " + ", ".join(f"{key} {value}" for key, value in facts.items()))


class Run:
    """A trainer with its callbacks, and what is left in the run folder when it ends.

    Args:
        config: composed.
        folder: of the run; nothing is written before `fit`.

    Raises:
        ConfigError: a setting of `trainer` is unknown or does not fit the machine.
    """

    def __init__(self, config: DictConfig, folder: RunFolder) -> None:
        self.folder = folder
        self.shares, self.interrupt = TimeShares(), StopOnInterrupt()
        best = ModelCheckpoint(  # a score that is NaN counts as the lowest
            folder.checkpoints,
            filename="best",
            monitor=MONITOR,
            mode="max",
            save_last=True,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )
        callbacks: list[Callback] = [StepProgress(), self.shares, self.interrupt, StopWhenNotFinite()]
        callbacks += [ValidateLastStep(), best]
        if config.logger.tensorboard:
            callbacks.append(TensorBoardExamples(config.logger.tensorboard_items))
        self.trainer = make_trainer(config, folder, callbacks)

    def fit(self, task: MaskingTask, data: SpectralDataModule, resume: Path | None) -> None:
        """Train, and leave both checkpoints and the portable model.

        Args:
            task: what is trained.
            data: what on.
            resume: checkpoint to go on from.

        Raises:
            KeyboardInterrupt: interrupted, after everything was written.
        """
        try:
            self.trainer.fit(task, datamodule=data, ckpt_path=resume)
        finally:
            self.interrupt.restore()
        _say(self.shares.summary())
        self.trainer.save_checkpoint(self.folder.last)
        if not self.folder.best.is_file():
            self.trainer.save_checkpoint(self.folder.best)
        trust = packages(task.separator.config["model"])
        load(self.folder.best, trust=trust).save(self.folder.model)
        if self.interrupt.interrupted:
            _say(f"stopped at step {self.trainer.global_step}; go on with checkpoint={self.folder.path}")
            raise KeyboardInterrupt


def make_task(config: DictConfig, separator: Separator) -> MaskingTask:
    """Make the Lightning module of a config around a separator.

    Raises:
        ConfigError: loss, optimizer or scheduler does not fit; both are tried once on a model of one number.
    """
    parts = {}
    for group in ("loss", "optimizer", "scheduler"):
        with fitting(group):
            parts[group] = instantiate(config[group], _convert_="all")
            if group != "scheduler" and not callable(parts[group]):
                raise ConfigError(describe(f"{group}: nothing is chosen", do=f"take {group}=... of --help"))
    number = [("number", torch.nn.Parameter(torch.zeros(1)))]
    with fitting("optimizer"):
        tried = parts["optimizer"](number)
    with fitting("scheduler"):
        if parts["scheduler"] is not None:
            parts["scheduler"](tried, max_steps=100)
    with fitting("task"):
        task: MaskingTask = instantiate(config.task.module)(separator=separator, **parts)
    return task


def make_trainer(config: DictConfig, folder: RunFolder, callbacks: Sequence[Callback]) -> lightning.Trainer:
    """Make the Lightning trainer of a config.

    Raises:
        ConfigError: a setting of `trainer` is unknown or does not fit the machine.
    """
    settings: dict[str, Any] = dict(OmegaConf.to_container(config.trainer, resolve=True))  # type: ignore[arg-type]
    for key in ("max_steps", "val_check_interval", "accumulate_grad_batches"):
        at_least(1, f"trainer.{key}", settings.get(key))
    if settings.get("devices") not in (1, "1", "auto"):
        raise ConfigError(
            describe("trainer.devices", expected="1", got=settings.get("devices"), do="train on one device")
        )
    interval = min(settings["val_check_interval"], settings["max_steps"])
    # Lightning counts batches there, not steps.
    settings["val_check_interval"] = interval * settings["accumulate_grad_batches"]
    loggers: list[Logger] = []
    if config.logger.csv:
        loggers.append(CSVLogger(folder.path, name="", version=""))
    if config.logger.tensorboard:
        loggers.append(TensorBoardLogger(folder.path, name="", version="tensorboard"))
    with fitting("trainer"):
        return lightning.Trainer(
            **settings,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            log_every_n_steps=config.logger.log_every_n_steps,
            enable_model_summary=False,
            logger=loggers,
            callbacks=list(callbacks),
        )


def _test(
    config: DictConfig, folder: RunFolder, name: str, data: SpectralDataModule, trust: Sequence[str]
) -> int:
    separators: Mapping[str, Separator] = {name: load(folder.best, trust=trust)}
    return report_test(
        separators,
        data.test_set(),
        folder.path,
        n_examples=config.n_examples,
        data_fingerprint=data.fingerprint(),
    )


def resumed_checkpoint(
    path: str | None, task: MaskingTask, max_steps: int, trust: Sequence[str]
) -> Path | None:
    """Find the checkpoint to go on from and see that it fits what is to be trained.

    Args:
        path: a run folder or a .ckpt; None starts anew.
        task: what is to be trained.
        max_steps: where the training ends.
        trust: packages whose classes the checkpoint may name.

    Raises:
        CheckpointError: there is none, or it is of another model or optimizer, or has reached the end.
    """
    if path is None:
        return None
    place = Path(path)
    candidates = [place / "checkpoints" / "last.ckpt", place / "last.ckpt"] if place.is_dir() else [place]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise CheckpointError(
            describe(
                f"checkpoint={path}: nothing to go on from", expected="a run folder or a .ckpt of training"
            )
        )
    wanted, got = task.separator.config, load(found, trust=trust).config
    differing = next((key for key in wanted if wanted[key] != got.get(key)), None)
    if differing is not None:
        raise CheckpointError(
            describe(
                f"checkpoint={path}: its {differing} is another than the one to be trained",
                do=f"give the words that it was trained with ({place}/config.yaml)",
            )
        )
    state = torch.load(found, map_location="cpu", weights_only=True)
    step = int(state.get("global_step", 0))
    if step >= max_steps:
        raise CheckpointError(
            describe(
                f"checkpoint={path}: it is at step {step} already",
                expected=f"less than trainer.max_steps={max_steps}",
                do="raise trainer.max_steps",
            )
        )
    optimizer = task.make_optimizer(list(task.separator.named_parameters()))
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    saved = [len(group["params"]) for group in state["optimizer_states"][0]["param_groups"]]
    if sizes != saved:
        raise CheckpointError(
            describe(
                f"checkpoint={path}: it was trained with another optimizer",
                do="take the optimizer that it was trained with",
            )
        )
    return found


def _say(text: str) -> None:
    log.info(text)
    console.print(text, highlight=False, soft_wrap=True)


def _quiet_libraries() -> None:
    """Leave out what Lightning says on every start."""
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="torch.utils.data")
    torch.set_float32_matmul_precision("high")
