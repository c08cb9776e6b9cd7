"""Which part a row of a table is of: train, valid or test, so that nobody and nothing stands in two.

Decided by the file of `data.splits`, else by the column `split`, else by a hash of who or what it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from audiocx.data.cache import hash_of
from audiocx.data.parts import PARTS, part_of
from audiocx.data.splits_file import Splits
from audiocx.data.table import Row, Table

HELD_OUT_SHARE = 0.1
"""Of the talkers, recordings or rooms that a hash chooses, for validation and for the test each."""
IDENTITY_COLUMNS = {
    "speech": ("speaker", "recording", "group"),
    "noise": ("group", "recording", "speaker"),
    "rir": ("room", "recording", "group"),
}
"""What must stand in one part alone. Not the author: a game's package may stand in two.

The first that a row has names what a hash deals out: new recordings of a talker, or of a group, change nothing.
"""
Key = tuple[str, str]
"""What is named (`speech speaker`, or `recording` where any table may say it) and its name."""

_RANKS = {
    what: rank
    for rank, what in enumerate(
        [f"{kind} {column}" for kind, columns in IDENTITY_COLUMNS.items() for column in columns]
    )
}


def identities(row: Row, kind: str, corpora: Collection[str] = ()) -> list[Key]:
    """What a row must not share with a row of another part.

    Talkers are those of a corpus; a row of noise that names a talker and no corpus may mean any corpus's.
    Recordings and groups are the same whatever the corpus. What the table itself names is compared with
    every table, what was filled in from the file's name with the same table alone.

    Args:
        row: of a table.
        kind: which table.
        corpora: of the speech.
    """
    found = []
    for column in IDENTITY_COLUMNS[kind]:
        name = row.facts.get(column, "")
        if not name:
            continue
        names = [name]
        if column == "speaker":
            own = row.facts.get("corpus", "")
            names = [f"{corpus}/{name}" for corpus in ([own] if own else sorted(corpora))] or [name]
        for each in names:
            found.append((f"{kind} {column}", each))
            if column not in row.filled:
                found.append((column, each))
    return found


def corpora_of(tables: Iterable[Table]) -> set[str]:
    """Corpora that talkers may be of."""
    return {row.facts["corpus"] for table in tables if table.kind == "speech" for row in table.rows}


def assign_parts(
    tables: Mapping[str, Table], splits: Splits | None = None, kept: Mapping[str, Table] | None = None
) -> tuple[dict[str, Table], dict[str, str]]:
    """Decide the part of every row: by the file of splits, else by the column `split`, else by a hash.

    Of a table that the file of splits speaks of, the rows that it does not name are left out. The hash puts
    rows that share a speaker, recording, group or room in one part, about a tenth of these in validation and
    a tenth in the test.

    Args:
        tables: by kind, whole.
        splits: the file of splits.
        kept: the tables with the rows that are wanted; a row's part does not depend on which these are.

    Returns:
        The wanted rows with their parts, and in words how each table's were decided.

    Raises:
        DataError: a cell names no part, or an entry of the file means two files.
    """
    kept = tables if kept is None else kept
    listed = {} if splits is None else splits.parts_of(tables)
    dealt = {
        kind: table for kind, table in tables.items() if kind not in listed and "split" not in table.columns
    }
    hashed = _hashed_parts(dealt)
    parted, how = {}, {}
    for kind, table in kept.items():
        if kind in listed:
            rows = [
                replace(row, part=listed[kind][row.path]) for row in table.rows if row.path in listed[kind]
            ]
            how[kind] = f"splits file, {len(table.rows) - len(rows)} rows left out"
        elif kind in dealt:
            rows = [replace(row, part=hashed[kind][row.path]) for row in table.rows]
            how[kind] = "hash"
        else:
            where = f"data.{kind}={table.source}"
            rows = [
                replace(row, part=part_of(row.facts["split"], where, row.facts["path"])) for row in table.rows
            ]
            how[kind] = "column split"
        parted[kind] = replace(table, rows=rows)
    return parted, how


def _hashed_parts(tables: Mapping[str, Table]) -> dict[str, dict[Path, str]]:
    """Deal out the rows of tables, for each the part by path."""
    units = _units(tables)
    parts = {unit: _part_at(_place(unit)) for by_path in units.values() for unit in by_path.values()}
    for by_path in units.values():
        _fill_empty_parts(set(by_path.values()), parts)
    return {kind: {path: parts[unit] for path, unit in by_path.items()} for kind, by_path in units.items()}


def _place(unit: str) -> float:
    """Where a unit stands between 0 and 1 by its name, whatever others there are."""
    return int(hash_of(unit), 16) / 16**16


def _part_at(place: float) -> str:
    if place < HELD_OUT_SHARE:
        return "valid"
    return "test" if place < 2 * HELD_OUT_SHARE else "train"


def _fill_empty_parts(units: Collection[str], parts: dict[str, str]) -> None:
    """Give each part of a small table a unit, where there are so many; two make train and valid.

    Validation takes the lowest of training, the test the highest: units that are added later then take nothing
    out of training but themselves (once the hash has put two there).
    """
    ranked = sorted(units, key=_place)
    if len(ranked) < 3:
        parts |= dict.fromkeys(ranked, "train")
        parts |= dict.fromkeys(ranked[:-1], "valid")
        return
    for part in PARTS:
        counts = Counter(parts[unit] for unit in ranked)
        if not counts[part]:
            source = "train" if counts["train"] > 1 else counts.most_common(1)[0][0]
            members = [unit for unit in ranked if parts[unit] == source]
            parts[members[0] if part == "valid" else members[-1]] = part


def _units(tables: Mapping[str, Table]) -> dict[str, dict[Path, str]]:
    """Name for each row, by path, what it must stay together with: rows joined by any shared identity.

    Across tables too: noise may be cut from the recordings of the speech.
    """
    corpora = corpora_of(tables.values())
    leader: dict[tuple[int, Key], tuple[int, Key]] = {}

    def find(key: tuple[int, Key]) -> tuple[int, Key]:
        while leader.setdefault(key, key) != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    keys: dict[str, list[list[tuple[int, Key]]]] = {}
    for kind, table in tables.items():
        keys[kind] = [
            [(_RANKS.get(key[0], len(_RANKS)), key) for key in identities(row, kind, corpora)]
            for row in table.rows
        ]
        for first, *others in keys[kind]:
            for other in others:
                low, high = sorted((find(first), find(other)))
                leader[high] = low
    return {
        kind: {
            row.path: find(row_keys[0])[1][1] for row, row_keys in zip(table.rows, keys[kind], strict=True)
        }
        for kind, table in tables.items()
    }
