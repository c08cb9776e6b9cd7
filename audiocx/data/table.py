"""Tables of recordings: a CSV, a folder with an `index.csv`, or a folder alone; nothing is opened here.

Columns that audiocx knows: `path` (relative to the CSV) and, where known, `split corpus speaker recording
group room class kind quality band seconds licence`; others are kept for `data.where`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from audiocx.audio.find import audio_suffixes
from audiocx.data.pairs import list_audio
from audiocx.data.parts import PART_NAMES
from audiocx.errors import DataError, describe, nearest

KINDS = ("speech", "noise", "rir")


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
    has_parts = "train" in first and first <= set(PART_NAMES) and all(len(parts) > 1 for parts in levels)
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
