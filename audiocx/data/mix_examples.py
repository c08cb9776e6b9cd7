"""The examples of `data=mix`: endless ones to train on, fixed ones to validate and test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from audiocx.data.augmentation import Augmenter
from audiocx.data.batch import Example
from audiocx.data.mix_maker import MixMaker
from audiocx.data.randomness import FIXED_SEED, Stream, generator
from audiocx.data.test_set import TestSet

FIXED_SNRS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)
"""Ratios of validation and test items."""


class TrainingMixes(Dataset[Example]):
    """Endless training examples: a pure function of (seed, index)."""

    def __init__(self, maker: MixMaker, seed: int, augmenter: Augmenter) -> None:
        self.maker = maker
        self.seed = seed
        self.augmenter = augmenter

    def __getitem__(self, index: int) -> Example:
        """Draw and mix an example."""
        maker, settings = self.maker, self.maker.settings
        random = generator(self.seed, index, Stream.TRAIN)
        variation = self.augmenter.of(self.seed, index)
        snr_db, level_dbfs = random.uniform(*settings.snr_db), random.uniform(*settings.level_dbfs)
        kind, reverberation, second = random.random(3)
        talker = noise = None
        files: list[int] = []
        if kind >= settings.noise_only_probability:
            number = maker.speech.draw(random)
            in_room = reverberation < settings.reverberation_probability
            talker = maker.talker(random, number, in_room, variation)
        if kind < 1 - settings.clean_probability or talker is None:
            first = maker.first_noise(random, talker)
            has_second = second < settings.second_noise_probability
            spoken = () if talker is None else talker.recordings
            noise, files = maker.noises(random, first, has_second, variation, spoken)
        return maker.example(index, talker, noise, files, snr_db, level_dbfs, variation)


class FixedMixes(Dataset[Example], TestSet):
    """Validation or test items, the same for every run.

    Talkers, noise classes and ratios go round, each in an order of its own, so that all are heard about
    equally often; every fourth item is reverberant where there are rooms.

    Args:
        maker: of the part.
        n_items: how many.
        stream: `VALID` or `TEST`.
        content: hash of the sounds.
        n_alone: how many of the items are clean speech, and how many noise alone.
    """

    n_sources = 1

    def __init__(self, maker: MixMaker, n_items: int, stream: Stream, content: str, n_alone: int = 0) -> None:
        self.maker = maker
        self.n_items = n_items
        self.n_alone = n_alone
        self.stream = stream
        self.content = content
        self.sample_rate = maker.sample_rate
        random = generator(FIXED_SEED, 0, Stream.MIX_PLAN)
        self._talkers = _rounds(random, sorted(maker.speech.talkers), n_items)
        self._classes = _rounds(random, sorted(maker.noise.classes), n_items)
        self._snrs = _rounds(random, FIXED_SNRS_DB, n_items)

    def __len__(self) -> int:
        """Return the number of items."""
        return self.n_items

    def __getitem__(self, index: int) -> Example:
        """Make an item."""
        if not 0 <= index < self.n_items:
            raise IndexError(index)
        maker = self.maker
        random = generator(FIXED_SEED, index, self.stream)
        level_dbfs = random.uniform(*maker.settings.level_dbfs)
        from_end = self.n_items - 1 - index
        talker = noise = None
        files: list[int] = []
        if not self.n_alone <= from_end < 2 * self.n_alone:
            number = maker.speech.talkers[self._talkers[index]].draw(random)
            talker = maker.talker(random, number, index % 4 == 3)
        if from_end >= self.n_alone:
            first = maker.first_noise(random, talker, self._classes[index])
            noise, files = maker.noises(random, first, second=False)
        return maker.example(index, talker, noise, files, self._snrs[index], level_dbfs)

    def name(self, index: int) -> str:
        """Return what an item is called."""
        return f"{self.maker.part}-{index:03d}"

    def fingerprint(self) -> str:
        """Return a hash of what is mixed and how."""
        return self.content


def _rounds(random: np.random.Generator, names: Sequence[Any], count: int) -> list[Any]:
    """Put names in rounds, each with all names in a new order."""
    rounds = [random.permutation(len(names)) for _ in range(-(-count // len(names)))]
    return [names[place] for turn in rounds for place in turn][:count]
