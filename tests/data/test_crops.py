from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audiocx.data.activity import active_power
from audiocx.data.mix import MixDataModule
from audiocx.data.mix_maker import MixMaker

RATE = 16000
Make = Callable[..., MixDataModule]


def maker_of(mix: Make, seconds: float) -> MixMaker:
    return mix(segment_seconds=seconds).make_train().maker  # type: ignore[attr-defined, no-any-return]


def sounding(waveform: np.ndarray) -> list[np.ndarray]:
    """Cut at pauses of digital silence of at least 40 ms."""
    places = np.flatnonzero(waveform)
    cuts = np.flatnonzero(np.diff(places) > 640)
    starts, ends = [places[0], *places[cuts + 1]], [*places[cuts], places[-1]]
    return [waveform[start : end + 1] for start, end in zip(starts, ends, strict=True)]


def test_joined_pieces_have_one_level_and_begin_anywhere(mix: Make) -> None:
    """The second file of each talker is five times as loud as the first."""
    maker = maker_of(mix, 3.0)
    number = next(n for n, facts in maker.speech.facts.items() if facts["path"] == "train-c-0.wav")
    lengths = set()
    for seed in range(12):
        talker = maker.talker(np.random.default_rng(seed), number, in_room=False)
        pieces = sounding(talker.speech)
        lengths.add(len(pieces[0]))
        levels = [10 * np.log10(active_power(piece, RATE)) for piece in pieces if len(piece) > 0.9 * RATE]
        assert levels == pytest.approx([0.0] * len(levels), abs=2)  # a piece may be cut at the end
        assert talker.recordings == {"train-c-0.wav", "train-c-1.wav"}
    assert len(lengths) > 8  # of the first piece, of which up to half may be missing
    assert 0.35 * RATE < min(lengths) < 0.75 * RATE


def test_events_begin_anywhere_and_differ_by_up_to_6_db(mix: Make) -> None:
    maker = maker_of(mix, 2.0)
    number = next(n for n, facts in maker.noise.facts.items() if facts["class"] == "bark")
    firsts, spreads = set(), []
    for seed in range(12):
        waveform, _ = maker.noises(np.random.default_rng(seed), number, second=False)
        events = sounding(waveform)
        firsts.add(len(events[0]))
        whole = [event for event in events if 1590 <= len(event) <= 1600]
        levels = [10 * np.log10(np.square(event).mean()) for event in whole]
        spreads.append(max(levels) - min(levels))
    assert min(firsts) < 0.09 * RATE
    assert 4 < max(spreads) <= 6.01
