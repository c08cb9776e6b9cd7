"""Examples of speech, noise and rooms, mixed on the fly (`data=mix`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from audiocx.data.augmentation import UNCHANGED, Augmenter, Variation
from audiocx.data.batch import Example
from audiocx.data.crops import NoisePieces, SpokenPieces
from audiocx.data.draws import Noise, Rooms, Speech
from audiocx.data.mixing import PEAK, Waveform, mix, set_level
from audiocx.data.randomness import Stream, generator
from audiocx.data.reverberation import Response, make_response, reverberate
from audiocx.data.test_set import TestSet
from audiocx.errors import DataError, describe

SECOND_NOISE_DB = (-10.0, 0.0)
"""Power of a second noise beside the first."""
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
        self._spoken = SpokenPieces(speech)
        self._heard = NoisePieces(noise)
        self._responses: dict[tuple[int, int], Response] = {}

    def talker(
        self, random: np.random.Generator, number: int, in_room: bool, variation: Variation = UNCHANGED
    ) -> Talker:
        """Draw a piece of speech in which somebody speaks, dry or in a room.

        Args:
            random: where the choices come from.
            number: the file it begins with.
            in_room: whether a response is drawn for it.
            variation: augmentations of the dry speech.
        """
        facts = self.speech.facts[number]
        if not in_room or self.rooms is None:
            dry = self._varied(random, number, 0, 0, variation)
            return Talker(dry, dry, facts)
        room, channel = self.rooms.draw(random)
        response = self._response(room, channel)
        spoken = self._varied(random, number, response.lead, response.direct, variation)
        heard, target = reverberate(spoken, response)
        return Talker(heard, target, facts, self.rooms.facts[room]["room"])

    def _response(self, number: int, channel: int) -> Response:
        key = (number, channel)
        if self.rooms is not None and key not in self._responses:
            sounds = self.rooms.sounds
            taps = sounds.read(number, 0, sounds.sounds[number].n_samples, channel)
            self._responses[key] = make_response(taps, self.sample_rate)
        return self._responses[key]

    def _varied(
        self, random: np.random.Generator, number: int, lead: int, tail: int, variation: Variation
    ) -> Waveform:
        """Draw a piece of `n_samples`, with what is said before and behind it, and change it."""
        lengths = [variation.length("speech", length) for length in (lead, self.n_samples, tail)]
        piece = self._spoken.draw(random, number, *lengths)
        changed = variation.apply("speech", piece[None], self.sample_rate)
        return changed[0, : lead + self.n_samples + tail]

    def noises(
        self,
        random: np.random.Generator,
        number: int,
        second: bool,
        variation: Variation = UNCHANGED,
    ) -> tuple[Waveform, list[int]]:
        """Draw a piece of noise, and maybe a softer one of another recording over it.

        Returns:
            The waveform (sample,), and which files are in it.
        """
        n_samples = variation.length("noise", self.n_samples)
        waveform, files = self._heard.draw(random, number, n_samples), [number]
        if second:
            files.append(self.noise.draw(random, not_of=self.noise.facts[number]["recording"]))
            gain = np.float32(10 ** (random.uniform(*SECOND_NOISE_DB) / 20))
            waveform = waveform + gain * self._heard.draw(random, files[1], n_samples)
        changed = variation.apply("noise", waveform[None], self.sample_rate)
        return changed[0, : self.n_samples], files

    def _recorded(
        self, mixture: Waveform, target: Waveform, variation: Variation
    ) -> tuple[Waveform, Waveform]:
        """Apply the augmentations of the finished example, keeping its peak below 0.99."""
        if not variation.entries:
            return mixture, target
        both = variation.apply("both", np.stack([mixture, target]), self.sample_rate)
        both = both * _headroom(both[0])
        mixture = variation.apply("mixture", both[:1], self.sample_rate)[0]
        gain = _headroom(mixture)
        return mixture * gain, both[1] * gain

    def example(
        self,
        index: int,
        talker: Talker | None,
        noise: Waveform | None,
        files: list[int],
        snr_db: float,
        level_dbfs: float,
        variation: Variation = UNCHANGED,
    ) -> Example:
        """Mix a talker with noise, or leave one of them out, and change the result.

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
        mixture, target = self._recorded(mixture, target, variation)
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
        recording = ""
        if kind >= settings.noise_only_probability:
            number = maker.speech.draw(random)
            recording = maker.speech.facts[number]["recording"]
            in_room = reverberation < settings.reverberation_probability
            talker = maker.talker(random, number, in_room, variation)
        if kind < 1 - settings.clean_probability or talker is None:
            first = maker.noise.draw(random, not_of=recording)
            has_second = second < settings.second_noise_probability
            noise, files = maker.noises(random, first, has_second, variation)
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
            first = maker.noise.classes[self._classes[index]].draw(random)
            noise, files = maker.noises(random, first, second=False)
        return maker.example(index, talker, noise, files, self._snrs[index], level_dbfs)

    def name(self, index: int) -> str:
        """Return what an item is called."""
        return f"{self.maker.part}-{index:03d}"

    def fingerprint(self) -> str:
        """Return a hash of what is mixed and how."""
        return self.content


def _headroom(waveform: Waveform) -> np.float32:
    """Gain that keeps a peak below 0.99; 1 where it is."""
    return np.float32(min(1.0, PEAK / max(float(np.abs(waveform).max()), 1e-12)))


def _rounds(random: np.random.Generator, names: Sequence[Any], count: int) -> list[Any]:
    """Put names in rounds, each with all names in a new order."""
    rounds = [random.permutation(len(names)) for _ in range(-(-count // len(names)))]
    return [names[place] for turn in rounds for place in turn][:count]
