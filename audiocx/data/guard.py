"""The leakage guard: nothing that is heard in training may be heard again in validation or test.

Compared are sounds (`sound_hashes` and `copies` say what that finds) and the names of speakers, recordings,
groups and rooms, across all tables; never authors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import PurePosixPath

from audiocx.audio.find import audio_suffixes
from audiocx.data.cache import hash_of_file
from audiocx.data.copies import Envelope, envelope, find_copy
from audiocx.data.parts import PARTS
from audiocx.data.ready import TALKER_COLUMNS, ReadyTestSet
from audiocx.data.sound_hashes import hear
from audiocx.data.sounds import Sounds
from audiocx.data.splitting import Key, corpora_of, identities
from audiocx.data.survey import OpenedPair
from audiocx.data.table import Table
from audiocx.errors import AudioFileError, DataError, describe

SHOWN = 4
"""Names that a message lists; the others are counted."""


@dataclass
class Contents:
    """What one part holds.

    Attributes:
        part: its name, as messages say it.
        names: of people and things (`splitting.identities`), with a file that has it.
        hashes: of contents, with the file.
        envelopes: of files, by path; of a ready test set alone.
    """

    part: str
    names: dict[Key, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    envelopes: dict[str, Envelope] = field(default_factory=dict)


class FileNames:
    """What files of a table are called, looked up by a path or the end of one, with or without suffix.

    Args:
        names: of what each file is, by its path in the table.
    """

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        self._by_path: dict[str, set[str]] = {}
        self._by_end: dict[str, set[str]] = {}
        for path, name in names:
            ends = _ends(path)
            self._by_path.setdefault(ends[0], set()).add(name)
            for end in ends:
                self._by_end.setdefault(end, set()).add(name)

    def named(self, text: str) -> set[str]:
        """Names of all files that a text may mean: `1`, of `kitchen/1.wav` and of `hall/1.wav`.

        Tables lie in different folders, so one path may be the end of the other.
        """
        ends = _ends(text)
        found = self._by_end.get(ends[0], set())
        return found.union(*(self._by_path.get(end, set()) for end in ends))


def _ends(path: str) -> list[str]:
    """A path without suffix, and what is left of it as its first folders are taken away."""
    pure = PurePosixPath(path.strip().replace("\\", "/"))
    parts = (pure.with_suffix("") if pure.suffix.lower() in audio_suffixes() else pure).parts
    return ["/".join(parts[start:]) for start in range(len(parts))] or [""]


def contents_of(tables: Sequence[Table], sounds: Sequence[Sounds]) -> list[Contents]:
    """List what train, valid and test hold, of tables with their stores."""
    corpora = corpora_of(tables)
    found = []
    for part in PARTS:
        contents = Contents(part)
        for table, store in zip(tables, sounds, strict=True):
            for row in table.of(part):
                for key in identities(row, table.kind, corpora):
                    contents.names.setdefault(key, f"{table.kind} {row.facts['path']}")
                sound = store.sounds[store.numbers[str(row.path)]]
                if sound.content:
                    contents.hashes.setdefault(sound.content, str(row.path))
                    contents.hashes.setdefault(sound.sha256, str(row.path))
        found.append(contents)
    return found


def contents_of_test(test: ReadyTestSet, tables: Sequence[Table]) -> Contents:
    """List what a ready test set holds, by its `index.csv` and its files.

    Its columns `speaker` (`talker`, `speaker_1`, …), `noise` (a recording or a file of the table of noise,
    several with `+` between), `room`, `rir` (a file of the table of responses, or a room), `recording` and
    `group` count. A name without a corpus stands for that name in every corpus.

    Its files are found where training or validation has the same sound whole (`refuse_copies`: or nearly so).
    Items are mixtures mostly, and their targets cut from longer files: the samples of these are nowhere else,
    and their names have to tell.
    """
    files = {
        table.kind: FileNames(
            (row.facts["path"], row.facts["room" if table.kind == "rir" else "recording"])
            for row in table.rows
        )
        for table in tables
        if table.kind != "speech"
    }
    contents = Contents(str(test.folder), names_of_pairs(test.rows, corpora_of(tables) or {""}, files))
    for pair in test.pairs:
        for path in (pair.mixture, *pair.sources):
            if not path.is_file():
                continue
            try:
                hashes, powers = hear(path, test.sample_rate, test.channel)
            except AudioFileError:
                continue  # that item fails, and alone, when it is scored
            if hashes:
                contents.envelopes[str(path)] = envelope(powers)
            for key in (*hashes, hash_of_file(path)) if hashes else ():
                contents.hashes.setdefault(key, str(path))
    return contents


def contents_of_pairs(part: str, pairs: Sequence[OpenedPair], rows: dict[str, dict[str, str]]) -> Contents:
    """List what opened pairs hold, with the rows of their `index.csv`."""
    hashes: dict[str, str] = {}
    for pair in pairs:
        for key in pair.hashes:
            hashes.setdefault(key, f"{part}/{pair.name}")
    return Contents(part, names_of_pairs(rows, {""}, {}), hashes)


def names_of_pairs(
    rows: dict[str, dict[str, str]], corpora: Collection[str], files: Mapping[str, FileNames]
) -> dict[Key, str]:
    """List who and what stands in the rows of ready pairs, with an item that holds it.

    Args:
        rows: by item.
        corpora: in which a speaker without a corpus may be.
        files: of the tables of noise and responses.
    """
    names: dict[Key, str] = {}
    for item, facts in rows.items():
        own = {facts["corpus"]} if facts.get("corpus") else corpora
        for column, name in facts.items():
            for key in _names_of_cell(column, name, own, files):
                names.setdefault(key, item)
    return names


def _names_of_cell(
    column: str, name: str, corpora: Collection[str], files: Mapping[str, FileNames]
) -> list[Key]:
    if column in TALKER_COLUMNS or column.startswith("speaker_"):
        spoken = [f"{corpus}/{name}" if corpus else name for corpus in sorted(corpora)]
        return [(what, each) for each in spoken for what in ("speech speaker", "speaker")]
    if column == "noise":
        # A recording may have a `+` in its own name.
        wanted = list(dict.fromkeys((name, *name.split("+"))))
        found = {each for text in wanted for each in _files_named(files, "noise", text)}
        return [
            *((what, each) for each in wanted for what in ("noise recording", "recording")),
            *(("noise recording", each) for each in sorted(found)),
        ]
    if column == "room":
        return [("rir room", name)]
    if column == "rir":
        return [("rir room", each) for each in sorted(_files_named(files, "rir", name)) or [name]]
    if column in ("recording", "group"):
        return [(what, name) for what in (f"speech {column}", f"noise {column}", column)]
    return []


def _files_named(files: Mapping[str, FileNames], kind: str, text: str) -> set[str]:
    return files[kind].named(text) if kind in files else set()


def refuse_leaks(parts: Sequence[Contents]) -> None:
    """Stop where something stands in two parts.

    Raises:
        DataError: names what, and in which.
    """
    for one, other in combinations(parts, 2):
        shared: dict[str, list[str]] = {}
        for what, name in one.names.keys() & other.names.keys():
            shared.setdefault(what, []).append(name)
        # Where the same table says it twice, the message names the table.
        for what in sorted(shared, key=lambda what: (" " not in what, what)):
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
            count = len({one.hashes[key] for key in same})
            raise _same_sound(one.hashes[same[0]], one.part, other.hashes[same[0]], other.part, count)


def refuse_copies(test: Contents, tables: Sequence[Table], sounds: Sequence[Sounds]) -> None:
    """Stop where training or validation holds a file of a ready test set in other samples.

    Raises:
        DataError: names both files.
    """
    found = find_copy(test.envelopes, tables, sounds, PARTS[:2])
    if found:
        path, part, other = found
        raise _same_sound(path, part, other, test.part)


def _same_sound(path: str, part: str, other: str, other_part: str, count: int = 1) -> DataError:
    more = f" (and {count - 1} more)" if count > 1 else ""
    return DataError(
        describe(
            f"{path} in {part} and {other} in {other_part} are the same sound{more}",
            do="take one of them out",
        )
    )
