"""Tables for the terminal and for table.md, per_file.csv and summary.json."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audiocx.errors import OutputError, describe
from audiocx.evaluation.baselines import NOISY
from audiocx.evaluation.items import ATTENUATION
from audiocx.evaluation.scoring import Row, Scores
from audiocx.evaluation.statistics import Interval
from audiocx.evaluation.summary import Difference, Group, SystemSummary, score_names
from audiocx.metrics.table import improvement_name

HEADINGS = {
    "si_sdr_db": "SI-SDR",
    "sdr_db": "SDR",
    "snr_db": "SNR",
    "pesq_wb": "PESQ",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "phase_error_rad": "phase",
}
PRIMARY = "si_sdr_db"
WIDTH = 100
"""Columns that tables take at most."""
NOTHING = "–"
FEWEST_SHOWN = 5
"""With fewer items tables show a mean alone; summary.json has its interval."""


@dataclass
class PlainTable:
    """A table of text, for any output.

    Attributes:
        title: stands above it.
        columns: headings; the first column is set left, the others right.
        rows: cells.
        note: stands below it.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""

    def rich(self) -> Table:
        """For the terminal."""
        table = Table(
            title=escape(self.title),
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        for index, name in enumerate(self.columns):
            table.add_column(escape(name), justify="left" if index == 0 else "right", overflow="fold")
        for row in self.rows:
            table.add_row(*(escape(cell) for cell in row))
        return table

    def markdown(self) -> str:
        """For a file."""

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

        rule = "|" + "---|" + "---:|" * (len(self.columns) - 1)
        lines = [f"**{self.title}**", "", line(self.columns), rule, *(line(row) for row in self.rows)]
        return "\n".join([*lines, "", self.note] if self.note else lines) + "\n"


@dataclass
class Report:
    """Everything that is written and printed about a test.

    Attributes:
        scores: all rows.
        summaries: of all systems, in the order of the table.
        models: which of them were tested; the others frame them.
        differences: between the models.
    """

    scores: Scores
    summaries: list[SystemSummary]
    models: list[str]
    differences: list[Difference] = field(default_factory=list)


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
    return (
        text
        if math.isnan(interval.low) or interval.n < FEWEST_SHOWN
        else f"{text}±{_number(interval.half_width, digits)}"
    )


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
    """One line a system: means over the noisy items."""
    metrics = report.scores.metrics
    primary = primary_metric(metrics)
    others = [metric for metric in metrics if metric != primary]
    unit = " dB" if primary.endswith("_db") else ""
    columns = ["system", "files", heading(primary) + unit, "gain"]
    columns += [heading(metric) for metric in others] + ["reals"]
    rows = []
    for summary in report.summaries:
        group = summary.headline
        gain = group.metrics.get(improvement_name(primary))
        digits = _digits(primary)
        rows.append(
            [
                summary.system,
                str(group.files),
                _with_interval(group.metrics.get(primary), digits),
                "" if summary.system == NOISY else _with_interval(gain, digits, sign=True),
                *(_mean(group, metric, _digits(metric)) for metric in others),
                _count(summary.facts.parameters_real) if summary.facts else "",
            ]
        )
    total = report.scores.n_items
    counted = report.summaries[0].headline.files if report.summaries else 0
    title = f"Test over {counted} noisy items of {total}"
    note = "±: 95 % interval over talkers and noises; gain: over the noisy input; reals: real parameters"
    return PlainTable(title, columns, rows, note)


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
            elif ATTENUATION in group.metrics:
                cells.append("att. " + _with_interval(group.metrics[ATTENUATION], digits))
            else:
                cells.append(_with_interval(group.metrics.get(primary), digits))
        rows.append(cells)
    return PlainTable(title, columns, rows)


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
    return PlainTable("Paired differences over the same items", columns, rows)


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


def notes(report: Report) -> list[str]:
    """Lines below the tables: what the models cost, undefined scores, failures."""
    lines = []
    for summary in report.summaries:
        if summary.system not in report.models:
            continue
        facts = summary.facts
        words = []
        if facts is not None and facts.parameters_real is not None:
            words.append(f"{facts.parameters_real:,} real parameters")
        if facts is not None and facts.macs_per_second is not None:
            words.append(f"{facts.macs_per_second / 1e9:.3f} GMAC a second of audio")
        if summary.real_time_factor is not None:
            words.append(f"real-time factor {summary.real_time_factor:.3f}")
        if words:
            lines.append(f"{summary.system}: {', '.join(words)}")
    for summary in report.summaries:
        for metric, reasons in summary.undefined.items():
            if all("needs the package" in reason for reason in reasons):
                continue  # said once, at the start
            worded = ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
            lines.append(
                f"{summary.system}: {heading(metric)} undefined for {sum(reasons.values())}"
                f" of {summary.headline.files} files, left out of the mean: {worded}"
            )
    return lines


def failures(scores: Scores) -> list[str]:
    """One line for each item that has no scores, or for each system that failed on it."""
    by_item: dict[tuple[str, str], list[str]] = {}
    for row in scores.failures:
        by_item.setdefault((row.name, row.failure), []).append(row.system)
    lines = []
    for (name, failure), systems in by_item.items():
        which = "" if len(systems) == len(scores.systems) else f" ({', '.join(systems)})"
        lines.append(f"{name}{which}: {failure}")
    return lines


def print_report(report: Report, console: Console) -> None:
    """Print tables, notes and failures; a table takes at most 100 columns, as it does in a file or pipe."""
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH)
    for table in tables(report):
        wide.print(table.rich(), width=min(WIDTH, wide.width))
        if table.note:
            console.print(table.note, style="dim", highlight=False, markup=False, soft_wrap=True)
    for line in notes(report):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    failed = failures(report.scores)
    if failed:
        console.print(f"{len(failed)} failed:", style="bold red")
        for line in failed:
            console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(text, encoding="utf-8", newline="")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(describe(f"{path}: cannot be written", got=error.strerror or error)) from error


