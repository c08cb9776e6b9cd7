"""The errors a user can cause, and one helper that words them.

A message is one line: what is wrong and where, what was expected, what was got, what to do. The command line
prints it without a traceback and ends with the error's ``exit_code``: 1 where work was started and an input
failed, 2 where nothing was started.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AudiocxError(Exception):
    """Base of all errors that audiocx raises on purpose."""

    exit_code: int = 2


class ShapeError(AudiocxError, ValueError):
    """A tensor has other axes than a function asks for."""


class ConfigError(AudiocxError, ValueError):
    """A setting, option or combination of settings does not fit."""


class CheckpointError(AudiocxError):
    """A path is not a checkpoint, or holds one that cannot be used."""


class DataError(AudiocxError):
    """A data set is not as its layout asks: a missing folder, a missing partner, an unequal pair."""


class OutputError(AudiocxError):
    """An output folder or file cannot be made."""


class MissingExtraError(AudiocxError, ImportError):
    """An optional dependency is needed and is not installed."""


class AudioFileError(AudiocxError):
    """One audio file cannot be read, is broken, or cannot be written; others may go on."""

    exit_code = 1


class TrainingError(AudiocxError):
    """A training that was started cannot go on."""

    exit_code = 1


def describe(what: str, *, expected: object = None, got: object = None, do: str | None = None) -> str:
    """Word an error in one line: what, expected, got, what to do.

    Args:
        what: what is wrong, beginning with where (file, option or argument).
        expected: what would have been right.
        got: what was found instead.
        do: what the user can do now.

    Example:
        >>> describe("a.wav: sample rate differs", expected="16000 Hz", got="8000 Hz", do="resample it")
        'a.wav: sample rate differs; expected 16000 Hz, got 8000 Hz; resample it'
    """
    parts = [what]
    facts = []
    if expected is not None:
        facts.append(f"expected {expected}")
    if got is not None:
        facts.append(f"got {got}")
    if facts:
        parts.append(", ".join(facts))
    if do is not None:
        parts.append(do)
    return " ".join("; ".join(parts).split())


def nearest(word: str, choices: Iterable[str]) -> str:
    """Word a hint for a mistyped name: the nearest choice, or all of them where none is near.

    Example:
        >>> nearest("comlpex_unet", ["complex_unet", "split_unet"])
        'did you mean `complex_unet`?'
    """
    known = sorted(choices)
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if matches:
        return f"did you mean `{matches[0]}`?"
    return f"known: {', '.join(known)}"


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Make the error for an optional dependency that is not installed.

    Args:
        package: name of the package that could not be imported.
        extra: the extra of audiocx that brings it.
        purpose: what it is needed for.
    """
    return MissingExtraError(
        describe(f"{purpose} needs the package `{package}`", do=f'pip install "audiocx[{extra}]"')
    )
