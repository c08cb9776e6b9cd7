"""What several commands share: a user's own package, and wording what is wrong with a setting."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from audiocx.errors import AudiocxError, ConfigError, describe


def find_packages_here() -> None:
    """Let a user's own package in the working directory be imported; last, so that it hides none."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)


@contextmanager
def fitting(group: str) -> Iterator[None]:
    """Word what a value of a config group causes where it does not fit.

    Raises:
        ConfigError: in place of whatever the library at hand raised.
    """
    try:
        yield
    except AudiocxError:
        raise
    except Exception as error:  # libraries raise what they like on a wrong value
        cause = error
        while cause.__cause__ is not None and isinstance(cause.__cause__, Exception):
            cause = cause.__cause__
        if isinstance(cause, AudiocxError):
            raise cause from error
        reason = (str(cause) or type(cause).__name__).splitlines()[0]
        raise ConfigError(
            describe(f"{group}: a setting does not fit", got=reason, do="--cfg job prints all settings")
        ) from error


def at_least(least: int, name: str, value: object) -> int:
    """Check a whole number.

    Raises:
        ConfigError: it is none, or too small.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(describe(name, expected=f"a whole number of at least {least}", got=value))
    return value


def word_list(least: int, name: str, value: object) -> list[str]:
    """Check a list of words; a single word is a list of one.

    Raises:
        ConfigError: it is none, is too short, or holds something else.
    """
    words = [value] if isinstance(value, str) else value
    if (
        not isinstance(words, Sequence)
        or len(words) < least
        or not all(isinstance(word, str) and word.strip() for word in words)
    ):
        at_least = f" of at least {least}" if least else ""
        raise ConfigError(
            describe(
                name, expected=f"a list{at_least}, as {name}=[WORD]", got="null" if value is None else value
            )
        )
    return list(words)
