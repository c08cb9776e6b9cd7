"""`audiocx evaluate`: scores trained models, or files that any system made, on a test set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.console import Console

from audiocx.apps.settings import at_least, fitting, word_list
from audiocx.data.test_set import TestSet
from audiocx.errors import ConfigError, OutputError, describe
from audiocx.evaluation.facts import find_origin, in_common, run_of
from audiocx.evaluation.own_metrics import check_metrics
from audiocx.evaluation.session import TestOptions, report_systems, report_test
from audiocx.evaluation.systems import EstimateFolder
from audiocx.evaluation.tables import Report
from audiocx.inference.device import choose_device
from audiocx.models.checkpoint import load
from audiocx.signal.stft import STFT
from audiocx.training.run_folder import RunFolder

RUN_NAME = re.compile(r"\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}(_\d+)?")
"""How training names a run folder: below the model's name, by date and time."""


def evaluate(config: DictConfig) -> int:
    """Score and report.

    Args:
        config: composed from conf/evaluate.yaml; `words.check_given` has seen that it names either checkpoints
            or estimates.

    Returns:
        Exit code; 1 where items failed.

    Raises:
        AudiocxError: something that the config names does not fit.
    """
    checkpoints = _paths(config.checkpoint)
    if config.noisy_phase and not checkpoints:
        raise ConfigError(
            describe("noisy_phase=true is about a model's mask", expected="checkpoint=RUN", got="estimates=")
        )
    run = RunFolder(HydraConfig.get().runtime.output_dir)
    make_folder(run)
    run.read_environment()
    options, console = _options(config), Console()
    if checkpoints:
        report = _score_models(config, checkpoints, options, run, console)
    else:
        if not isinstance(config.estimates, str):
            raise ConfigError(describe("estimates", expected="one folder", got=config.estimates))
        stft = STFT(**_plain(config.stft))
        estimates = EstimateFolder(config.estimates, stft.sample_rate, stft.hop_length)
        systems = {Path(config.estimates).resolve().name: estimates}
        test_set = _test_set(config, stft)
        _warn_of_strangers(estimates, test_set, console)
        report = report_systems(systems, {}, stft, test_set, run.path, options, console)
    run.write_config(OmegaConf.to_yaml(config, resolve=True))
    run.write_environment(
        {
            "data_fingerprint": in_common(facts.data_fingerprint for facts in report.facts),
            "test_fingerprint": report.scores.test_fingerprint,
        }
    )
    console.print(f"results: {run.path}", highlight=False, markup=False, soft_wrap=True)
    return 1 if report.scores.n_failed else 0


def _options(config: DictConfig) -> TestOptions:
    """Check what a test is run by, before anything is loaded, rendered or scored."""
    if config.threads is not None:
        torch.set_num_threads(at_least(1, "threads", config.threads))
    metrics = word_list(1, "metrics", config.metrics)
    with fitting("metrics"):
        check_metrics(metrics)
    return TestOptions(
        metrics=metrics,
        n_examples=at_least(0, "n_examples", config.n_examples),
        n_processes=config.threads,
    )


def _score_models(
    config: DictConfig, checkpoints: list[str], options: TestOptions, run: RunFolder, console: Console
) -> Report:
    trust = word_list(0, "trust", config.trust)
    device = choose_device(str(config.device))
    loaded = [load(path, trust=trust) for path in checkpoints]
    names = model_names(checkpoints)
    return report_test(
        dict(zip(names, loaded, strict=True)),
        _test_set(config, STFT(**loaded[0].stft.settings)),  # type: ignore[arg-type]
        run.path,
        metrics=options.metrics,
        n_examples=options.n_examples,
        n_processes=options.n_processes,
        origins=dict(zip(names, map(find_origin, loaded, checkpoints), strict=True)),
        noisy_phase=bool(config.noisy_phase),
        device=device,
        console=console,
    )


def make_folder(run: RunFolder) -> None:
    """Make the folder for the results.

    Raises:
        OutputError: it cannot be made, or holds another run, of training or evaluation, or a model.
    """
    run.make()
    # A run that was copied may lack its config.yaml.
    if run.model.exists() or run.checkpoints.exists():
        raise OutputError(
            describe(f"run folder {run.path}: holds a model", do="choose another hydra.run.dir")
        )


def _warn_of_strangers(estimates: EstimateFolder, test_set: TestSet, console: Console) -> None:
    """Say in one line how many files belong to no item: a misspelt name would go unnoticed."""
    names = [test_set.name(index) for index in range(len(test_set))]
    strangers = estimates.strangers(names, test_set.n_sources)
    if strangers:
        total = sum(map(len, estimates.files.values()))
        first = strangers[0].relative_to(estimates.folder)
        console.print(
            f"warning: {len(strangers)} of {total} files in {estimates.folder} belong to no item,"
            f" {first} for one",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _paths(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(path) for path in value] if isinstance(value, ListConfig) else [str(value)]


def _plain(config: DictConfig) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return dict(plain)


def _test_set(config: DictConfig, stft: STFT) -> TestSet:
    with fitting("data"):
        data = instantiate(config.data, stft=stft, seed=config.seed, _convert_="all")
    test_set: TestSet = data.test_set()
    return test_set


def model_names(checkpoints: list[str]) -> list[str]:
    """Name models after their runs: the model's name, with the run's date where two share it.

    Example:
        >>> model_names(["outputs/train/split_unet/2026-01-31_10-00-00", "b/model"])
        ['split_unet', 'b']
    """
    short, long = [], []
    for checkpoint in checkpoints:
        place = run_of(checkpoint)
        is_dated = RUN_NAME.fullmatch(place.name) is not None
        short.append(place.parent.name if is_dated else place.name)
        long.append(f"{place.parent.name} {place.name}")
    names: list[str] = []
    for index, name in enumerate(short):
        word = name if short.count(name) == 1 else long[index]
        # One run given twice, as best and last checkpoint, say.
        while word in names:
            word += "'"
        names.append(word)
    return names
