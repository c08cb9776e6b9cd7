"""Generated noises: which families there are, who hears them, and how a recording of one is made.

A family's name is the noise class in tables. Most are non-stationary and live where speech does. Each
recording is one of its own: other pitches, rates and colours, most of them in a small room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audiocx.data import noise_families as families
from audiocx.data.activity import Waveform
from audiocx.data.sound_parts import colour, in_a_room, normalised

Family = Callable[[np.random.Generator, int, int], Waveform]


def babble(random: np.random.Generator, n_samples: int, voices: Sequence[Waveform]) -> Waveform:
    """Three to seven talkers at once, from the voices given (sample,), near and far."""
    total = np.zeros(n_samples, dtype=np.float32)
    for number in random.choice(len(voices), size=int(random.integers(3, 8)), replace=len(voices) < 8):
        voice = voices[int(number)]
        start = int(random.integers(len(voice)))
        piece = np.resize(np.roll(voice, -start) if len(voice) <= n_samples else voice[start:], n_samples)
        total += normalised(piece) * np.float32(random.uniform(0.4, 1.0))
    return total


SEEN: dict[str, Family] = {
    "alarm": families.alarm,
    "coloured": families.coloured,
    "crowd": families.crowd,
    "engine": families.engine,
    "hum": families.hum,
    "keyboard": families.keyboard,
    "music": families.music,
    "rain": families.rain,
    "rustle": families.rustle,
    "wind": families.wind,
}
"""Families heard in training, beside `babble`, which in every part is made of the training voices."""

UNSEEN: dict[str, Family] = {
    "animals": families.animals,
    "birds": families.birds,
    "dishes": families.dishes,
    "footsteps": families.footsteps,
    "rotor": families.rotor,
}
"""Families of the test set alone."""


def render(
    family: str, random: np.random.Generator, n_samples: int, sample_rate: int, voices: Sequence[Waveform]
) -> Waveform:
    """Render one recording of a family, coloured by a place of its own, with a peak of 0.9.

    Args:
        family: `babble`, or a name of `SEEN` or `UNSEEN`.
        random: where the choices come from.
        n_samples: length.
        sample_rate: in Hz.
        voices: who speaks in babble.
    """
    if family == "babble":
        sound = babble(random, n_samples, voices)
    else:
        sound = {**SEEN, **UNSEEN}[family](random, n_samples, sample_rate)
    if random.random() < 0.6:
        sound = in_a_room(sound.astype(np.float32), random, sample_rate)
    sound = colour(sound.astype(np.float32), random, sample_rate, spread_db=5.0)
    return sound * np.float32(0.9 / max(float(np.abs(sound).max()), 1e-9))
