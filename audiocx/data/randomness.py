"""Counter-based random numbers: the same (seed, index, stream) gives the same numbers, whoever asks and when.

No global random state is read or changed, so an example does not depend on workers, on order, or on what was
drawn before it (Salmon et al. 2011, Philox 4x64).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

FIXED_SEED = 20130
"""Seed of validation and test items that are mixed on the fly; the run's seed changes training alone."""


class Stream(IntEnum):
    """What the numbers are for: two uses of one (seed, index) must not share a stream. Values stay."""

    TRAIN = 0
    VALID = 1
    TEST = 2
    VOICE_PLAN = 3
    VOICE_TEXT = 4
    NOISE = 5
    HARMONIC_VOICE = 6
    TEST_PLAN = 7
    CHANNEL = 8
    MIX_PLAN = 9
    AUGMENTATION = 10


def generator(seed: int, index: int, stream: Stream, use: int = 0) -> np.random.Generator:
    """Return a fresh generator for one (seed, index, stream).

    Args:
        seed: any integer; taken modulo 2**64.
        index: number of the example, voice or recording; taken modulo 2**64.
        stream: what the numbers are for.
        use: parts a stream into uses that share nothing; taken modulo 2**64.
    """
    key = np.array([seed % 2**64, index % 2**64], dtype=np.uint64)
    # The topmost counter word separates the streams: 2**192 blocks lie between two
    # of them, and 2**128 between two uses of one.
    counter = np.array([0, 0, use % 2**64, int(stream)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
