"""From the words of `metrics=[...]` to functions.

A word is one of `WORDS`; anything with a dot is an import path, so a metric of one's own needs no entry here:
`metrics=[si_sdr_db, mypackage.my_metric_db]`. A metric is a function of (estimate, target), both (sample,),
that may ask by name for what else it needs: `sample_rate`, `stft`, `mixture`. It returns a number, a tensor
with one number, or a `Score`. Lower is better for those with `error` in their name, higher for all others.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from audiocx.errors import ConfigError, describe, nearest
from audiocx.metrics.bounds import bounded_value
from audiocx.metrics.perception import Score, undefined
from audiocx.signal.stft import STFT

WORDS = {
    "si_sdr_db": "audiocx.metrics.waveform.si_sdr_db",
    "sdr_db": "audiocx.metrics.waveform.sdr_db",
    "snr_db": "audiocx.metrics.waveform.snr_db",
    "stoi": "audiocx.metrics.intelligibility.stoi",
    "estoi": "audiocx.metrics.intelligibility.estoi",
    "pesq_wb": "audiocx.metrics.perception.pesq_wb",
    "phase_error_rad": "audiocx.metrics.phase.phase_error_rad",
    "group_delay_error_rad": "audiocx.metrics.phase.group_delay_error_rad",
}

QUICK = ("si_sdr_db", "sdr_db", "snr_db", "phase_error_rad", "group_delay_error_rad")
"""What a training run reports at its end: tens of milliseconds a file."""

PACKAGES = {"pesq_wb": "pesq"}
"""The packages of the extra `metrics` that a word rests on."""

SLOW = ("stoi", "estoi", "pesq_wb")
"""Words that take long enough for several processes to pay."""

UNITS = ("db", "rad", "seconds", "hz", "ms")


def improvement_name(name: str) -> str:
    """Name a metric's improvement over the input, its unit last.

    Example:
        >>> improvement_name("si_sdr_db"), improvement_name("pesq_wb")
        ('si_sdr_improvement_db', 'pesq_wb_improvement')
    """
    stem, _, unit = name.rpartition("_")
    return f"{stem}_improvement_{unit}" if stem and unit in UNITS else f"{name}_improvement"


def lower_is_better(name: str) -> bool:
    """Tell whether a metric is an error."""
    return "error" in name


def improvement(name: str, estimate: Score, given: Score, *, is_clean: bool = False) -> Score:
    """Measure how much better an estimate scores than the mixture that it was made from.

    Args:
        name: of the metric; of an error, less is better.
        estimate: score of the estimate.
        given: score of the mixture.
        is_clean: the mixture is known to be clean; one with a score of `+inf` is in any case.

    Returns:
        The difference of the bounded scores; NaN with a reason where one is, or the mixture is clean.

    Example:
        >>> improvement("si_sdr_db", Score(9.0), Score(4.0)).value
        5.0
    """
    if is_clean or (math.isinf(given.value) and given.value > 0):
        return undefined("the input is clean")
    if math.isnan(estimate.value) or math.isnan(given.value):
        return undefined(estimate.reason or given.reason)
    difference = bounded_value(estimate.value) - bounded_value(given.value)
    return Score(-difference if lower_is_better(name) else difference)


@dataclass(frozen=True)
class Metric:
    """A metric by its import path, so that it travels to other processes.

    Attributes:
        name: what tables and files call it.
        path: where the function is.
    """

    name: str
    path: str

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself.

        Raises:
            ConfigError: there is no such function.
        """
        module, _, attribute = self.path.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                describe(f"metrics: cannot import `{self.path}`", got=error, do="check the import path")
            ) from error
        if not callable(found):
            raise ConfigError(describe(f"metrics: `{self.path}` is not a function", got=type(found).__name__))
        return cast(Callable[..., Any], found)

    @property
    def is_slow(self) -> bool:
        """Whether a file takes so long that several processes pay."""
        return self.name in SLOW

    def __call__(self, estimate: Tensor, target: Tensor, *, mixture: Tensor, stft: STFT) -> Score:
        """Score one waveform.

        Args:
            estimate: real waveform (sample,).
            target: real waveform (sample,).
            mixture: real waveform (sample,).
            stft: the evaluation's transform, whose rate is that of the waveforms.

        Returns:
            The score, NaN with a reason where it is undefined.
        """
        offered = {"sample_rate": stft.sample_rate, "stft": stft, "mixture": mixture}
        function = self.function
        wanted = inspect.signature(function).parameters
        result = function(estimate, target, **{key: offered[key] for key in offered if key in wanted})
        score = result if isinstance(result, Score) else Score(float(result))
        if math.isnan(score.value) and not score.reason:
            if not bool(torch.count_nonzero(target)):
                return undefined("silent target")
            return undefined("silent estimate" if not bool(torch.count_nonzero(estimate)) else "not a number")
        return score


def find_metrics(words: Sequence[str]) -> list[Metric]:
    """Find the metrics of a list of words and import paths.

    Raises:
        ConfigError: a word is not known, a path cannot be imported, or two have one name.
    """
    metrics: list[Metric] = []
    for word in words:
        if "." not in word and word not in WORDS:
            raise ConfigError(describe(f"metrics: no metric `{word}`", do=nearest(word, WORDS)))
        metric = Metric(word.rpartition(".")[2], WORDS.get(word, word))
        _ = metric.function
        if any(metric.name == other.name for other in metrics):
            raise ConfigError(describe(f"metrics: two are called `{metric.name}`", do="leave one out"))
        metrics.append(metric)
    return metrics


def missing_packages(metrics: Sequence[Metric]) -> str:
    """Word in one line which metrics will be NaN for want of a package; empty where none is."""
    absent = [
        m.name for m in metrics if m.name in PACKAGES and importlib.util.find_spec(PACKAGES[m.name]) is None
    ]
    if not absent:
        return ""
    packages = ", ".join(sorted({f"`{PACKAGES[name]}`" for name in absent}))
    return f'{", ".join(absent)}: no scores without {packages}; pip install "audiocx[metrics]"'
