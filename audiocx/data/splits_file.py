"""The file of `data.splits`: which part a file, recording, speaker, group or room is of."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiocx.data.parts import part_of
from audiocx.data.table import KINDS, Table, read_csv
from audiocx.errors import DataError, describe, nearest

log = logging.getLogger(__name__)

KEYS = ("path", "recording", "speaker", "group", "room")
"""What an entry may name, the nearest to a file first: it goes before the others."""
SHOWN = 4
"""Entries that a message lists; the others are counted."""


@dataclass(frozen=True)
class Splits:
    """A file that says which part something is of.

    Attributes:
        file: where it lies.
        parts: part by (table or nothing, column, value).
    """

    file: Path
    parts: dict[tuple[str, str, str], str] = field(repr=False)

    def parts_of(self, tables: Mapping[str, Table]) -> dict[str, dict[Path, str]]:
        """Find the rows that it names, and say which entries name none.

        Returns:
            For each table that it speaks of: the part by path.

        Raises:
            DataError: it names nothing that is there, or a file in each of two tables.
        """
        met: dict[tuple[str, str, str], set[str]] = {}
        own_names: set[tuple[str, str, str]] = set()
        found: dict[str, dict[Path, str]] = {}
        for kind, table in tables.items():
            for row in table.rows:
                entries = [
                    entry
                    for key in KEYS
                    for entry in ((kind, key, row.facts.get(key, "")), ("", key, row.facts.get(key, "")))
                    if entry in self.parts
                ]
                for entry in entries:
                    met.setdefault(entry, set()).add(kind)
                    if entry[1] == "path" or entry[1] in row.filled:
                        own_names.add(entry)
                if entries:
                    found.setdefault(kind, {})[row.path] = self.parts[entries[0]]
        if not found:
            raise DataError(describe(f"data.splits={self.file}: names nothing that is in the tables"))
        self._refuse_two_tables({entry: met[entry] for entry in sorted(own_names)})
        self._report([entry for entry in self.parts if entry not in met])
        return found

    def _refuse_two_tables(self, met: Mapping[tuple[str, str, str], set[str]]) -> None:
        """Stop where a path, or a name that comes from one, is that of two files: one of them is hardly meant.

        Raises:
            DataError: names it.
        """
        double = [(entry, kinds) for entry, kinds in met.items() if len(kinds) > 1]
        if double:
            (_, key, value), kinds = double[0]
            more = f" (and {len(double) - 1} more)" if len(double) > 1 else ""
            tables = " and ".join(kind for kind in KINDS if kind in kinds)
            raise DataError(
                describe(
                    f"data.splits={self.file}: {key} `{value}`{more} stands in the tables of {tables}",
                    do="say which is meant in a column table: speech, noise or rir",
                )
            )

    def _report(self, strangers: list[tuple[str, str, str]]) -> None:
        """Say which entries name nothing: a misspelt one would go unnoticed."""
        if strangers:
            shown = ", ".join(
                f"{table} {key} `{value}`".strip() for table, key, value in sorted(strangers)[:SHOWN]
            )
            more = f" and {len(strangers) - SHOWN} more" if len(strangers) > SHOWN else ""
            log.warning(
                "data.splits=%s: %d of %d entries name nothing that is in the tables: %s%s",
                self.file, len(strangers), len(self.parts), shown, more,
            )  # fmt: skip


def read_splits(file: str | Path) -> Splits:
    """Read a file of splits: a column `split`, one or more of `path`, `recording`, `speaker`, … and maybe `table`.

    A line is about the first of these that it fills: one with a path and a speaker is about that file alone.
    With a `table` (`speech`, `noise` or `rir`) it is about that table alone.

    Raises:
        DataError: it has no such columns, names an unknown part or table, or one thing twice in different parts.
    """
    file = Path(file).expanduser()
    if not file.is_file():
        raise DataError(describe(f"data.splits={file}: no such file"))
    columns, rows = read_csv(file)
    keys = [name for name in KEYS if name in columns]
    if "split" not in columns or not keys:
        raise DataError(
            describe(
                f"data.splits={file}: cannot be matched to rows",
                expected="a column `split` and one of path, recording, speaker, group, room",
                got=", ".join(columns) or "no header",
            )
        )
    parts: dict[tuple[str, str, str], str] = {}
    for row in rows:
        key = next((name for name in keys if row[name]), None)
        if key is None:
            continue
        part = part_of(row["split"], f"data.splits={file}", row[key])
        table = row.get("table", "").lower()
        if table and table not in KINDS:
            raise DataError(
                describe(f"data.splits={file}: no table `{table}`, of `{row[key]}`", do=nearest(table, KINDS))
            )
        if parts.setdefault((table, key, row[key]), part) != part:
            both = f"{parts[table, key, row[key]]} and in {part}"
            raise DataError(describe(f"data.splits={file}: {key} `{row[key]}` is in {both}"))
    return Splits(file, parts)