def per_file_csv(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """One line for each row: system, item, clusters and tags, all scores, reasons and failure."""
    clusters = list(dict.fromkeys(key for row in rows for key in row.clusters))
    tags = list(dict.fromkeys(key for row in rows for key in row.tags if key not in clusters))
    names = [name for name in [*score_names(metrics), ATTENUATION] if any(name in row.scores for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["system", "index", "name", *clusters, *tags, *names, "reasons", "failure"])
    for row in rows:
        values = [_exact(row.scores.get(name, math.nan)) for name in names]
        reasons = "; ".join(f"{name}: {reason}" for name, reason in row.reasons.items())
        facts = [row.clusters.get(key, "") for key in clusters] + [row.tags.get(key, "") for key in tags]
        writer.writerow([row.system, row.index, row.name, *facts, *values, reasons, row.failure])
    return text.getvalue()


def _exact(value: float) -> str:
    return "nan" if math.isnan(value) else f"{value:.6g}"


def summary_json(report: Report) -> str:
    """Figures of the model; of several, by name and with their differences."""
    by_name = {summary.system: summary for summary in report.summaries}
    content: dict[str, Any]
    if len(report.models) == 1:
        content = by_name[report.models[0]].as_json()
    else:
        content = {
            "systems": {name: by_name[name].as_json() for name in report.models},
            "differences": [difference.as_json() for difference in report.differences],
            "data_fingerprint": by_name[report.models[0]].data_fingerprint,
        }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def table_markdown(report: Report) -> str:
    """All tables, notes and failures."""
    parts = [table.markdown() for table in tables(report)]
    lines = [f"- {line}" for line in notes(report)]
    failed = failures(report.scores)
    if failed:
        lines += ["", f"{len(failed)} failed:", "", *(f"- {line}" for line in failed)]
    return "\n".join(parts) + ("\n" + "\n".join(lines) + "\n" if lines else "")


def write_report(report: Report, folder: Path) -> None:
    """Write per_file.csv, summary.json and table.md.

    Raises:
        OutputError: they cannot be written.
    """
    write_text(folder / "per_file.csv", per_file_csv(report.scores.rows, report.scores.metrics))
    write_text(folder / "summary.json", summary_json(report))
    write_text(folder / "table.md", table_markdown(report))
