"""A test from end to end: score, summarise, write the `test/` and `examples/` folders, print the tables.

`audiocx evaluate` and the end of `audiocx train` are this function with different arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from rich.console import Console

from audiocx.data.test_set import TestSet
from audiocx.errors import ConfigError, describe
from audiocx.evaluation.baselines import LOG_MMSE, NOISY, ORACLE, OracleMask, log_mmse, noisy
from audiocx.evaluation.examples import write_examples
from audiocx.evaluation.facts import ModelFacts, Origin
from audiocx.evaluation.reporting import (
    per_file_csv,
    print_report,
    write_report,
    write_text,
)
from audiocx.evaluation.scoring import AnySystem, Row, Scores, score
from audiocx.evaluation.summary import paired_differences, summarise
from audiocx.evaluation.systems import ModulusSystem, SeparatorSystem, gives_mask
from audiocx.evaluation.tables import Report
from audiocx.metrics.table import QUICK, find_metrics, missing_packages
from audiocx.models.counting import count_macs_per_second, count_parameters
from audiocx.models.separator import Separator
from audiocx.signal.stft import STFT

NOT_IN_A_FILE_NAME = re.compile(r'[/\\|<>:"?*]+')
MODULUS = ", |M|"
"""Follows the name of a model in the row of its mask's modulus."""


@dataclass(frozen=True)
class TestOptions:
    """How a test is run.

    Attributes:
        metrics: words or import paths, see `audiocx.metrics.table`.
        n_examples: items written as wav and picture.
        n_processes: children that score; None: as many as pay.
    """

    __test__ = False  # pytest would take the name for a test class

    metrics: Sequence[str] = QUICK
    n_examples: int = 4
    n_processes: int | None = None


def report_test(
    separators: Mapping[str, Separator],
    test_set: TestSet,
    folder: str | Path,
    *,
    metrics: Sequence[str] = QUICK,
    n_examples: int = 4,
    n_processes: int | None = None,
    origins: Mapping[str, Origin] | None = None,
    noisy_phase: bool = False,
    device: str | torch.device = "cpu",
    console: Console | None = None,
) -> Report:
    """Test separators and report: tables on the console, `test/` and `examples/` in the folder.

    Args:
        separators: by the name that tables use; all of one rate and number of sources.
        test_set: what they are tested on.
        folder: of the run.
        metrics: words or import paths, see `audiocx.metrics.table`.
        n_examples: items of each separator written as wav and picture.
        n_processes: children that score; None: as many as pay.
        origins: where separators come from, by name.
        noisy_phase: test the modulus of each separator's mask, too, with the mixture's phase.
        device: where the separators run.
        console: where tables and progress are printed; the default is standard output.

    Returns:
        What was reported; `scores.n_failed` of it tells whether all is well.

    Raises:
        ConfigError: a metric is not known, the separators differ from each other or from the test set, or one
            gives no mask where `noisy_phase` needs it.
        OutputError: the folder cannot be written.
    """
    stft = common_stft(separators, test_set)
    facts = {
        name: ModelFacts(
            count_parameters(separator), count_macs_per_second(separator), (origins or {}).get(name)
        )
        for name, separator in separators.items()
    }
    systems: dict[str, AnySystem] = {}
    for name, separator in separators.items():
        systems[name] = SeparatorSystem(separator, device)
        if noisy_phase:
            if not gives_mask(separator):
                raise ConfigError(
                    describe(
                        f"{name}: gives no mask whose modulus could go with the noisy phase",
                        do="leave noisy_phase out",
                    )
                )
            systems[f"{name}{MODULUS}"] = ModulusSystem(separator, device)
            facts[f"{name}{MODULUS}"] = ModelFacts(origin=facts[name].origin)
    options = TestOptions(metrics, n_examples, n_processes)
    return report_systems(
        systems, facts, stft, test_set, folder, options, console, remarks=stft_remarks(separators)
    )


