"""The tables of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from audiocx.evaluation.baselines import NOISY
from audiocx.evaluation.facts import ModelFacts
from audiocx.evaluation.items import ATTENUATION
from audiocx.evaluation.plain_table import PlainTable
from audiocx.evaluation.scoring import Scores
from audiocx.evaluation.statistics import FEWEST_CLUSTERS, Interval
from audiocx.evaluation.summary import Difference, Group, SystemSummary, is_noisy
from audiocx.metrics.bounds import PERFECT_DB
from audiocx.metrics.table import improvement_name

HEADINGS = {
    "si_sdr_db": "SI-SDR",
    "sdr_db": "SDR",
    "snr_db": "SNR",
    "pesq_wb": "PESQ",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "phase_error_rad": "phase",
    "group_delay_error_rad": "delay",
}
PRIMARY = "si_sdr_db"
NOTHING = "–"
FEWEST_SHOWN = 5
"""With fewer items, or fewer than `FEWEST_CLUSTERS` talkers or noises, a mean stands alone; summary.json has its
interval."""
DIFFERENCE_NOTE = (
    "intervals are of these trained models, over talkers and noises; the seed of training is not in them;\n"
    "each is 95 % by itself, not adjusted for the number of comparisons"
)


@dataclass
class Report:
    """Everything that is written and printed about a test.

    Attributes:
        scores: all rows.
        summaries: of all systems, in the order of the table.
        models: which of them were tested; the others frame them.
        differences: between the models.
        remarks: lines below the tables, on what the figures rest on.
    """

    scores: Scores
    summaries: list[SystemSummary]
    models: list[str]
    differences: list[Difference] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def facts(self) -> list[ModelFacts]:
        """What is known of each model, in their order."""
        by_name = {summary.system: summary.facts for summary in self.summaries}
        return [by_name[name] or ModelFacts() for name in self.models]


def heading(metric: str) -> str:
    """Short heading of a metric."""
    return HEADINGS.get(metric, metric)


def _digits(metric: str) -> int:
    return 2 if metric.endswith("_db") or metric == "pesq_wb" else 3


def _number(value: float, digits: int, sign: bool = False) -> str:
    if math.isnan(value):
        return NOTHING
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def _with_interval(interval: Interval | None, digits: int, sign: bool = False) -> str:
    if interval is None or interval.n == 0:
        return NOTHING
    text = _number(interval.mean, digits, sign)
    return f"{text}±{_number(interval.half_width, digits)}" if _is_shown(interval) else text


def _is_shown(interval: Interval) -> bool:
    enough = interval.n >= FEWEST_SHOWN and interval.fewest_clusters >= FEWEST_CLUSTERS
    return enough and not math.isnan(interval.low)


def _mean(group: Group, name: str, digits: int) -> str:
    return _number(group.metrics[name].mean, digits) if name in group.metrics else NOTHING


def _count(number: int | None) -> str:
    if number is None:
        return ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def primary_metric(metrics: Sequence[str]) -> str:
    """The metric that grouped tables show: SI-SDR, or the first one."""
    return PRIMARY if PRIMARY in metrics else metrics[0]


def headline_table(report: Report) -> PlainTable:
    """One line a system: means over the noisy items; how many those are, where systems failed on some."""
    metrics = report.scores.metrics
    primary = primary_metric(metrics)
    others = [metric for metric in metrics if metric != primary]
    unit = " dB" if primary.endswith("_db") else ""
    counts = {summary.headline.files for summary in report.summaries}
    columns = ["system", *(["files"] if len(counts) > 1 else []), heading(primary) + unit, "gain"]
    columns += [heading(metric) for metric in others] + ["reals"]
    rows = []
    for summary in report.summaries:
        group = summary.headline
        gain = group.metrics.get(improvement_name(primary))
        digits = _digits(primary)
        rows.append(
            [
                summary.system,
                *([str(group.files)] if len(counts) > 1 else []),
                _with_interval(group.metrics.get(primary), digits),
                "" if summary.system == NOISY else _with_interval(gain, digits, sign=True),
                *(_mean(group, metric, _digits(metric)) for metric in others),
                _count(summary.facts.parameters_real) if summary.facts else "",
            ]
        )
    counted = max(counts, default=0)
    title = (
        f"Test over {counted} {_kind(report)} item{'' if counted == 1 else 's'} of {report.scores.n_items}"
    )
    fullest = max((summary.headline for summary in report.summaries), key=lambda group: group.files)
    lines = [
        *_interval_lines(fullest.metrics.get(primary)),
        "gain: over the noisy input; reals: real parameters",
    ]
    return PlainTable(title, columns, rows, ";\n".join(lines))


def _kind(report: Report) -> str:
    """What the items are called that the headline counts: all noisy ones, or whatever else the set holds."""
    scored = [row for row in report.scores.rows if not row.failure]
    if not scored or any(is_noisy(row) for row in scored):
        return "noisy"
    return " and ".join(sorted({row.tags["kind"] for row in scored}))


def _interval_lines(interval: Interval | None) -> list[str]:
    """What the interval of a headline is over, or why there is none; nothing where there is no mean either."""
    if interval is None or interval.n == 0:
        return []
    counts = interval.clusters or {"item": interval.n}
    over = " and ".join(f"{count} {key}{'' if count == 1 else 's'}" for key, count in counts.items())
    if _is_shown(interval):
        wanted = ", ".join(
            [f"{FEWEST_SHOWN} files", *(f"{FEWEST_CLUSTERS} {key}s" for key in interval.clusters)]
        )
        return [f"±: 95 % interval over {over}", f"groups have one where there are {wanted} or more"]
    return [f"no ±: too few for an interval over {over}"]


def grouped_table(
    report: Report, title: str, groups: Mapping[str, Mapping[str, Group]], first_column: str, *, gain: bool
) -> PlainTable:
    """One line a group, one column a system.

    Args:
        report: gives systems and metrics.
        title: of the table.
        groups: by system, then by name.
        first_column: heading of the names.
        gain: show improvements, beside the input's score; else scores, and for noise alone the attenuation.

    Returns:
        The table; its note tells what a perfect score counts where clean items are among the groups.
    """
    primary = primary_metric(report.scores.metrics)
    digits = 1 if primary.endswith("_db") else _digits(primary)
    shown = [summary.system for summary in report.summaries if not (gain and summary.system == NOISY)]
    fullest = max(groups.values(), key=len)
    columns = [first_column, "files", *(["input"] if gain else []), *shown]
    rows = []
    for name, first in fullest.items():
        cells = [name, str(first.files)]
        if gain:
            cells.append(_mean(first, f"input_{primary}", digits))
        for system in shown:
            group = groups[system].get(name)
            if group is None:
                cells.append(NOTHING)
            elif gain:
                cells.append(_with_interval(group.metrics.get(improvement_name(primary)), digits, sign=True))
            elif ATTENUATION in group.metrics and not _is_defined(group.metrics.get(primary)):
                cells.append("att. " + _with_interval(group.metrics[ATTENUATION], digits))
            else:
                cells.append(_with_interval(group.metrics.get(primary), digits))
        rows.append(cells)
    shows_clean = not gain and "clean" in fullest and primary.endswith("_db")
    return PlainTable(
        title, columns, rows, f"a perfect score counts {PERFECT_DB:g} dB" if shows_clean else ""
    )


def _is_defined(interval: Interval | None) -> bool:
    return interval is not None and interval.n > 0


def difference_table(report: Report) -> PlainTable:
    """Paired differences between models, one line a pair and metric."""
    rows = []
    for difference in report.differences:
        digits = _digits(difference.metric)
        interval = difference.interval
        rows.append(
            [
                f"{difference.first} − {difference.second}",
                heading(difference.metric),
                _number(interval.mean, digits, sign=True),
                f"[{_number(interval.low, digits, sign=True)}, {_number(interval.high, digits, sign=True)}]",
                str(interval.n),
                difference.verdict,
            ]
        )
    columns = ["models", "metric", "difference", "95 % interval", "files", "verdict"]
    return PlainTable("Paired differences over the same items", columns, rows, DIFFERENCE_NOTE)


def tables(report: Report) -> list[PlainTable]:
    """All tables of a report."""
    primary = primary_metric(report.scores.metrics)
    unit = " in dB" if primary.endswith("_db") else ""
    found = [headline_table(report)]
    if report.differences:
        found.append(difference_table(report))
    by_kind = {summary.system: summary.by_kind for summary in report.summaries}
    by_class = {summary.system: summary.by_noise_class for summary in report.summaries}
    by_snr = {summary.system: summary.by_input_snr_db for summary in report.summaries}
    name = heading(primary)
    for title, groups, column, gain in (
        (f"{name}{unit} by kind (att.: attenuation of noise alone in dB)", by_kind, "kind", False),
        (f"{name} gain{unit} by input SNR", by_snr, "SNR dB", True),
        (f"{name} gain{unit} by noise class", by_class, "noise", True),
    ):
        # A system whose items all failed has no groups; the table follows the one that has most.
        if any(groups.values()):
            found.append(grouped_table(report, title, groups, column, gain=gain))
    return found
