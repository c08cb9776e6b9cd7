from __future__ import annotations

import itertools

import numpy as np

from audiocx.data.randomness import Stream, generator


def draw(seed: int, index: int, stream: Stream) -> list[float]:
    return generator(seed, index, stream).random(8).tolist()


def test_same_key_same_numbers() -> None:
    assert draw(3, 7, Stream.TRAIN) == draw(3, 7, Stream.TRAIN)


def test_every_part_of_the_key_matters() -> None:
    keys = [
        (3, 7, Stream.TRAIN),
        (4, 7, Stream.TRAIN),
        (3, 8, Stream.TRAIN),
        (3, 7, Stream.TEST),
        (7, 3, Stream.TRAIN),
    ]
    for first, second in itertools.combinations(keys, 2):
        assert not set(draw(*first)) & set(draw(*second)), (first, second)


def test_streams_have_numbers_of_their_own() -> None:
    assert len({int(stream) for stream in Stream}) == len(Stream.__members__)


def test_any_integer_is_a_seed() -> None:
    assert draw(-1, 0, Stream.TRAIN) == draw(2**64 - 1, 0, Stream.TRAIN)


def test_global_state_is_left_alone() -> None:
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    draw(0, 0, Stream.TRAIN)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002
