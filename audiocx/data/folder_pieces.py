"""The examples of `data=folder`: pieces cut out of ready pairs, where somebody speaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from audiocx.data.activity import ACTIVE_SHARE, FRAME_SECONDS, counts_before
from audiocx.data.batch import Example
from audiocx.data.randomness import Stream, generator
from audiocx.data.recording import choose_channel
from audiocx.data.survey import OpenedPair


def active_starts(pair: OpenedPair, n_samples: int) -> NDArray[np.int64]:
    """Starts, in samples, of the pieces of a pair that are worth drawing, on a grid of 10 ms.

    Those in which every source is active in at least 40 % of the frames; where there is none, those that come
    nearest; in an all silent pair, all.
    """
    frame = max(1, round(FRAME_SECONDS * pair.mixture.sample_rate))
    last = max(0, pair.n_samples - n_samples)
    length = max(1, min(n_samples // frame, min(len(facts.active) for facts in pair.facts)))
    shares = []
    for facts in pair.facts:
        counts = counts_before(facts.active)
        shares.append((counts[length:] - counts[:-length]) / length)
    least = np.min(shares, axis=0)
    share = least if least.max() > 0 else np.max(shares, axis=0)
    starts = np.minimum(np.flatnonzero(share >= min(ACTIVE_SHARE, share.max())) * frame, last)
    return starts.astype(np.int64)


class PairReader:
    """Cuts examples out of opened pairs.

    Args:
        pairs: where from.
        n_samples: length of every example; shorter pairs end in zeros.
        channel: `first`, `mean` or `random`.
    """

    def __init__(self, pairs: Sequence[OpenedPair], n_samples: int, channel: str) -> None:
        self.pairs = pairs
        self.n_samples = n_samples
        self.channel = channel

    def cut(self, place: int, start: int, turn: int, index: int) -> Example:
        """Read one piece of a pair; `turn` picks the channel where that is random."""
        pair = self.pairs[place]
        pieces = [
            choose_channel(recording.read(start, self.n_samples), self.channel, turn)
            for recording in (pair.mixture, *pair.sources)
        ]
        return Example(
            # A copy: a piece may be a view of a read-only file.
            mixture=torch.from_numpy(np.array(pieces[0])),
            target=torch.from_numpy(np.stack(pieces[1:])),
            index=index,
            name=pair.name,
            tags={"kind": "noisy" if len(pair.sources) == 1 else "mixture"},
        )


class TrainingPieces(Dataset[Example]):
    """Endless pieces: a pair in proportion to its seconds, then a piece of it in which somebody speaks."""

    def __init__(self, reader: PairReader, seed: int) -> None:
        self.reader = reader
        self.seed = seed
        lengths = [max(pair.n_samples, reader.n_samples) for pair in reader.pairs]
        self.ends = np.cumsum(lengths)

    def __getitem__(self, index: int) -> Example:
        """Draw a piece: a pure function of (seed, index)."""
        random = generator(self.seed, index, Stream.TRAIN)
        place = int(np.searchsorted(self.ends, random.integers(self.ends[-1]), side="right"))
        starts = active_starts(self.reader.pairs[place], self.reader.n_samples)
        start = int(starts[random.integers(len(starts))])
        return self.reader.cut(place, start, int(random.integers(2**31)), index)


class FixedPieces(Dataset[Example]):
    """One piece of each pair: its first that is worth drawing."""

    def __init__(self, reader: PairReader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.reader.pairs)

    def __getitem__(self, index: int) -> Example:
        """Cut the piece of a pair."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = int(active_starts(self.reader.pairs[index], self.reader.n_samples)[0])
        turn = int(generator(0, index, Stream.CHANNEL).integers(2**31))
        return self.reader.cut(index, start, turn, index)
