"""A report on the terminal and in files: table.md, per_file.csv and summary.json."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from audiocx.errors import OutputError, describe
from audiocx.evaluation.facts import in_common
from audiocx.evaluation.items import ATTENUATION
from audiocx.evaluation.notes import failures, notes
from audiocx.evaluation.plain_table import WIDTH
from audiocx.evaluation.scoring import Row
from audiocx.evaluation.summary import score_names
from audiocx.evaluation.tables import Report, tables


def print_report(report: Report, console: Console) -> None:
    """Print tables, notes and failures; a table takes at most 100 columns, as it does in a file or pipe."""
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH)
    for table in tables(report):
        width = min(WIDTH, wide.width)
        wide.print(table.rich(width), width=width)
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
    """One line for each row: system, item, clusters and tags, all scores, reasons and failure.

    A tag that has the name of a score, as `snr_db` that an item was mixed at, is called `mixed_snr_db`; one that
    has the name of another column, as `system`, is called `tag_system`.
    """
    clusters = list(dict.fromkeys(key for row in rows for key in row.clusters))
    tags = list(dict.fromkeys(key for row in rows for key in row.tags if key not in clusters))
    names = [name for name in [*score_names(metrics), ATTENUATION] if any(name in row.scores for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    before, behind = ["system", "index", "name", *clusters], [*names, "reasons", "failure"]
    tag_names: list[str] = []
    for tag in tags:
        word = f"mixed_{tag}" if tag in names else tag
        while word in [*before, *tag_names, *behind]:
            word = f"tag_{word}"
        tag_names.append(word)
    writer.writerow([*before, *tag_names, *behind])
    for row in rows:
        values = [_exact(row.scores.get(name, math.nan)) for name in names]
        reasons = "; ".join(f"{name}: {reason}" for name, reason in row.reasons.items())
        facts = [row.clusters.get(key, "") for key in clusters] + [row.tags.get(key, "") for key in tags]
        writer.writerow([row.system, row.index, row.name, *facts, *values, reasons, row.failure])
    return text.getvalue()


def _exact(value: float) -> str:
    return "nan" if math.isnan(value) else f"{value:.6g}"


def summary_json(report: Report) -> str:
    """Figures of the model; of several, by name, with their differences and the data that all were trained on."""
    by_name = {summary.system: summary for summary in report.summaries}
    content: dict[str, Any]
    if len(report.models) == 1:
        content = by_name[report.models[0]].as_json()
    else:
        content = {
            "systems": {name: by_name[name].as_json() for name in report.models},
            "differences": [difference.as_json() for difference in report.differences],
            "data_fingerprint": in_common(facts.data_fingerprint for facts in report.facts),
            "test_fingerprint": report.scores.test_fingerprint,
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
