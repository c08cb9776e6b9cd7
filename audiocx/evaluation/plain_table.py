"""A table of text, for a terminal or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

WIDTH = 100
"""Columns that tables take at most."""


@dataclass
class PlainTable:
    """A table of text, for any output.

    Attributes:
        title: stands above it.
        columns: headings; the first column is set left, the others right.
        rows: cells.
        note: stands below it, in one line or several.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""

    def rich(self, width: int = WIDTH) -> Table:
        """For a terminal of so many columns; where it is narrow, its own columns stand closer."""
        cells = zip(self.columns, *self.rows, strict=True)
        wanted = sum(max(map(len, column)) + 2 for column in cells)
        table = Table(
            title=escape(self.title),
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            padding=(0, 1 if wanted < width else 0, 0, 0),
        )
        for index, name in enumerate(self.columns):
            # Where it is narrow, names are folded and numbers stay whole.
            table.add_column(
                escape(name), justify="left" if index == 0 else "right", overflow="fold", no_wrap=index > 0
            )
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
