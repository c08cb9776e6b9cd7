"""Checks of numbers that a user sets for data; each is one line that names the setting."""

from __future__ import annotations

from collections.abc import Sequence

from audiocx.errors import ConfigError, describe


def check_least(least: float, name: str, value: float) -> None:
    """Check a count or a length.

    Raises:
        ConfigError: it is below `least`.
    """
    if value < least:
        raise ConfigError(describe(f"data.{name} does not fit", expected=f"at least {least:g}", got=value))


def check_share(name: str, value: float) -> None:
    """Check a probability.

    Raises:
        ConfigError: it is not between 0 and 1.
    """
    if not 0 <= value <= 1:
        raise ConfigError(describe(f"data.{name} does not fit", expected="0 to 1", got=value))


def as_range(name: str, values: tuple[float, float]) -> tuple[float, float]:
    """Check a range given as two numbers.

    Raises:
        ConfigError: it is not two numbers, the lower first.
    """
    if not isinstance(values, Sequence) or len(values) != 2 or not values[0] <= values[1]:
        raise ConfigError(
            describe(
                f"data.{name} is no range",
                expected="[lowest, highest]",
                got=list(values) if isinstance(values, Sequence) else values,
                do=f"for example data.{name}=[-5,10]",
            )
        )
    return (float(values[0]), float(values[1]))
