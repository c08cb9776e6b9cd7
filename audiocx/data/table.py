"""Tables of recordings: a CSV, a folder with an `index.csv`, or a folder alone; nothing is opened here.

Columns that audiocx knows: `path` (relative to the CSV) and, where known, `split corpus speaker recording
group room class kind quality band seconds licence`; others are kept for `data.where`.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from audiocx.audio.find import audio_suffixes
from audiocx.data.pairs import list_audio
from audiocx.data.parts import PART_NAMES, PARTS
from audiocx.errors import DataError, describe, nearest

KINDS = ("speech", "noise", "rir")
KNOWN_COLUMNS = frozenset(
    (
        "path", "name", "split", "table", "corpus", "speaker", "talker", "recording", "group", "room", "rir",
        "noise", "class", "kind", "quality", "band", "seconds", "licence", "noise_class", "snr_db", "ratio_db",
    )
)  # fmt: skip
"""Written in any case, with `speaker_1`, `speaker_2`, …: a `Speaker` that is not seen would switch a check off."""
LEVELS = {"speech": "speaker", "noise": "class", "rir": "room"}
"""What the first level of a folder without a table says."""


@dataclass(frozen=True)
class Row:
    """One file of a table.

    Attributes:
        path: the file.
        facts: its columns as text, with `path` as the table wrote it; what names it is always there:
            `corpus`, `speaker` and `recording` for speech, `class` and `recording` for noise, `room` for a
            response.
        part: `train`, `valid` or `test`; empty until it is decided.
        filled: those columns of `facts` that the table left open: such a name means nothing to other tables.
    """

    path: Path
    facts: dict[str, str]
    part: str = ""
    filled: frozenset[str] = frozenset()


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
            (in any case) are the parts, and the level below counts.
        kind: `speech`, `noise` or `rir`.

    Raises:
        DataError: there is nothing there, no audio, no column `path`, a path stands twice, or something else
            stands beside folders named after parts.
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
    return Table(kind, source, columns, [_named(row, kind) for row in rows])


def _folder_rows(root: Path, kind: str) -> tuple[tuple[str, ...], list[Row]]:
    name = LEVELS[kind]
    files = [path for paths in list_audio(root).values() for path in paths]
    levels = [path.relative_to(root).parts for path in files]
    has_parts = _has_parts(root, kind, levels)
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


def _has_parts(root: Path, kind: str, levels: Iterable[tuple[str, ...]]) -> bool:
    """Tell whether the first level are the parts.

    Raises:
        DataError: some of it is, some is not. Taken for names, `train` and `test` would be dealt out by a hash.
    """
    first = {parts[0]: len(parts) > 1 for parts in sorted(levels)}
    named = [entry for entry, is_folder in first.items() if is_folder and entry.lower() in PART_NAMES]
    others = [entry for entry in first if entry not in named]
    if not others or not any(entry.lower() in PARTS for entry in named):
        # `val` and `dev` alone, beside other names, may be names too.
        return bool(named) and not others
    other = others[0] + ("/" if first[others[0]] else "")
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    raise DataError(
        describe(
            f"data.{kind}={root}: {named[0]}/ is a part, {other}{more} is none",
            expected=f"train/, valid/, test/ alone, or none of them and every {LEVELS[kind]}'s folder",
            do=f"move {other} away; or, if {named[0]} is a {LEVELS[kind]}, write an index.csv of paths",
        )
    )


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

    Columns that audiocx knows are in small letters, whatever the file writes; others are as it writes them.

    Raises:
        DataError: it cannot be read, names a column twice, or a line has more cells than the header.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = _columns(reader.fieldnames or (), file)
            reader.fieldnames = list(columns)
            rows = []
            for row in reader:
                surplus: Any = row.pop(None, [])
                if any(cell.strip() for cell in surplus):
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


def _columns(header: Iterable[str | None], file: Path) -> tuple[str, ...]:
    """Bring the names of a header to the form in which they are looked for.

    Raises:
        DataError: one stands twice.
    """
    columns = []
    for text in header:
        name = (text or "").strip()
        is_known = name.lower() in KNOWN_COLUMNS or re.fullmatch(r"speaker_\d+", name.lower())
        columns.append(name.lower() if is_known else name)
    name, count = Counter(filter(None, columns)).most_common(1)[0] if any(columns) else ("", 0)
    if count > 1:
        raise DataError(describe(f"{file}: {count} columns `{name}`", do="keep one"))
    return tuple(columns)


def _named(row: Row, kind: str) -> Row:
    """Fill in the names that draws and the guard need, from what is known."""
    facts = row.facts
    own = facts["path"].rsplit(".", 1)[0]
    recording = facts.get("recording") or own
    if kind == "speech":
        names = {"corpus": "speech", "speaker": recording, "recording": recording}
    elif kind == "noise":
        names = {"class": "noise", "recording": recording}
    else:
        names = {"room": recording}
    filled = {column: name for column, name in names.items() if not facts.get(column)}
    return replace(row, facts=facts | filled, filled=frozenset(filled))


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
