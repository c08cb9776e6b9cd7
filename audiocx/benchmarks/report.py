"""Rows as tables: one for each contest, times in milliseconds and their ratios to ours."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import torch
from rich.table import Table

from audiocx.benchmarks.session import Row


def machine(device: str) -> str:
    """Say in a line what ran: processor and instructions, or device, and versions; no machine has a name here."""
    if device.startswith("cuda"):
        kind = torch.cuda.get_device_name(torch.device(device))
    else:
        kind = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    return f"{kind}; Python {platform.python_version()}, torch {torch.__version__}"


def table(rows: Sequence[Row]) -> Table:
    """Make the table of a contest; ratios are others' medians over those of the first row that ran."""
    first = next((row for row in rows if row.missing is None), None)
    threads = f"{rows[0].threads} thread" + "s" * (rows[0].threads > 1)
    made = Table(title=f"{rows[0].shape}, {threads}", title_justify="left")
    made.add_column("", no_wrap=True)
    for heading in ("forward ms", "step ms", "spread", "least", "ratio", "inference", "ratio", "peak MB"):
        made.add_column(heading, justify="right")
    made.add_column("", no_wrap=True)
    for row in rows:
        if row.missing is not None or first is None:
            made.add_row(row.name, *[""] * 8, row.missing)
            continue
        note = "" if row.relative_error is None else f"error {row.relative_error:.1e}"
        made.add_row(
            row.name,
            _milliseconds(row.forward_seconds),
            _milliseconds(row.step_seconds),
            f"±{100 * (row.step_spread or 0.0):.0f} %",
            _milliseconds(row.step_smallest_seconds),
            _ratio(row.step_seconds, first.step_seconds),
            _milliseconds(row.inference_seconds),
            _ratio(row.inference_seconds, first.inference_seconds),
            "" if row.peak_megabytes is None else f"{row.peak_megabytes:.0f}",
            note,
        )
    return made


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    value = 1000.0 * seconds
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _ratio(seconds: float | None, ours: float | None) -> str:
    return "" if not seconds or not ours else f"{seconds / ours:.2f}"
