"""The three parts that data is in, and the names that users give them."""

from __future__ import annotations

from audiocx.errors import DataError, describe

PARTS = ("train", "valid", "test")
PART_NAMES = {part: part for part in PARTS} | dict.fromkeys(("val", "dev", "validation"), "valid")
"""The part that a name stands for, as folders and the column `split` write it."""


def part_of(split: str, where: str, what: str) -> str:
    """Read a cell of a column `split`.

    Raises:
        DataError: it names no part.
    """
    if split.lower() not in PART_NAMES:
        raise DataError(
            describe(
                f"{where}: the split of `{what}` is none", expected="train | valid | test", got=f"`{split}`"
            )
        )
    return PART_NAMES[split.lower()]
