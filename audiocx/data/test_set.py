"""What scoring wants of a test set, whoever made it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from audiocx.data.batch import Example


class TestSet(ABC):
    """Items one after another; one that cannot be read fails alone.

    Attributes:
        sample_rate: of every item, in Hz.
        n_sources: sources of every item.
    """

    __test__ = False  # pytest would take the name for a test class

    sample_rate: int
    n_sources: int

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    @abstractmethod
    def __getitem__(self, index: int) -> Example:
        """Return an item.

        Raises:
            AudioFileError: its files cannot be read or do not fit together.
            DataError: it has no partner.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """Return what an item is called, also when it cannot be read."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a stable hash of what the set is."""
