"""Variations of training examples: what an augmentation is, and how those of a run are applied.

An augmentation works on the dry `speech`, on the `noise`, or on the finished example: on the `mixture` alone
(the target stays what the speaker said: codecs, clipping, hiss) or on `both` alike (what any linear channel does
to all sound in it). Arrays are (row, sample); rows are changed alike. Entries of `data.augmentation` are applied
in the order of the config, each with its probability. Those that come with audiocx are in
`augment_channel.py` and `augment_recorder.py`.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocx.data.randomness import Stream, generator
from audiocx.data.settings import is_number, is_range
from audiocx.errors import ConfigError, describe, nearest

Rows = NDArray[np.float32]

PLACES = ("speech", "noise", "mixture", "both")


class Augmentation(ABC):
    """One kind of variation.

    Args:
        probability: share of the training examples that it changes.
        place: what it works on: `speech`, `noise`, `mixture` or `both`.

    Raises:
        ConfigError: a setting does not fit.
    """

    def __init__(self, probability: float, place: str) -> None:
        if not is_number(probability) or not 0 <= probability <= 1:
            raise ConfigError(
                describe(f"{self.title}.probability does not fit", expected="0 to 1", got=probability)
            )
        if place not in PLACES:
            raise ConfigError(
                describe(f"{self.title}.place: nothing called `{place}`", do=nearest(str(place), PLACES))
            )
        self.probability = probability
        self.place = place

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"augmentation {type(self).__name__}"

    def samples_taken(self, random: np.random.Generator) -> float:
        """Samples that `apply`, given a generator in the same state, takes for each that it gives."""
        return 1.0

    @abstractmethod
    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Return changed rows (row, sample); as many samples, but for `samples_taken`."""

    def checked_range(
        self, name: str, values: Sequence[float], least: float = -np.inf, most: float = np.inf
    ) -> tuple[float, float]:
        """Check a setting that is a range.

        Raises:
            ConfigError: it is not two finite numbers within `least` and `most`, the lower first.
        """
        if not is_range(values) or not least <= values[0] <= values[1] <= most:
            bounds = "" if np.isinf([least, most]).all() else f" within {least:g} to {most:g}"
            raise ConfigError(
                describe(f"{self.title}.{name} is no range", expected=f"[low, high]{bounds}", got=values)
            )
        return float(values[0]), float(values[1])


class Augmenter:
    """The augmentations of a run.

    Every entry draws from a generator of its own, made of the example and the entry's name: turning one on changes
    nothing that others draw, and no example that it leaves alone. Nor does it change what the mixing draws, but for
    one that changes the pace (`samples_taken`): it needs another length of sound, so another piece may be drawn.

    Args:
        entries: by name; those of probability 0 cost nothing.

    Raises:
        ConfigError: an entry is no augmentation.
    """

    def __init__(self, entries: Mapping[str, Augmentation]) -> None:
        for name, entry in entries.items():
            if not isinstance(entry, Augmentation):
                raise ConfigError(
                    describe(
                        f"data.augmentation.{name} is no augmentation",
                        expected="_target_: of one in conf/data/augmentation/default.yaml, or of your own",
                        got=entry,
                    )
                )
        self.entries = {name: entry for name, entry in entries.items() if entry.probability > 0}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the settings of the entries that are on, as plain values."""
        return {
            name: {"kind": type(entry).__name__} | {key: _plain(value) for key, value in vars(entry).items()}
            for name, entry in self.entries.items()
        }

    def of(self, seed: int, index: int) -> Variation:
        """Return what an example gets."""
        return Variation(self.entries, seed, index)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what JSON has not (in a user's own class) as text."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


class Variation:
    """The augmentations of one example.

    Args:
        entries: by name, in order.
        seed: of the run.
        index: of the example.
    """

    def __init__(self, entries: Mapping[str, Augmentation], seed: int = 0, index: int = 0) -> None:
        self.entries = entries
        self.seed = seed
        self.index = index

    def length(self, place: str, n_samples: int) -> int:
        """Samples that `apply` needs to give so many; maybe one or two more."""
        taken = float(np.prod([entry.samples_taken(random) for entry, random in self._acting(place)]))
        return n_samples if taken == 1 else int(np.ceil(taken * n_samples)) + 1

    def apply(self, place: str, rows: Rows, sample_rate: int) -> Rows:
        """Apply what works in a place to rows (row, sample)."""
        for entry, random in self._acting(place):
            rows = entry.apply(random, rows, sample_rate)
        return rows

    def _acting(self, place: str) -> Iterator[tuple[Augmentation, np.random.Generator]]:
        """The entries of a place that act on this example, each with its generator."""
        for name, entry in self.entries.items():
            if entry.place == place:
                random = generator(self.seed, self.index, Stream.AUGMENTATION, zlib.crc32(name.encode()))
                if random.random() < entry.probability:
                    yield entry, random


UNCHANGED = Variation({})
"""What validation and test items get."""
