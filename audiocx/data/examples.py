"""Examples of speech, noise and rooms, mixed on the fly (`data=mix`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from audiocx.data.batch import Example
from audiocx.data.draws import Noise, Rooms, Speech
from audiocx.data.mixing import (
    FRAME_SECONDS,
    Waveform,
    active_frames,
    frame_powers,
    mean_power,
    mix,
    set_level,
)
from audiocx.data.randomness import Stream, generator
from audiocx.data.reverberation import Response, make_response, reverberate
from audiocx.data.test_set import TestSet
from audiocx.errors import DataError, describe

ACTIVE_SHARE = 0.4
"""Least share of active frames in a drawn piece of speech, where its file has such a piece."""
NOISE_RANGE_DB = 20.0
"""A piece of noise is drawn where its power is at most so far below the file's: the hiss between two barks
would be turned up to the ratio that was asked for."""
EFFECT_SECONDS = 2.0
"""Shorter noises are single events: they are repeated at random places, longer ones go round."""
EFFECT_SPREAD_DB = 3.0
FADE_SECONDS = 0.01
PAUSE_SECONDS = (0.05, 0.4)
"""Between pieces of one talker that follow one another."""
FIXED_SEED = 20130
"""Seed of validation and test; the run's seed changes training alone."""
FIXED_SNRS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)


@dataclass(frozen=True)
class MixSettings:
    """How training examples are mixed.

    Attributes:
        snr_db: range of the ratio in dB: speech over its active frames to noise over the whole piece.
        level_dbfs: range of the mixture's level in dB of full scale.
        reverberation_probability: share of the talkers that stand in a room.
        second_noise_probability: share of the noises with a second one, of 0 to 10 dB less power.
        noise_only_probability: share of the examples without speech; their target is zero.
        clean_probability: share of the examples without noise.
    """

    snr_db: tuple[float, float]
    level_dbfs: tuple[float, float]
    reverberation_probability: float
    second_noise_probability: float
    noise_only_probability: float
    clean_probability: float


@dataclass
class Talker:
    """A drawn talker: what is heard, what of it is wanted, and who it is."""

    speech: Waveform
    target: Waveform
    facts: dict[str, str]
    room: str = ""


