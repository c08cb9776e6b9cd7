"""The leakage guard: nothing that is heard in training may be heard again in validation or test.

Compared are the contents of files and the names of speakers, recordings, groups and rooms; never authors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath

from audiocx.data.cache import hash_of_file
from audiocx.data.sounds import Sounds
from audiocx.data.table import PARTS, Table, identities
from audiocx.errors import DataError, describe

SHOWN = 4
"""Names that a message lists; the others are counted."""


@dataclass
class Contents:
    """What one part holds.

    Attributes:
        part: its name, as messages say it.
        names: (table and column, name) with a file that has it.
        hashes: of contents, with the file.
    """

    part: str
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)


def contents_of(tables: Sequence[Table], sounds: Sequence[Sounds]) -> list[Contents]:
    """List what train, valid and test hold, of tables with their stores."""
    found = []
    for part in PARTS:
        contents = Contents(part)
        for table, store in zip(tables, sounds, strict=True):
            for row in table.of(part):
                for column, name in identities(row, table.kind):
                    contents.names.setdefault((f"{table.kind} {column}", name), row.facts["path"])
                sound = store.sounds[store.numbers[str(row.path)]]
                if sound.content:
                    contents.hashes.setdefault(sound.content, str(row.path))
                    contents.hashes.setdefault(sound.sha256, str(row.path))
        found.append(contents)
    return found


def contents_of_test(
    folder: Path, rows: dict[str, dict[str, str]], files: Iterable[Path], tables: Sequence[Table]
) -> Contents:
    """List what a ready test set holds, by its `index.csv` and its files.

    Its columns `speaker` (`talker`, `speaker_1`, …), `noise` (a recording), `room`, `rir` (a file of the table
    of responses, or a room) and `recording`, `group` count. A name without a corpus stands for that name in
    every corpus.
    """
    contents = Contents(str(folder))
    rooms: dict[str, str] = {}
    for table in tables:
        if table.kind == "rir":
            for row in table.rows:
                rooms |= dict.fromkeys((row.facts["path"], _stem(row.facts["path"])), row.facts["room"])
    corpora = {row.facts["corpus"] for table in tables if table.kind == "speech" for row in table.rows}
    for item, facts in rows.items():
        for column, name in facts.items():
            for key in _test_names(column, name, facts.get("corpus", ""), corpora, rooms):
                contents.names.setdefault(key, item)
    for path in files:
        if path.is_file():
            contents.hashes.setdefault(hash_of_file(path), str(path))
    return contents


def _test_names(
    column: str, name: str, corpus: str, corpora: set[str], rooms: dict[str, str]
) -> list[tuple[str, str]]:
    if column in ("speaker", "talker") or column.startswith("speaker_"):
        return [("speech speaker", f"{each}/{name}") for each in ([corpus] if corpus else corpora)]
    if column == "noise":
        return [("noise recording", each) for each in name.split("+")]
    if column == "room":
        return [("rir room", name)]
    if column == "rir":
        return [("rir room", rooms.get(name) or rooms.get(_stem(name)) or name)]
    if column in ("recording", "group"):
        speech = [(f"speech {column}", f"{each}/{name}") for each in ([corpus] if corpus else corpora)]
        return [*speech, (f"noise {column}", name)]
    return []


def _stem(path: str) -> str:
    return PurePosixPath(path).stem


def refuse_leaks(parts: Sequence[Contents]) -> None:
    """Stop where something stands in two parts.

    Raises:
        DataError: names what, and in which.
    """
    for one, other in combinations(parts, 2):
        shared: dict[str, list[str]] = {}
        for what, name in one.names.keys() & other.names.keys():
            shared.setdefault(what, []).append(name)
        for what in sorted(shared):
            names = sorted(shared[what])
            shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            raise DataError(
                describe(
                    f"{what} {shown}{more} in {one.part} and in {other.part}",
                    expected="each in one part alone",
                    got=f"{one.names[what, names[0]]} and {other.names[what, names[0]]}",
                    do="correct the split, or leave rows out with data.where",
                )
            )
        same = sorted(one.hashes.keys() & other.hashes.keys(), key=lambda key: one.hashes[key])
        if same:
            more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
            raise DataError(
                describe(
                    f"{one.hashes[same[0]]} in {one.part} and {other.hashes[same[0]]} in {other.part}"
                    f" are the same sound{more}",
                    do="take one of them out",
                )
            )
