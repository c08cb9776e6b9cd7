"""What scoring wants of a test set, whoever made it."""

from __future__ import annotations

from typing import Protocol

from audiocx.data.batch import Example


class TestSet(Protocol):
    """Items one after another; one that cannot be read fails alone.

    Attributes:
        sample_rate: of every item, in Hz.
        n_sources: sources of every item.
    """

    __test__ = False  # pytest would take the name for a test class

    sample_rate: int
    n_sources: int

    def __len__(self) -> int:
        """Return the number of items."""
        ...

    def __getitem__(self, index: int) -> Example:
        """Return an item.

        Raises:
            AudioFileError: its files cannot be read or do not fit together.
            DataError: it has no partner.
        """
        ...

    def name(self, index: int) -> str:
        """Return what an item is called, also when it cannot be read."""
        ...

    def fingerprint(self) -> str:
        """Return a stable hash of what the set is."""
        ...
