"""The leakage guard: nothing that is heard in training may be heard again in validation or test.

Compared are the contents of files and the names of speakers, recordings, groups and rooms; never authors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import PurePosixPath

from audiocx.data.cache import hash_of_file
from audiocx.data.parts import PARTS
from audiocx.data.ready import TALKER_COLUMNS, ReadyTestSet
from audiocx.data.sounds import Sounds
from audiocx.data.splitting import identities
from audiocx.data.survey import OpenedPair
from audiocx.data.table import Table
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


def contents_of_test(test: ReadyTestSet, tables: Sequence[Table]) -> Contents:
    """List what a ready test set holds, by its `index.csv` and its files.

    Its columns `speaker` (`talker`, `speaker_1`, …), `noise` (a recording), `room`, `rir` (a file of the table
    of responses, or a room), `recording` and `group` count. A name without a corpus stands for that name in
    every corpus.
    """
    corpora = {row.facts["corpus"] for table in tables if table.kind == "speech" for row in table.rows} or {
        ""
    }
    rooms: dict[str, str] = {}
    for table in tables:
        if table.kind == "rir":
            for row in table.rows:
                rooms |= dict.fromkeys((row.facts["path"], _stem(row.facts["path"])), row.facts["room"])
    contents = Contents(str(test.folder), names_of_pairs(test.rows, corpora, rooms))
    for pair in test.pairs:
        for path in (pair.mixture, *pair.sources):
            if path.is_file():
                contents.hashes.setdefault(hash_of_file(path), str(path))
    return contents


def contents_of_pairs(part: str, pairs: Sequence[OpenedPair], rows: dict[str, dict[str, str]]) -> Contents:
    """List what opened pairs hold, with the rows of their `index.csv`."""
    hashes: dict[str, str] = {}
    for pair in pairs:
        for key in pair.hashes:
            hashes.setdefault(key, f"{part}/{pair.name}")
    return Contents(part, names_of_pairs(rows, {""}, {}), hashes)


def names_of_pairs(
    rows: dict[str, dict[str, str]], corpora: set[str], rooms: dict[str, str]
) -> dict[tuple[str, str], str]:
    """List who and what stands in the rows of ready pairs, with an item that holds it.

    Args:
        rows: by item.
        corpora: in which a speaker without a corpus may be.
        rooms: of responses, by path or name.
    """
    names: dict[tuple[str, str], str] = {}
    for item, facts in rows.items():
        own = {facts["corpus"]} if facts.get("corpus") else corpora
        for column, name in facts.items():
            for key in _names_of_cell(column, name, own, rooms):
                names.setdefault(key, item)
    return names


def _names_of_cell(column: str, name: str, corpora: set[str], rooms: dict[str, str]) -> list[tuple[str, str]]:
    spoken = [f"{corpus}/{name}" if corpus else name for corpus in sorted(corpora)]
    if column in TALKER_COLUMNS or column.startswith("speaker_"):
        return [("speech speaker", each) for each in spoken]
    if column == "noise":
        return [("noise recording", each) for each in name.split("+")]
    if column == "room":
        return [("rir room", name)]
    if column == "rir":
        return [("rir room", rooms.get(name) or rooms.get(_stem(name)) or name)]
    if column in ("recording", "group"):
        return [(f"speech {column}", each) for each in spoken] + [(f"noise {column}", name)]
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
                    do="correct the split",
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
