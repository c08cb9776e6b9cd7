"""From rows to means with intervals: overall, by kind, noise class and input SNR, and paired differences.

Headline figures are over the noisy items: all kinds but `clean` (nothing to improve) and `noise` (nothing to
keep), which `by_kind` shows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audiocx.evaluation.facts import DATA_KEY, ModelFacts
from audiocx.evaluation.items import ATTENUATION
from audiocx.evaluation.scoring import Row, Scores
from audiocx.evaluation.statistics import Interval, cluster_interval
from audiocx.metrics.bounds import bounded_value
from audiocx.metrics.table import improvement_name, lower_is_better

NOT_NOISY = ("clean", "noise")
"""Kinds that headline figures leave out."""
UNKNOWN = "unknown"
MOST_SNRS = 8
"""With more different input SNRs than this they are put into ranges."""
SNR_RANGE_DB = 5


@dataclass
class Group:
    """Scores of one system over some items.

    Attributes:
        files: items in the group, failed ones not among them.
        metrics: mean and interval by name.
    """

    files: int
    metrics: dict[str, Interval]


@dataclass
class SystemSummary:
    """All figures of one system.

    Attributes:
        system: its name.
        files: items in the test set.
        failed: items without scores.
        headline: over the noisy items.
        by_kind: over all items of a kind.
        by_noise_class: over the noisy items of a class.
        by_input_snr_db: over the noisy items of an input SNR, or range of it.
        undefined: for each metric how many headline scores are NaN, by reason.
        facts: of the model, where it is one.
        real_time_factor: seconds of wall time taken for a second of audio.
        n_threads: that it ran on.
        test_fingerprint: digest of the test set.
    """

    system: str
    files: int
    failed: int
    headline: Group
    by_kind: dict[str, Group]
    by_noise_class: dict[str, Group]
    by_input_snr_db: dict[str, Group]
    undefined: dict[str, dict[str, int]] = field(default_factory=dict)
    facts: ModelFacts | None = None
    real_time_factor: float | None = None
    n_threads: int = 1
    test_fingerprint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes null."""
        facts = self.facts or ModelFacts()
        origin = {} if facts.origin is None else facts.origin.as_json()
        origin.pop(DATA_KEY, None)  # stands beside that of the test set
        return {
            "files": self.files,
            "failed": self.failed,
            "metrics": _metrics_as_json(self.headline),
            "by_kind": _groups_as_json(self.by_kind),
            "by_noise_class": _groups_as_json(self.by_noise_class),
            "by_input_snr_db": _groups_as_json(self.by_input_snr_db),
            "model": {
                "parameters_real": facts.parameters_real,
                "macs_per_second": facts.macs_per_second,
                "real_time_factor": _plain(self.real_time_factor),
                "threads": self.n_threads,
                **origin,
            },
            "data_fingerprint": facts.data_fingerprint,
            "test_fingerprint": self.test_fingerprint,
        }


@dataclass(frozen=True)
class Difference:
    """Paired difference of two systems over the noisy items that both have a score for.

    Attributes:
        first, second: names; the difference is first minus second.
        metric: name.
        interval: of the difference.
    """

    first: str
    second: str
    metric: str
    interval: Interval

    @property
    def verdict(self) -> str:
        """Whether the interval says that the first is better or worse; empty where it does not."""
        sign = -1.0 if lower_is_better(self.metric) else 1.0
        if sign * self.interval.low > 0 and sign * self.interval.high > 0:
            return "better"
        if sign * self.interval.low < 0 and sign * self.interval.high < 0:
            return "worse"
        return ""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "first": self.first,
            "second": self.second,
            "metric": self.metric,
            **_interval_as_json(self.interval),
        }