class MixMaker:
    """Draws and mixes examples of one part.

    Args:
        speech: of the part.
        noise: of the part.
        rooms: of the part, or None where all is dry.
        n_samples: length of every example.
        settings: how they are mixed.
        part: its name.
    """

    def __init__(
        self,
        speech: Speech,
        noise: Noise,
        rooms: Rooms | None,
        n_samples: int,
        settings: MixSettings,
        part: str,
    ) -> None:
        self.speech = speech
        self.noise = noise
        self.rooms = rooms
        self.n_samples = n_samples
        self.settings = settings
        self.part = part
        self.sample_rate = speech.sounds.sample_rate
        self._frame = max(1, round(FRAME_SECONDS * self.sample_rate))
        self._responses: dict[tuple[int, int], Response] = {}

    def talker(self, random: np.random.Generator, number: int, in_room: bool) -> Talker:
        """Draw a piece of speech in which somebody speaks, dry or in a room.

        Args:
            random: where the choices come from.
            number: the file it begins with.
            in_room: whether a response is drawn for it.
        """
        facts = self.speech.facts[number]
        if not in_room or self.rooms is None:
            dry = self._spoken(random, number, 0, 0)
            return Talker(dry, dry, facts)
        room, channel = self.rooms.draw(random)
        response = self._response(room, channel)
        spoken = self._spoken(random, number, response.lead, response.direct)
        heard, target = reverberate(spoken, response)
        return Talker(heard, target, facts, self.rooms.facts[room]["room"])

    def _response(self, number: int, channel: int) -> Response:
        key = (number, channel)
        if self.rooms is not None and key not in self._responses:
            sounds = self.rooms.sounds
            taps = sounds.read(number, 0, sounds.sounds[number].n_samples, channel)
            self._responses[key] = make_response(taps, self.sample_rate)
        return self._responses[key]

    def _spoken(self, random: np.random.Generator, number: int, lead: int, tail: int) -> Waveform:
        """Draw a piece of `n_samples`, with what is said before and behind it, at an active power of 1."""
        sounds = self.speech.sounds
        sound = sounds.sounds[number]
        if sound.n_samples >= self.n_samples:
            starts = self._active_starts(sounds.powers(number), sound.n_samples)
            start = int(starts[random.integers(len(starts))])
            channel = int(random.integers(sound.n_channels))
            piece = sounds.read(number, start - lead, lead + self.n_samples + tail, channel)
            return piece * np.float32(sound.active_power**-0.5)
        joined = np.zeros(lead + self.n_samples + tail, dtype=np.float32)
        place = -self._cut(random, sounds.powers(number))
        while place < self.n_samples:
            sound = sounds.sounds[number]
            channel = int(random.integers(sound.n_channels))
            first, last = max(place, 0), min(place + sound.n_samples, self.n_samples)
            piece = sounds.read(number, first - place, last - first, channel)
            joined[lead + first : lead + last] = self._faded(piece) * np.float32(sound.active_power**-0.5)
            place = last + round(random.uniform(*PAUSE_SECONDS) * self.sample_rate)
            number = self.speech.another(random, number)
        return joined

    def _active_starts(self, powers: NDArray[np.float64], n_samples: int) -> NDArray[np.int64]:
        """Starts of the pieces in which somebody speaks often enough, else of the most active ones."""
        counts = np.concatenate([[0], np.cumsum(active_frames(powers))])
        length = max(1, min(self.n_samples // self._frame, len(powers)))
        active = counts[length:] - counts[:-length]
        starts = np.flatnonzero(active >= max(1, min(ACTIVE_SHARE * length, int(active.max()))))
        return np.minimum(starts * self._frame, n_samples - self.n_samples)

    def noises(self, random: np.random.Generator, number: int, second: bool) -> tuple[Waveform, list[int]]:
        """Draw a piece of noise, at a power of 1, and maybe a softer one of another recording over it.

        Returns:
            The waveform (sample,), and which files are in it.
        """
        waveform = self._noise(random, number)
        if not second:
            return waveform, [number]
        other = self.noise.draw(random, not_of=self.noise.facts[number]["recording"])
        gain = np.float32(10 ** (random.uniform(-10, 0) / 20))
        return waveform + gain * self._noise(random, other), [number, other]

    def _noise(self, random: np.random.Generator, number: int) -> Waveform:
        sounds = self.noise.sounds
        sound = sounds.sounds[number]
        channel = int(random.integers(sound.n_channels))
        if sound.n_samples >= self.n_samples:
            starts = self._loud_starts(sounds.powers(number), sound.n_samples)
            waveform = sounds.read(number, int(starts[random.integers(len(starts))]), self.n_samples, channel)
        else:
            whole = sounds.read(number, 0, sound.n_samples, channel)
            if sound.n_samples < EFFECT_SECONDS * self.sample_rate:
                waveform = self._scattered(random, whole)
            else:
                waveform = self._going_round(random, whole)
        return waveform * np.float32(mean_power(waveform) ** -0.5)

    def _loud_starts(self, powers: NDArray[np.float64], n_samples: int) -> NDArray[np.int64]:
        """Starts of the pieces whose power is not far below the file's, on a grid of 10 ms."""
        sums = np.concatenate([[0.0], np.cumsum(powers)])
        length = max(1, min(self.n_samples // self._frame, len(powers)))
        inside = (sums[length:] - sums[:-length]) / length
        least = min(float(powers.mean()) * 10 ** (-NOISE_RANGE_DB / 10), float(inside.max()))
        starts = np.flatnonzero(inside >= least)
        return np.minimum(starts * self._frame, n_samples - self.n_samples)

    def _cut(self, random: np.random.Generator, powers: NDArray[np.float64]) -> int:
        """Draw how many samples of a beginning may be missing, so that half of the energy is left."""
        sums = np.cumsum(powers)
        half = int(np.searchsorted(sums, sums[-1] / 2))
        return int(random.integers(half * self._frame + 1))

    def _scattered(self, random: np.random.Generator, event: Waveform) -> Waveform:
        """Repeat an event, with pauses that are as long as it on average."""
        event = self._faded(event)
        waveform = np.zeros(self.n_samples, dtype=np.float32)
        place = -self._cut(random, frame_powers(event, self.sample_rate))
        while place < self.n_samples:
            gain = np.float32(10 ** (random.uniform(-EFFECT_SPREAD_DB, EFFECT_SPREAD_DB) / 20))
            first, last = max(place, 0), min(place + len(event), self.n_samples)
            waveform[first:last] += gain * event[first - place : last - place]
            place = last + 1 + int(random.exponential(len(event)))
        return waveform

    def _going_round(self, random: np.random.Generator, whole: Waveform) -> Waveform:
        """Begin anywhere and go round, the end fading into the beginning at equal power."""
        fade = min(len(whole) // 4, 4 * round(FADE_SECONDS * self.sample_rate))
        ramp = np.linspace(0, np.pi / 2, fade, dtype=np.float32)
        loop = whole[fade:].copy()
        loop[len(loop) - fade :] = loop[len(loop) - fade :] * np.cos(ramp) + whole[:fade] * np.sin(ramp)
        start = int(random.integers(len(loop)))
        return np.take(loop, np.arange(start, start + self.n_samples), mode="wrap")

    def _faded(self, piece: Waveform) -> Waveform:
        """Fade both ends, so that a cut does not click."""
        fade = min(len(piece) // 4, round(FADE_SECONDS * self.sample_rate))
        ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        piece = piece.copy()
        piece[:fade] *= ramp
        piece[len(piece) - fade :] *= ramp[::-1]
        return piece

    def example(
        self,
        index: int,
        talker: Talker | None,
        noise: Waveform | None,
        files: list[int],
        snr_db: float,
        level_dbfs: float,
    ) -> Example:
        """Mix a talker with noise, or leave one of them out.

        Raises:
            DataError: a drawn piece is silent.
        """
        clusters, tags = {}, {"kind": "noise"}
        if talker is not None:
            tags |= {"kind": "reverberant" if talker.room else "dry", "corpus": talker.facts["corpus"]}
            clusters["talker"] = talker.facts["speaker"]
            if talker.room:
                clusters["room"] = talker.room
        if noise is not None:
            clusters["noise"] = "+".join(self.noise.facts[number]["recording"] for number in files)
            tags["noise_class"] = "+".join(self.noise.facts[number]["class"] for number in files)
        if talker is not None and noise is not None:
            mixture, target = mix(
                talker.speech, noise, snr_db, level_dbfs, self.sample_rate, target=talker.target
            )
            tags["snr_db"] = f"{snr_db:g}"
        elif talker is not None:
            tags["kind"] = "clean"
            mixture, target = set_level(talker.speech, talker.target, level_dbfs)
        elif noise is not None:
            mixture, target = set_level(noise, np.zeros_like(noise), level_dbfs)
        else:
            raise DataError(describe("an example of neither speech nor noise"))
        return Example(
            mixture=torch.from_numpy(mixture)[None],
            target=torch.from_numpy(target)[None, None],
            index=index,
            name=f"{self.part}-{index:03d}",
            clusters=clusters,
            tags=tags,
        )


class TrainingMixes(Dataset[Example]):
    """Endless training examples: a pure function of (seed, index)."""

    def __init__(self, maker: MixMaker, seed: int) -> None:
        self.maker = maker
        self.seed = seed

    def __getitem__(self, index: int) -> Example:
        """Draw and mix an example."""
        maker, settings = self.maker, self.maker.settings
        random = generator(self.seed, index, Stream.TRAIN)
        snr_db, level_dbfs = random.uniform(*settings.snr_db), random.uniform(*settings.level_dbfs)
        kind, reverberation, second = random.random(3)
        talker = noise = None
        files: list[int] = []
        recording = ""
        if kind >= settings.noise_only_probability:
            number = maker.speech.draw(random)
            recording = maker.speech.facts[number]["recording"]
            talker = maker.talker(random, number, reverberation < settings.reverberation_probability)
        if kind < 1 - settings.clean_probability or talker is None:
            first = maker.noise.draw(random, not_of=recording)
            noise, files = maker.noises(random, first, second < settings.second_noise_probability)
        return maker.example(index, talker, noise, files, snr_db, level_dbfs)


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
            first = maker.noise.classes[self._classes[index]].draw(random)
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
