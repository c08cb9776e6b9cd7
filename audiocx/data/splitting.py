"""Which part a row of a table is of: train, valid or test, so that nobody and nothing stands in two.

Decided by the file of `data.splits`, else by the column `split`, else by a hash of who or what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from audiocx.data.cache import hash_of
from audiocx.data.parts import part_of
from audiocx.data.table import Row, Table, read_csv
from audiocx.errors import DataError, describe

HELD_OUT_SHARE = 0.1
"""Of the talkers, recordings or rooms that a hash chooses, for validation and for the test each."""
IDENTITY_COLUMNS = {
    "speech": ("speaker", "recording", "group"),
    "noise": ("recording", "group", "speaker"),
    "rir": ("room", "recording", "group"),
}
"""What must stand in one part alone. Not the author: a game's package may stand in two."""


def read_splits(file: str | Path) -> list[tuple[str, dict[str, str]]]:
    """Read a file that says which part something is of: a column `split` and one of `path`, `speaker`, ….

    Returns:
        Columns to look in, each with the part by value.

    Raises:
        DataError: it has no such columns, names an unknown part, or one thing twice in different parts.
    """
    file = Path(file).expanduser()
    if not file.is_file():
        raise DataError(describe(f"data.splits={file}: no such file"))
    columns, rows = read_csv(file)
    keys = [name for name in ("path", "recording", "speaker", "group", "room") if name in columns]
    if "split" not in columns or not keys:
        raise DataError(
            describe(
                f"data.splits={file}: cannot be matched to rows",
                expected="a column `split` and one of path, recording, speaker, group, room",
                got=", ".join(columns) or "no header",
            )
        )
    found: list[tuple[str, dict[str, str]]] = []
    for key in keys:
        parts: dict[str, str] = {}
        for row in rows:
            if not row[key]:
                continue
            part = part_of(row["split"], f"data.splits={file}", row[key])
            if parts.setdefault(row[key], part) != part:
                raise DataError(
                    describe(f"data.splits={file}: {key} `{row[key]}` is in {parts[row[key]]} and in {part}")
                )
        found.append((key, parts))
    return found


def assign_parts(table: Table, splits: Sequence[tuple[str, dict[str, str]]] = ()) -> tuple[Table, str]:
    """Decide the part of every row: by the file of splits, else by the column `split`, else by a hash.

    Of a table that the file of splits speaks of, the rows that it does not name are left out. The hash puts
    rows that share a speaker, recording, group or room in one part, a tenth of these for validation and
    a tenth for the test.

    Returns:
        The table, and in words how it was decided.

    Raises:
        DataError: a cell names no part.
    """
    if splits:
        found = [(row, _listed_part(row, splits)) for row in table.rows]
        chosen = [replace(row, part=part) for row, part in found if part]
        if chosen:
            return replace(table, rows=chosen), f"splits file, {len(table.rows) - len(chosen)} rows left out"
    if "split" in table.columns:
        where = f"data.{table.kind}={table.source}"
        rows = [
            replace(row, part=part_of(row.facts["split"], where, row.facts["path"])) for row in table.rows
        ]
        return replace(table, rows=rows), "column split"
    units = _units(table)
    ranked = sorted(set(units), key=lambda unit: hash_of(unit))
    held_out = max(1, round(HELD_OUT_SHARE * len(ranked))) if len(ranked) > 1 else 0
    parts = dict.fromkeys(ranked, "train")
    parts |= dict.fromkeys(ranked[:held_out], "valid")
    if len(ranked) > 2:
        parts |= dict.fromkeys(ranked[held_out : 2 * held_out], "test")
    rows = [replace(row, part=parts[unit]) for row, unit in zip(table.rows, units, strict=True)]
    return replace(table, rows=rows), "hash"


def _listed_part(row: Row, splits: Sequence[tuple[str, dict[str, str]]]) -> str:
    return next((parts[row.facts[key]] for key, parts in splits if row.facts.get(key) in parts), "")


def _units(table: Table) -> list[str]:
    """Name for each row what it must stay together with: rows joined by any shared identity."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}

    def find(key: tuple[str, str]) -> tuple[str, str]:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    keys = [identities(row, table.kind) for row in table.rows]
    for row_keys in keys:
        first = find(row_keys[0])
        for other in row_keys[1:]:
            found = find(other)
            low, high = min(first, found), max(first, found)
            leader[high] = low
            first = low
    return ["=".join(find(row_keys[0])) for row_keys in keys]


def identities(row: Row, kind: str) -> list[tuple[str, str]]:
    """What a row must not share with a row of another part: (column, name); talkers are those of a corpus."""
    corpus = row.facts.get("corpus", "") if kind == "speech" else ""
    found = []
    for column in IDENTITY_COLUMNS[kind]:
        name = row.facts.get(column, "")
        if name:
            found.append((column, f"{corpus}/{name}" if corpus else name))
    return found
