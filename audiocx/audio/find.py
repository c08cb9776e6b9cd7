"""From what is typed on a command line to the files it means, and to where their results go."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from audiocx.errors import ConfigError, describe

AUDIO_SUFFIXES = frozenset(
    (
        *(".wav", ".w64", ".rf64", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf"),
        *(".flac", ".ogg", ".oga", ".opus", ".mp3"),
    )
)
"""What counts as audio in a folder or a glob, in either case; a file named itself needs none of them."""


class Found(NamedTuple):
    """An input file, and where it stands below the folder or glob that brought it in.

    Attributes:
        path: the file.
        relative: its path relative to the given folder, or to a glob's part without wildcards; a file that is
            named itself has its name alone.
    """

    path: Path
    relative: Path


def audio_suffixes() -> tuple[str, ...]:
    """Suffixes that count as audio, sorted, for messages."""
    return tuple(sorted(AUDIO_SUFFIXES))


def find_audio(inputs: Iterable[str], *, exclude: Path | None = None) -> list[Found]:
    """Expand files, folders and globs.

    Folders are searched to any depth. In folders and globs hidden files, files without an audio suffix and
    files below `exclude` are left out; a file that is named itself is always taken.

    Args:
        inputs: paths and globs, `**` included.
        exclude: a folder whose files are results, not inputs.

    Returns:
        The files, sorted by path, each once.

    Raises:
        ConfigError: a path does not exist, a glob matches nothing, or there is no audio in all of it.
    """
    inputs = list(inputs)
    excluded = None if exclude is None else Path(os.path.realpath(exclude))
    found: dict[Path, Found] = {}
    n_excluded = 0
    for given in inputs:
        for path, relative, named in _expand(given):
            identity = Path(os.path.realpath(path.parent)) / path.name
            if excluded is not None and not named and identity.is_relative_to(excluded):
                n_excluded += 1
            else:
                found.setdefault(identity, Found(path, relative))
    if not found:
        got = f"{n_excluded} below the output folder {exclude}" if n_excluded else "none"
        raise ConfigError(
            describe(
                f"no audio files in {', '.join(inputs) or 'no input'}",
                expected=f"files that end in {' '.join(audio_suffixes())}",
                got=got,
                do="name another output folder" if n_excluded else None,
            )
        )
    return sorted(found.values(), key=lambda item: str(item.path))


def pair_with_outputs(found: Iterable[Found], output: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Pair every input with its output, `<stem><suffix>` at its place below the output folder.

    Raises:
        ConfigError: two inputs would have one output, or an output would replace an input.
    """
    found = list(found)
    inputs = {os.path.realpath(item.path): item.path for item in found}
    taken: dict[str, Path] = {}
    pairs = []
    for item in found:
        target = output / item.relative.with_name(item.relative.stem + suffix)
        key = os.path.normcase(os.path.realpath(target))
        if key in taken:
            raise ConfigError(
                describe(
                    f"{taken[key]} and {item.path} would both be written to {target}",
                    do="rename one, or take another output folder for it",
                )
            )
        if key in inputs:
            raise ConfigError(
                describe(
                    f"the result of {item.path} would replace the input {inputs[key]}",
                    do="take another output folder",
                )
            )
        taken[key] = item.path
        pairs.append((item.path, target))
    return pairs


def _expand(given: str) -> Iterator[tuple[Path, Path, bool]]:
    """Yield (path, relative path, whether the file was named itself) for one input."""
    path = Path(given)
    if path.is_dir():
        for file in _walk(path):
            yield file, file.relative_to(path), False
    elif os.path.lexists(path):
        yield path, Path(path.name), True
    elif glob.has_magic(given):
        matches = sorted(glob.glob(given, recursive=True))
        if not matches:
            raise ConfigError(describe(f"{given}: the pattern matches nothing"))
        root = _without_wildcards(given)
        for match in map(Path, matches):
            for file in _walk(match) if match.is_dir() else [match]:
                if _is_audio(file.name):
                    yield file, file.relative_to(root), False
    else:
        raise ConfigError(describe(f"{given}: no such file or folder"))


def _walk(folder: Path) -> Iterator[Path]:
    """Audio files below a folder, linked folders included, each folder once so that a loop of links ends."""
    seen: set[str] = set()

    def refuse(error: OSError) -> None:
        raise ConfigError(describe(f"{error.filename}: the folder cannot be read", got=error.strerror))

    for parent, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        identity = os.path.realpath(parent)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if _is_audio(name):
                yield Path(parent) / name


def _is_audio(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _without_wildcards(pattern: str) -> Path:
    """The folder that a glob's matches have in common by its text."""
    parts = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)