def common_stft(separators: Mapping[str, Separator], test_set: TestSet) -> STFT:
    """Make the evaluation's STFT, the first separator's, on the CPU.

    Raises:
        ConfigError: the separators differ from each other, or from the test set, in rate or sources.
    """
    for name, separator in separators.items():
        for what, wanted, got in (
            ("sample rate", test_set.sample_rate, separator.sample_rate),
            ("number of sources", test_set.n_sources, separator.n_sources),
        ):
            if wanted != got:
                raise ConfigError(
                    describe(
                        f"{name}: its {what} is not the test set's",
                        expected=wanted,
                        got=got,
                        do="score models of another kind in a call of their own",
                    )
                )
    first = next(iter(separators.values()))
    return STFT(**first.stft.settings)  # type: ignore[arg-type]


def stft_remarks(separators: Mapping[str, Separator]) -> list[str]:
    """Say whose STFT decides the scores that need one, where the separators' differ."""
    settings = {name: separator.stft.settings for name, separator in separators.items()}
    first = next(iter(settings))
    if all(of_one == settings[first] for of_one in settings.values()):
        return []
    sizes = ", ".join(
        f"{name} {of_one['n_fft']}/{of_one['hop_length']}/{of_one['win_length']} {of_one['window']}"
        for name, of_one in settings.items()
    )
    return [
        f"the STFTs differ (n_fft/hop_length/win_length window: {sizes}); log-MMSE, the oracle, phase metrics and"
        f" pictures use that of {first}, the first given"
    ]


def report_systems(
    systems: Mapping[str, AnySystem],
    facts: Mapping[str, ModelFacts],
    stft: STFT,
    test_set: TestSet,
    folder: str | Path,
    options: TestOptions,
    console: Console | None = None,
    *,
    remarks: Sequence[str] = (),
) -> Report:
    """Test any systems beside the baselines and report.

    Args:
        systems: what is tested, by name.
        facts: of those that are models.
        stft: the evaluation's transform: of the phase error, the oracle, log-MMSE and the pictures.
        test_set: what they are tested on.
        folder: of the run.
        options: how.
        console: where tables and progress are printed.
        remarks: lines that stand below the tables.

    Returns:
        What was reported.
    """
    console = Console() if console is None else console
    place = Path(folder)
    line = missing_packages(find_metrics(options.metrics))
    if line:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    framed: dict[str, AnySystem] = {NOISY: noisy(test_set.n_sources)}
    if test_set.n_sources == 1:  # it takes away noise, and separates nothing
        framed[LOG_MMSE] = log_mmse(stft)
    framed |= {**systems, ORACLE: OracleMask(stft)}
    scores = _score(framed, stft, test_set, place, options, console)
    models = list(systems)
    report = Report(
        scores,
        [summarise(scores, name, facts=facts.get(name)) for name in framed],
        models,
        paired_differences(scores, compared(models)),
        list(remarks),
    )
    write_report(report, place / "test")
    for name in models:
        examples = place / "examples"
        examples = examples if len(models) == 1 else examples / NOT_IN_A_FILE_NAME.sub("_", name)
        write_examples(examples, test_set, systems[name], scores.of(name), stft, options.n_examples)
    print_report(report, console)
    return report


def compared(models: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs whose differences are told: all models, and each with its own mask's modulus."""
    whole = [name for name in models if not name.endswith(MODULUS)]
    own = [(name, f"{name}{MODULUS}") for name in whole if f"{name}{MODULUS}" in models]
    return [*combinations(whole, 2), *own]


def _score(
    systems: Mapping[str, AnySystem],
    stft: STFT,
    test_set: TestSet,
    place: Path,
    options: TestOptions,
    console: Console,
) -> Scores:
    """Score; where that is interrupted, keep the rows that are finished."""
    finished: list[Row] = []
    try:
        return score(
            test_set,
            systems,
            stft=stft,
            metrics=options.metrics,
            n_processes=options.n_processes,
            finished=finished,
            show_progress=True,
            console=console,
        )
    except KeyboardInterrupt:
        if finished:
            names = [metric.name for metric in find_metrics(options.metrics)]
            write_text(place / "test" / "per_file.csv", per_file_csv(finished, names))
        raise
