from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audiocx.data.draws import Noise, Rooms, draw_channel
from audiocx.data.sounds import Sound
from audiocx.data.table import Row


def store(*sounds: Sound) -> Any:
    """As much of a store as draws ask for: sounds of one second each."""
    numbers = {sound.path: number for number, sound in enumerate(sounds)}
    return SimpleNamespace(sounds=list(sounds), numbers=numbers, seconds=lambda number: 1.0)


def heard(path: str, *powers: float) -> Sound:
    return Sound(path, n_channels=len(powers), n_samples=16000, active_powers=list(powers))


def test_rooms_are_drawn_by_the_root_of_their_responses() -> None:
    names = [*(f"hall-{number}" for number in range(9)), "shed-0"]
    rows = [Row(Path(name), {"room": name.split("-")[0]}) for name in names]
    rooms = Rooms(store(*(heard(name, 1.0) for name in names)), rows)
    random = np.random.default_rng(0)
    drawn = Counter(rooms.facts[rooms.draw(random)[0]]["room"] for _ in range(4000))
    assert drawn["hall"] / 4000 == pytest.approx(0.75, abs=0.03)  # 3 to 1, of 9 to 1 responses


def test_silent_channels_and_files_are_never_drawn() -> None:
    sounds = store(heard("half", 0.0, 1.0, 0.0, 1e-3), heard("dead", 0.0, 0.0))
    rooms = Rooms(sounds, [Row(Path(name), {"room": "hall"}) for name in ("half", "dead")])
    random = np.random.default_rng(0)
    assert {rooms.draw(random) for _ in range(50)} == {(0, 1), (0, 3)}
    assert {draw_channel(random, sounds.sounds[0]) for _ in range(50)} == {1, 3}


def noise() -> Noise:
    facts = [("rain", "one"), ("rain", "one"), ("rain", "two"), ("wind", "one"), ("bark", "three")]
    rows = [
        Row(Path(str(number)), {"class": kind, "recording": recording, "path": f"{number}.wav"})
        for number, (kind, recording) in enumerate(facts)
    ]
    return Noise(store(*(heard(str(number), 1.0) for number in range(5))), rows)


def test_noise_of_some_recordings_is_left_out() -> None:
    random, drawn = np.random.default_rng(0), noise()
    assert {drawn.draw(random, {"one"}) for _ in range(100)} == {2, 4}
    assert {drawn.draw(random, {"one", "two"}) for _ in range(20)} == {4}
    assert drawn.draw(random, {"one", "two", "three"}) is None
    assert {drawn.draw_of(random, "rain", {"one"}) for _ in range(50)} == {2}
    assert {drawn.draw_of(random, "wind", {"one"}) for _ in range(50)} == {2, 4}  # its class has none
