"""Folders of ready mixtures with their targets: which layout one has, and which files belong together.

Two layouts: `noisy/` with `clean/` (one source), or `mixture/` with `speaker_1/`, `speaker_2/`, … Files
belong together when their paths below those folders agree but for the suffix.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from audiocx.audio.find import audio_suffixes
from audiocx.errors import DataError, describe


@dataclass(frozen=True)
class Layout:
    """Which folders hold the mixtures and the sources.

    Attributes:
        folder: the folder that holds them.
        mixture: name of the mixtures' folder.
        sources: names of the sources' folders, in order.
    """

    folder: Path
    mixture: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A mixture and its sources.

    Attributes:
        name: path below their folders, without suffix, with `/`.
        mixture: the mixture's file.
        sources: the sources' files, in order.
        problem: why they cannot be used, in one line; empty where nothing is known against them.
    """

    name: str
    mixture: Path
    sources: tuple[Path, ...]
    problem: str = ""


def find_layout(folder: Path) -> Layout:
    """Tell which of the two layouts a folder has.

    Raises:
        DataError: it does not exist, or has neither.
    """
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing there"
        raise DataError(describe(f"{folder}: no such folder", expected="a folder of pairs", got=got))
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if "noisy" in names and "clean" in names:
        return Layout(folder, "noisy", ("clean",))
    numbers = sorted(
        int(match.group(1)) for name in names if (match := re.fullmatch(r"speaker_([1-9]\d*)", name))
    )
    if "mixture" in names and numbers:
        if numbers != list(range(1, len(numbers) + 1)):
            raise DataError(
                describe(
                    f"{folder}: speakers are not numbered without gaps",
                    expected=f"speaker_1 to speaker_{len(numbers)}",
                    got=", ".join(f"speaker_{number}" for number in numbers),
                )
            )
        return Layout(folder, "mixture", tuple(f"speaker_{number}" for number in numbers))
    raise DataError(
        describe(
            f"{folder}: not a folder of pairs",
            expected="noisy/ and clean/, or mixture/ and speaker_1/, speaker_2/, …",
            got=", ".join(f"{name}/" for name in names[:6]) or "no folders",
        )
    )


def list_audio(folder: Path) -> dict[str, list[Path]]:
    """Audio files of a folder and below, by path without suffix (with `/`); hidden ones are left out."""
    suffixes = set(audio_suffixes())
    found: dict[str, list[Path]] = {}
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            path = Path(parent) / file
            if not file.startswith(".") and path.suffix.lower() in suffixes:
                found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found


def find_pairs(layout: Layout) -> list[Pair]:
    """Match the files of a layout, sorted by name; whatever is wrong with a pair stands in its `problem`.

    Raises:
        DataError: there is no audio at all.
    """
    columns = [layout.mixture, *layout.sources]
    files = {column: list_audio(layout.folder / column) for column in columns}
    names = sorted({name for listed in files.values() for name in listed})
    if not names:
        raise DataError(
            describe(
                f"{layout.folder}: no audio files in {', '.join(f'{column}/' for column in columns)}",
                expected=f"files that end in {' '.join(audio_suffixes())}",
            )
        )
    pairs = []
    for name in names:
        problem = ""
        chosen = []
        for column in columns:
            candidates = files[column].get(name, [])
            if len(candidates) > 1:
                both = " and ".join(path.name for path in candidates[:2])
                problem = problem or describe(
                    f"{layout.folder / column / name}: two files of one name",
                    got=both,
                    do="keep one",
                )
            elif not candidates:
                partner = next(other for other in columns if name in files[other])
                problem = problem or describe(
                    f"{files[partner][name][0]}: has no partner",
                    expected=f"{layout.folder / column / name}.* beside it",
                )
            chosen.append(candidates[0] if candidates else layout.folder / column / name)
        pairs.append(Pair(name, chosen[0], tuple(chosen[1:]), problem))
    return pairs


def first_problem(pairs: list[Pair]) -> str:
    """Word the first problem among pairs and count the others; empty where there is none."""
    problems = [pair.problem for pair in pairs if pair.problem]
    if not problems:
        return ""
    return problems[0] + (f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else "")
