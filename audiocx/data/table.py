"""Tables of recordings: a CSV, a folder with an `index.csv`, or a folder alone; and which part a row is of.

Columns that audiocx knows: `path` (relative to the CSV) and, where known, `split corpus speaker recording
group room class kind quality band seconds licence`; others are kept for `data.where`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audiocx.audio.find import audio_suffixes
from audiocx.data.cache import hash_of
from audiocx.data.pairs import list_audio
from audiocx.errors import DataError, describe, nearest

PARTS = ("train", "valid", "test")
KINDS = ("speech", "noise", "rir")
HELD_OUT_SHARE = 0.1
"""Of the talkers, recordings or rooms that a hash chooses, for validation and for the test each."""
IDENTITY_COLUMNS = {
    "speech": ("speaker", "recording", "group"),
    "noise": ("recording", "group", "speaker"),
    "rir": ("room", "recording", "group"),
}
"""What must stand in one part alone. Not the author: a game's package may stand in two."""

_PART_NAMES = {part: part for part in PARTS} | dict.fromkeys(("val", "dev", "validation"), "valid")


@dataclass(frozen=True)
class Row:
    """One file of a table.

    Attributes:
        path: the file.
        facts: its columns as text, with `path` as the table wrote it; what names it is always there:
            `corpus`, `speaker` and `recording` for speech, `class` and `recording` for noise, `room` for a
            response.
        part: `train`, `valid` or `test`; empty until it is decided.
    """

    path: Path
    facts: dict[str, str]
    part: str = ""


@dataclass(frozen=True)
class Table:
    """The files of `data.speech`, `data.noise` or `data.rir`.

    Attributes:
        kind: `speech`, `noise` or `rir`.
        source: what the user named.
        columns: that rows have.
        rows: the files.
    """

    kind: str
    source: Path
    columns: tuple[str, ...]
    rows: list[Row] = field(repr=False)

    def of(self, part: str) -> list[Row]:
        """Rows of a part."""
        return [row for row in self.rows if row.part == part]


def read_table(source: str | Path, kind: str) -> Table:
    """Read the rows of a folder or CSV, without opening any audio.

    Args:
        source: a CSV; a folder that holds `index.csv`; or a folder of files, whose first level is the speaker
            (noise: its class, responses: their room). First-level folders named `train`, `valid` and `test`
            are the parts, and the level below counts.
        kind: `speech`, `noise` or `rir`.

    Raises:
        DataError: there is nothing there, no audio, no column `path`, or a path stands twice.
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise DataError(describe(f"data.{kind}={source}: no such file or folder"))
    if source.is_dir() and not (source / "index.csv").is_file():
        columns, rows = _folder_rows(source, kind)
    else:
        file = source / "index.csv" if source.is_dir() else source
        columns, rows = _csv_rows(file)
    if not rows:
        raise DataError(
            describe(
                f"data.{kind}={source}: no rows in it"
                if not source.is_dir()
                else f"data.{kind}={source}: no audio files in it",
                expected=f"files that end in {' '.join(audio_suffixes())}" if source.is_dir() else None,
            )
        )
    named = [replace(row, facts=_named(row.facts, kind)) for row in rows]
    return Table(kind, source, columns, named)


def _folder_rows(root: Path, kind: str) -> tuple[tuple[str, ...], list[Row]]:
    name = {"speech": "speaker", "noise": "class", "rir": "room"}[kind]
    files = [path for paths in list_audio(root).values() for path in paths]
    levels = [path.relative_to(root).parts for path in files]
    first = {parts[0] for parts in levels if len(parts) > 1}
    has_parts = "train" in first and first <= set(_PART_NAMES) and all(len(parts) > 1 for parts in levels)
    rows = []
    for path, parts in zip(files, levels, strict=True):
        facts = {"path": "/".join(parts)}
        inner = parts
        if has_parts:
            facts["split"], inner = parts[0], parts[1:]
        if len(inner) > 1:
            facts[name] = inner[0]
        rows.append(Row(path.absolute(), facts))
    columns = ("path", *(["split"] if has_parts else []), name, "recording")
    return columns, rows


def _csv_rows(file: Path) -> tuple[tuple[str, ...], list[Row]]:
    columns, lines = read_csv(file)
    if "path" not in columns:
        raise DataError(
            describe(
                f"{file}: no column `path`", expected="path, and split speaker recording class … where known",
                got=", ".join(columns) or "no header",
                do=nearest("path", columns) if columns else None,
            )
        )  # fmt: skip
    rows = []
    for number, facts in enumerate(lines, start=2):
        if not facts["path"]:
            raise DataError(describe(f"{file}: line {number} has no path"))
        rows.append(Row((file.parent / facts["path"]).absolute(), facts))
    path, count = Counter(row.facts["path"] for row in rows).most_common(1)[0] if rows else ("", 0)
    if count > 1:
        raise DataError(describe(f"{file}: {count} rows for `{path}`", do="keep one"))
    return columns, rows


def read_csv(file: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Read a table's header and lines, as text without blanks around it; empty lines are left out.

    Raises:
        DataError: it cannot be read, or a line has more cells than the header.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = tuple((name or "").strip() for name in reader.fieldnames or ())
            reader.fieldnames = list(columns)
            rows = []
            for row in reader:
                if None in row:
                    raise DataError(
                        describe(
                            f"{file}: line {reader.line_num} has more cells than the header",
                            expected=len(columns),
                            do="put text that holds a comma in quotes",
                        )
                    )
                rows.append({name: (value or "").strip() for name, value in row.items()})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(describe(f"{file}: cannot be read as a table", got=str(error))) from error
    return columns, rows


def _named(facts: dict[str, str], kind: str) -> dict[str, str]:
    """Fill in the names that draws and the guard need, from what is known."""
    own = facts["path"].rsplit(".", 1)[0]
    recording = facts.get("recording") or own
    if kind == "speech":
        names = {"corpus": "speech", "speaker": recording, "recording": recording}
    elif kind == "noise":
        names = {"class": "noise", "recording": recording}
    else:
        names = {"room": recording}
    return facts | {column: facts.get(column) or name for column, name in names.items()}


def keep_rows(table: Table, rows: Iterable[Row], why: str) -> Table:
    """Return a table of some of the rows.

    Raises:
        DataError: none is left.
    """
    kept = list(rows)
    if not kept:
        raise DataError(describe(f"{table.source}: no rows left of {len(table.rows)}", do=why))
    return replace(table, rows=kept)


def check_files(table: Table) -> None:
    """Check that all files are there.

    Raises:
        DataError: one is not.
    """
    missing = [row.path for row in table.rows if not row.path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(describe(f"{missing[0]}: no such file, named in the table of {table.source}{more}"))


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


def part_of(split: str, where: str, what: str) -> str:
    """Read a cell of a column `split`.

    Raises:
        DataError: it names no part.
    """
    if split.lower() not in _PART_NAMES:
        raise DataError(
            describe(
                f"{where}: the split of `{what}` is none", expected="train | valid | test", got=f"`{split}`"
            )
        )
    return _PART_NAMES[split.lower()]


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
