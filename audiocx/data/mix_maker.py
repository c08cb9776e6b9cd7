"""Makes one example of speech, noise and a room (`data=mix`): drawn, reverberated, mixed, augmented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from audiocx.data.activity import Waveform
from audiocx.data.augmentation import UNCHANGED, Variation
from audiocx.data.batch import Example
from audiocx.data.crops import NoisePieces, SpokenPieces
from audiocx.data.draws import Noise, Rooms, Speech
from audiocx.data.mixing import PEAK, mix, set_level
from audiocx.data.reverberation import Response, make_response, reverberate
from audiocx.errors import DataError, describe

SECOND_NOISE_DB = (-10.0, 0.0)
"""Power of a second noise beside the first."""


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


def _headroom(waveform: Waveform) -> np.float32:
    """Gain that keeps a peak below 0.99; 1 where it is."""
    return np.float32(min(1.0, PEAK / max(float(np.abs(waveform).max()), 1e-12)))
