"""Checks of what a user sets for data: kind, finiteness and size; each is one line that names the setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from os import PathLike
from typing import Any, NoReturn

from audiocx.errors import ConfigError, describe

EXAMPLES = {"snr_db": "[-5,10]", "level_dbfs": "[-35,-15]"}
"""A range that fits, for the settings that are one."""


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number; true and false are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_least(least: float, name: str, value: object) -> None:
    """Check a count or a length.

    Args:
        least: smallest that fits; where this is a whole number (`1`, not `1.0`), the value has to be one too.
        name: of the setting, without `data.`.
        value: what the user set.

    Raises:
        ConfigError: it is no such number, or below `least`.
    """
    is_count = isinstance(least, int)
    if not is_number(value) or (is_count and not isinstance(value, Integral)) or value < least:  # type: ignore[operator]
        kind = "a whole number of " if is_count else ""
        _refuse(name, f"{kind}at least {least:g}", value)


def check_above_zero(name: str, value: object) -> None:
    """Check a length that cannot be zero.

    Raises:
        ConfigError: it is no number above 0.
    """
    if not is_number(value) or value <= 0:  # type: ignore[operator]
        _refuse(name, "a number above 0", value)


def check_share(name: str, value: object) -> None:
    """Check a probability.

    Raises:
        ConfigError: it is no number between 0 and 1.
    """
    if not is_number(value) or not 0 <= value <= 1:  # type: ignore[operator]
        _refuse(name, "0 to 1", value)


def check_path(name: str, value: object) -> None:
    """Check a file or folder; whether it is there is seen when it is read.

    Raises:
        ConfigError: it is no text.
    """
    if not isinstance(value, str | PathLike):
        _refuse(name, "a path", value)


def as_texts(name: str, value: object) -> list[str]:
    """Return one text or several as a list.

    Raises:
        ConfigError: it is neither.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        _refuse(name, "text, or a list of texts", value)
    return list(texts)


def is_range(values: Any) -> bool:
    """Tell whether a value is two finite numbers, the lower first."""
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str)
        and len(values) == 2
        and all(is_number(value) for value in values)
        and values[0] <= values[1]
    )


def as_range(name: str, values: Any) -> tuple[float, float]:
    """Check a range given as two numbers.

    Raises:
        ConfigError: it is not two finite numbers, the lower first.
    """
    if not is_range(values):
        raise ConfigError(
            describe(
                f"data.{name} is no range",
                expected="[lowest, highest], two finite numbers",
                got=values,
                do=f"for example data.{name}={EXAMPLES[name]}" if name in EXAMPLES else None,
            )
        )
    return (float(values[0]), float(values[1]))


def _refuse(name: str, expected: str, got: object) -> NoReturn:
    raise ConfigError(
        describe(f"data.{name} does not fit", expected=expected, got="null" if got is None else got)
    )
