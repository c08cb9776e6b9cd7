"""`audiocx train`: builds what the config names, trains, tests the best checkpoint, writes the run folder."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from audiocx.apps.settings import at_least, fitting
from audiocx.apps.training_run import Run, console, say
from audiocx.data.module import SpectralDataModule
from audiocx.errors import AudiocxError, ConfigError, describe
from audiocx.evaluation.facts import find_origin
from audiocx.evaluation.plain_table import PlainTable
from audiocx.evaluation.session import report_test
from audiocx.models.build import packages
from audiocx.models.capacity import matched
from audiocx.models.checkpoint import load
from audiocx.models.describe import describe_model
from audiocx.models.separator import Separator
from audiocx.training.ledger import measure
from audiocx.training.resume import Resume, find_resume, fingerprint, take_weights
from audiocx.training.run_folder import RunFolder
from audiocx.training.task import MaskingTask


def train(config: DictConfig) -> int:
    """Train, test and report; or describe the model, and no more.

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
    folder.read_environment()
    # What can be wrong with the words is found before anything is rendered, read or written.
    at_least(0, "seed", config.seed)
    with fitting("seed"):
        lightning.seed_everything(config.seed, workers=True, verbose=False)
    at_least(0, "n_examples", config.n_examples)
    separator = make_separator(config)
    if config.describe:
        return _describe_model(separator)
    task = make_task(config, separator)
    run = Run(config, folder)
    resume = begin(config, run, task)
    with fitting("data"):
        data = instantiate(config.data, stft=separator.stft, seed=config.seed, _convert_="all")
    _check_sources(separator, data)
    folder.make(going_on=None if resume is None else resume.path)
    try:
        with folder.logged():
            data.prepare_data()
            data.setup("fit")
            _describe_run(config, run, name, data, resume)
            run.settings["data_fingerprint"] = data.fingerprint()
            run.fit(task, data, resume)
            failed = _test(config, folder, name, data, _trusted(separator)) if config.test else 0
            say(f"all in {time.monotonic() - started:.0f} s; run folder: {folder.path}")
    except AudiocxError as error:
        if error.exit_code == 2:
            folder.remove_unstarted()
        raise
    return 1 if failed else 0


def _describe_model(separator: Separator) -> int:
    """Print what a model is; the last line is for programs."""
    with fitting("model"):
        description = describe_model(separator)
    console.print(PlainTable(*description.table()).rich(console.width))
    for line in (*description.lines(), description.last_line()):
        say(line)
    return 0


def begin(config: DictConfig, run: Run, task: MaskingTask) -> Resume | None:
    """Find where training begins: at a checkpoint, at another model's weights, or anew.

    Raises:
        AudiocxError: what is to be gone on from is not there or does not fit, or two such are named.
    """
    if config.init is not None and config.checkpoint is not None:
        raise ConfigError(
            describe(
                "both init and checkpoint are given",
                expected="init=PATH to begin anew with a model's weights, or checkpoint=PATH to go on",
            )
        )
    trust = _trusted(task.separator)
    if config.init is not None:
        take_weights(str(config.init), task.separator, trust)
        run.folder.facts["init"] = {"path": str(config.init), "weights": fingerprint(task.separator)}
    if config.checkpoint is None:
        return None
    resume = find_resume(
        str(config.checkpoint),
        task,
        run.settings,
        max_steps=run.trainer.max_steps,
        patience=run.patience,
        trust=trust,
    )
    run.folder.facts["checkpoint"] = {"path": str(resume.path), "step": resume.step}
    return resume


def _trusted(separator: Separator) -> list[str]:
    """What this very config has built may be built again."""
    return packages(separator.config["model"])


def make_separator(config: DictConfig) -> Separator:
    """Build an untrained separator from a composed config.

    Raises:
        ConfigError: model or STFT does not fit.
    """
    with fitting("model or stft"):
        return Separator.from_config(matched(_as_written(config), config.capacity))


def _as_written(config: DictConfig) -> dict[str, Any]:
    """Config of a separator, its widths not yet matched."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return {
        "task": plain["task"]["name"],
        "n_sources": plain["task"]["n_sources"],
        "stft": plain["stft"],
        "model": plain["model"],
    }


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
    config: DictConfig, run: Run, name: str, data: SpectralDataModule, resume: Resume | None
) -> None:
    folder = run.folder
    folder.write_config(OmegaConf.to_yaml(config, resolve=True))
    facts = data.describe()
    folder.write_environment(
        {"data_fingerprint": data.fingerprint(), "data": facts, "seed": config.seed},
        first_step=0 if resume is None else resume.step,
        going_on=None if resume is None else resume.path,
    )
    ledger = measure(
        name,
        _as_written(config),
        config.capacity,
        batch_size=data.batch_size,
        segment_seconds=data.segment_seconds,
        device=run.trainer.strategy.root_device,
        precision=run.trainer.precision_plugin.forward_context,
    )
    folder.write_capacity(ledger.facts())
    cost, table = ledger.costs[0], PlainTable(*ledger.table())
    say(
        f"{name}: {cost.parameters_real:,} real parameters, "
        f"{cost.macs_per_second / 1e9:.3f} GMAC a second of audio"
    )
    for line in _in_lines(facts):
        say(line)
    console.print(table.rich(console.width))
    if table.note:
        say(table.note)


def _in_lines(facts: Mapping[str, Any]) -> list[str]:
    """What data say of themselves: a line for each part of a table, and one for all plain facts."""
    lines, plain = [], []
    for key, value in facts.items():
        name = key.replace("_", " ")
        if isinstance(value, Mapping) and any(isinstance(part, Mapping) for part in value.values()):
            for part, counts in value.items():
                shown = [f"{number} {unit.replace('_', ' ')}" for unit, number in counts.items() if number]
                lines.append(f"{name}, {part}: {', '.join(shown)}")
        elif isinstance(value, Mapping) and value:
            plain.append(f"{name} ({', '.join(f'{part} {entry}' for part, entry in value.items())})")
        elif value not in ("", [], {}, None):
            plain.append(f"{name} {value}")
    return [*lines, "data: " + ", ".join(plain)] if plain else lines


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


def _test(
    config: DictConfig, folder: RunFolder, name: str, data: SpectralDataModule, trust: Sequence[str]
) -> int:
    separator = load(folder.best, trust=trust)
    # Within the run folder, which may be moved.
    place = str(folder.best.relative_to(folder.path))
    report = report_test(
        {name: separator},
        data.test_set(),
        folder.path,
        n_examples=config.n_examples,
        origins={name: replace(find_origin(separator, folder.best), checkpoint=place)},
    )
    return report.scores.n_failed


def _quiet_libraries() -> None:
    """Leave out what Lightning says on every start."""
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="torch.utils.data")
    torch.set_float32_matmul_precision("high")
