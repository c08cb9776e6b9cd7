"""Makes one example of speech, noise and a room (`data=mix`): drawn, reverberated, mixed, augmented."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from audiocx.data.activity import Waveform
from audiocx.data.augmentation import UNCHANGED, Variation
from audiocx.data.batch import Example
from audiocx.data.crops import NoisePieces, SpokenPieces
from audiocx.data.draws import Noise, Rooms, Speech
from audiocx.data.mixing import PEAK, mix, set_level
from audiocx.data.reverberation import Responses, reverberate
from audiocx.errors import DataError, describe

SECOND_NOISE_DB = (-10.0, 0.0)
"""Power of a second noise beside that of the first."""


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
    """A drawn talker: what is heard, what of it is wanted, who it is, and which recordings it was cut from."""

    speech: Waveform
    target: Waveform
    facts: dict[str, str]
    recordings: frozenset[str]
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
        self._responses = None if rooms is None else Responses(rooms.sounds, self.sample_rate)

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
        if not in_room or self.rooms is None or self._responses is None:
            dry, recordings = self._varied(random, number, 0, 0, variation)
            return Talker(dry, dry, facts, recordings)
        room, channel = self.rooms.draw(random)
        response = self._responses.get(room, channel)
        spoken, recordings = self._varied(random, number, response.lead, response.direct, variation)
        heard, target = reverberate(spoken, response)
        return Talker(heard, target, facts, recordings, self.rooms.facts[room]["room"])

    def _varied(
        self, random: np.random.Generator, number: int, lead: int, tail: int, variation: Variation
    ) -> tuple[Waveform, frozenset[str]]:
        """Draw a piece of `n_samples`, with what is said before and behind it, and change it.

        Returns:
            The waveform (sample,), and the recordings that are in it.
        """
        lengths = [variation.length("speech", length) for length in (lead, self.n_samples, tail)]
        piece, files = self._spoken.draw(random, number, *lengths)
        changed = variation.apply("speech", piece[None], self.sample_rate)
        recordings = frozenset(self.speech.facts[each]["recording"] for each in files)
        return changed[0, : lead + self.n_samples + tail], recordings

    def first_noise(
        self, random: np.random.Generator, talker: Talker | None, noise_class: str | None = None
    ) -> int:
        """Draw a file of noise, of no recording that the talker was cut from.

        Args:
            random: where the choices come from.
            talker: beside which it will be heard.
            noise_class: from which it is drawn where that has such a file; None is from all.

        Raises:
            DataError: there is no such noise.
        """
        not_of = frozenset() if talker is None else talker.recordings
        number = (
            self.noise.draw(random, not_of)
            if noise_class is None
            else self.noise.draw_of(random, noise_class, not_of)
        )
        if number is None and self.noise.nameless:
            number = self.noise.nameless[int(random.integers(len(self.noise.nameless)))]
        if number is None:
            raise DataError(
                describe(
                    f"data.noise: all noise for {self.part} is of the recording of its speech:"
                    f" {', '.join(sorted(not_of))}",
                    do="add noise of another recording",
                )
            )
        return number

    def noises(
        self,
        random: np.random.Generator,
        number: int,
        second: bool,
        variation: Variation = UNCHANGED,
        not_of: Collection[str] = (),
    ) -> tuple[Waveform, list[int]]:
        """Draw a piece of noise, and maybe a softer one of another recording over it, where there is one.

        Args:
            random: where the choices come from.
            number: the file of the first.
            second: whether there shall be a second one.
            variation: augmentations of the noise.
            not_of: recordings that the second one shall not be of.

        Returns:
            The waveform (sample,), and which files are in it.
        """
        n_samples = variation.length("noise", self.n_samples)
        waveform, files = self._heard.draw(random, number, n_samples), [number]
        other = self.noise.draw(random, {*not_of, self.noise.facts[number]["recording"]}) if second else None
        if other is not None:
            files.append(other)
            gain = np.float32(10 ** (random.uniform(*SECOND_NOISE_DB) / 20))
            waveform = waveform + gain * self._heard.draw(random, other, n_samples)
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