def _plain(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _interval_as_json(interval: Interval) -> dict[str, float | int | None]:
    return {
        "mean": _plain(interval.mean),
        "low": _plain(interval.low),
        "high": _plain(interval.high),
        "n": interval.n,
    }


def _metrics_as_json(group: Group) -> dict[str, Any]:
    return {name: _interval_as_json(interval) for name, interval in group.metrics.items()}


def _groups_as_json(groups: Mapping[str, Group]) -> dict[str, Any]:
    return {
        name: {"files": group.files, "metrics": _metrics_as_json(group)} for name, group in groups.items()
    }


def is_noisy(row: Row) -> bool:
    """Tell whether headline figures count a row."""
    return row.tags.get("kind") not in NOT_NOISY


def noisy_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows with scores that headline figures count; all of those where no item is noisy.

    Args:
        rows: of one system, failed ones among them.
    """
    scored = [row for row in rows if not row.failure]
    # An item that could not be read has no tags, and says nothing of what the set holds. One that a system failed
    # on does: clean items never take the place of noisy ones.
    any_noisy = any(is_noisy(row) for row in rows if row.tags or not row.failure)
    return [row for row in scored if is_noisy(row)] if any_noisy else scored


def score_names(metrics: Sequence[str]) -> list[str]:
    """Names of all scores that metrics give."""
    names: list[str] = []
    for metric in metrics:
        names += [metric, f"input_{metric}", improvement_name(metric)]
    return names


def summarise_group(rows: Sequence[Row], names: Sequence[str]) -> Group:
    """Mean and interval of each score over rows; scores that no row has are left out."""
    clusters = [row.clusters for row in rows]
    metrics = {}
    for name in names:
        if any(name in row.scores for row in rows):
            values = [bounded_value(row.scores.get(name, math.nan)) for row in rows]
            metrics[name] = cluster_interval(values, clusters)
    return Group(len(rows), metrics)


def _grouped(
    rows: Sequence[Row], label: Callable[[Row], str], names: Sequence[str], order: Callable[[str], Any] = str
) -> dict[str, Group]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(label(row), []).append(row)
    if set(members) == {UNKNOWN}:
        return {}
    return {name: summarise_group(members[name], names) for name in sorted(members, key=order)}


def _input_snr(row: Row) -> float:
    try:
        return float(row.tags["snr_db"])
    except (KeyError, ValueError):
        return math.nan


def _snr_labels(rows: Sequence[Row]) -> tuple[Callable[[Row], str], Callable[[str], Any]]:
    """How rows are labelled by input SNR, and how labels are ordered."""
    values = {_input_snr(row) for row in rows if not math.isnan(_input_snr(row))}

    def label(row: Row) -> str:
        value = _input_snr(row)
        if math.isnan(value):
            return UNKNOWN
        if len(values) <= MOST_SNRS:
            return f"{value:g}"
        low = math.floor(value / SNR_RANGE_DB) * SNR_RANGE_DB
        return f"{low} to {low + SNR_RANGE_DB}"

    def order(name: str) -> float:
        return math.inf if name == UNKNOWN else float(name.split(" ")[0])

    return label, order


def summarise(scores: Scores, system: str, *, facts: ModelFacts | None = None) -> SystemSummary:
    """Summarise one system.

    Args:
        scores: of all systems.
        system: which.
        facts: of the model, where it is one.

    Returns:
        Its figures.
    """
    rows = scores.of(system)
    scored = [row for row in rows if not row.failure]
    noisy = noisy_rows(rows)
    names = score_names(scores.metrics)
    undefined: dict[str, dict[str, int]] = {}
    for name in scores.metrics:
        reasons = Counter(row.reasons[name] for row in noisy if name in row.reasons)
        if reasons:
            undefined[name] = dict(reasons)
    label, order = _snr_labels(noisy)
    return SystemSummary(
        system=system,
        files=scores.n_items,
        failed=len(rows) - len(scored),
        headline=summarise_group(noisy, names),
        by_kind=_grouped(scored, lambda row: row.tags.get("kind", UNKNOWN), [*names, ATTENUATION]),
        by_noise_class=_grouped(noisy, lambda row: row.tags.get("noise_class", UNKNOWN), names),
        by_input_snr_db=_grouped(noisy, label, names, order),
        undefined=undefined,
        facts=facts,
        real_time_factor=scores.real_time_factors.get(system),
        n_threads=scores.n_threads,
        test_fingerprint=scores.test_fingerprint,
    )


def paired_differences(scores: Scores, pairs: Sequence[tuple[str, str]]) -> list[Difference]:
    """Difference of each pair of systems in each metric, over the noisy items that both have a score for."""
    systems = {system for pair in pairs for system in pair}
    by_system = {system: {row.index: row for row in noisy_rows(scores.of(system))} for system in systems}
    found = []
    for first, second in pairs:
        shared = [index for index in by_system[first] if index in by_system[second]]
        rows = [(by_system[first][index], by_system[second][index]) for index in shared]
        clusters = [one.clusters for one, _ in rows]
        for metric in scores.metrics:
            values = [
                bounded_value(one.scores[metric]) - bounded_value(other.scores[metric]) for one, other in rows
            ]
            found.append(Difference(first, second, metric, cluster_interval(values, clusters)))
    return found
