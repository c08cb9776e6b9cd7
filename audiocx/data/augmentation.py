"""Variations of training examples, each a pure function of its generator: what else a microphone could have heard.

An augmentation works on the dry `speech`, on the `noise`, or on the finished example: on the `mixture` alone
(the target stays what the speaker said: codecs, clipping, hiss) or on `both` alike (what any linear channel does
to all sound in it). Arrays are (row, sample); rows are changed alike. Entries of `data.augmentation` are applied
in the order of the config, each with its probability.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft

from audiocx.audio.codecs import CODECS, through_codec
from audiocx.data.mixing import mean_power
from audiocx.data.randomness import Stream, generator
from audiocx.data.sound_parts import shape_spectrum, shaped_noise
from audiocx.errors import ConfigError, describe, nearest

Rows = NDArray[np.float32]

PLACES = ("speech", "noise", "mixture", "both")


class Augmentation(ABC):
    """One kind of variation.

    Args:
        probability: share of the training examples that it changes.
        place: what it works on: `speech`, `noise`, `mixture` or `both`.

    Raises:
        ConfigError: a setting does not fit.
    """

    def __init__(self, probability: float, place: str) -> None:
        if not 0 <= probability <= 1:
            raise ConfigError(
                describe(f"{self._name}.probability does not fit", expected="0 to 1", got=probability)
            )
        if place not in PLACES:
            raise ConfigError(
                describe(f"{self._name}.place: nothing called `{place}`", do=nearest(str(place), PLACES))
            )
        self.probability = probability
        self.place = place

    @property
    def _name(self) -> str:
        return f"augmentation {type(self).__name__}"

    @property
    def longest(self) -> float:
        """Samples that it needs at most for each that it gives."""
        return 1.0

    @abstractmethod
    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Return changed rows (row, sample); `longest` above 1 may make them shorter."""

    def _range(
        self, name: str, values: Sequence[float], least: float = -np.inf, most: float = np.inf
    ) -> tuple[float, float]:
        low, high = values if isinstance(values, Sequence) and len(values) == 2 else (1.0, 0.0)
        if not least <= low <= high <= most:
            raise ConfigError(
                describe(
                    f"{self._name}.{name} is no range",
                    expected=f"[low, high] within {least:g} to {most:g}",
                    got=values,
                )
            )
        return float(low), float(high)


class Gain(Augmentation):
    """A level that moves, straight in dB, from one drawn value to another: somebody walks or turns.

    Args:
        probability: share of the examples.
        place: what it works on.
        range_db: of both values.
    """

    def __init__(
        self, probability: float = 0.0, place: str = "speech", range_db: Sequence[float] = (-6.0, 6.0)
    ) -> None:
        super().__init__(probability, place)
        self.range_db = self._range("range_db", range_db)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Multiply by a curve."""
        first, last = random.uniform(*self.range_db, size=2)
        return rows * (10 ** (np.linspace(first, last, rows.shape[1]) / 20)).astype(np.float32)


class Equaliser(Augmentation):
    """A smooth random frequency response, as another microphone or place has; without delay.

    Args:
        probability: share of the examples.
        place: what it works on.
        spread_db: gains are drawn between minus this and this, an octave apart.
    """

    def __init__(self, probability: float = 0.0, place: str = "speech", spread_db: float = 6.0) -> None:
        super().__init__(probability, place)
        self.spread_db = self._range("spread_db", (0.0, spread_db))[1]

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Filter by gains at octaves, straight between them over log frequency."""
        knots = sample_rate / 2 / 2.0 ** np.arange(8)[::-1]
        gains = random.uniform(-self.spread_db, self.spread_db, len(knots))
        return np.stack([shape_spectrum(row, sample_rate, list(knots), gains) for row in rows])


class BandLimit(Augmentation):
    """Nothing above a frequency, as telephones and old recorders give; without delay.

    Args:
        probability: share of the examples.
        place: what it works on.
        highest_hz: range of the frequency, drawn evenly over its logarithm.
    """

    WIDTH = 0.06
    """Of the edge, as a share of its frequency."""

    def __init__(
        self, probability: float = 0.0, place: str = "both", highest_hz: Sequence[float] = (2500.0, 7500.0)
    ) -> None:
        super().__init__(probability, place)
        self.highest_hz = self._range("highest_hz", highest_hz, least=1.0)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Cut the spectrum off with a raised cosine that ends at the drawn frequency."""
        highest = float(np.exp(random.uniform(*np.log(self.highest_hz))))
        size = fft.next_fast_len(rows.shape[1] + sample_rate // 10, real=True)
        frequencies = np.linspace(0, sample_rate / 2, size // 2 + 1)
        place = np.clip((highest - frequencies) / (self.WIDTH * highest), 0, 1)
        edge = (0.5 - 0.5 * np.cos(np.pi * place)).astype(np.float32)
        return np.asarray(fft.irfft(fft.rfft(rows, size) * edge, size)[:, : rows.shape[1]], dtype=np.float32)


class Clipping(Augmentation):
    """Peaks cut off, as an input that is set too high does.

    Args:
        probability: share of the examples.
        place: what it works on.
        share: range of what is left of the peak.
    """

    def __init__(
        self, probability: float = 0.0, place: str = "mixture", share: Sequence[float] = (0.2, 0.8)
    ) -> None:
        super().__init__(probability, place)
        self.share = self._range("share", share, 0.0, 1.0)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Clip all rows where the loudest sample of the first is cut."""
        limit = np.float32(random.uniform(*self.share) * np.abs(rows[0]).max())
        return np.clip(rows, -limit, limit)


class Codec(Augmentation):
    """What a lossy codec leaves, with its own pre-echoes and holes; not delayed.

    Args:
        probability: share of the examples.
        place: what it works on.
        codecs: of `mp3`, `ogg`, `opus`, drawn evenly.
        compression: range, 0 to 1.
    """

    def __init__(
        self,
        probability: float = 0.0,
        place: str = "mixture",
        codecs: Sequence[str] = ("mp3", "ogg"),
        compression: Sequence[float] = (0.3, 0.95),
    ) -> None:
        super().__init__(probability, place)
        self.codecs = [codecs] if isinstance(codecs, str) else list(codecs)
        for codec in self.codecs:
            if codec not in CODECS:
                raise ConfigError(
                    describe(f"{self._name}.codecs: no codec `{codec}`", do=nearest(str(codec), CODECS))
                )
        if not self.codecs:
            raise ConfigError(describe(f"{self._name}.codecs is empty", expected=" | ".join(CODECS)))
        self.compression = self._range("compression", compression, 0.0, 1.0)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Encode and decode each row for itself."""
        codec = self.codecs[int(random.integers(len(self.codecs)))]
        compression = random.uniform(*self.compression)
        return np.concatenate([through_codec(row[None], sample_rate, codec, compression) for row in rows])


class Speed(Augmentation):
    """Faster and higher, or slower and lower: pitch, formants and pace move together.

    Args:
        probability: share of the examples.
        place: `speech` or `noise`, of which there is more to take.
        factor: range; above 1 is faster.
    """

    def __init__(
        self, probability: float = 0.0, place: str = "speech", factor: Sequence[float] = (0.9, 1.1)
    ) -> None:
        super().__init__(probability, place)
        if place not in ("speech", "noise"):
            raise ConfigError(
                describe(f"{self._name}.place does not fit", expected="speech | noise", got=place)
            )
        self.factor = self._range("factor", factor, 0.25, 4.0)

    @property
    def longest(self) -> float:
        """The highest factor."""
        return max(1.0, self.factor[1])

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Read the samples at another rate."""
        factor = random.uniform(*self.factor)
        return np.stack([soxr.resample(row, factor * sample_rate, sample_rate) for row in rows])


class GeneratedNoise(Augmentation):
    """Stationary noise of a random colour over everything, as microphones and lines have.

    Args:
        probability: share of the examples.
        place: what it works on.
        below_db: range of how far it lies below the power of the first row.
        slope: range of its fall over frequency in dB an octave: 0 is white, 3 pink.
    """

    def __init__(
        self,
        probability: float = 0.0,
        place: str = "mixture",
        below_db: Sequence[float] = (10.0, 40.0),
        slope: Sequence[float] = (0.0, 6.0),
    ) -> None:
        super().__init__(probability, place)
        self.below_db = self._range("below_db", below_db)
        self.slope = self._range("slope", slope)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Add the same noise to all rows."""
        n_samples = rows.shape[1]
        below, slope = random.uniform(*self.below_db), random.uniform(*self.slope)
        octaves = [50.0 * 2**octave for octave in range(12) if 50.0 * 2**octave < sample_rate]
        falls = [-slope * place for place in range(len(octaves))]
        noise = shaped_noise(random, n_samples, sample_rate, octaves, falls)
        gain = np.sqrt(mean_power(rows[0]) / max(mean_power(noise), 1e-20)) * 10 ** (-below / 20)
        return rows + np.float32(gain) * noise


class Augmenter:
    """The augmentations of a run.

    Every entry draws from a generator of its own, made of the example and the entry's name: turning one on changes
    nothing that others, or the mixing, draw.

    Args:
        entries: by name; those of probability 0 cost nothing.

    Raises:
        ConfigError: an entry is no augmentation.
    """

    def __init__(self, entries: Mapping[str, Augmentation]) -> None:
        for name, entry in entries.items():
            if not isinstance(entry, Augmentation):
                raise ConfigError(
                    describe(
                        f"data.augmentation.{name} is no augmentation",
                        expected="_target_: of one in audiocx.data.augmentation, or of your own",
                        got=entry,
                    )
                )
        self.entries = {name: entry for name, entry in entries.items() if entry.probability > 0}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the settings of the entries that are on, as plain values."""
        return {
            name: {"kind": type(entry).__name__} | {key: _plain(value) for key, value in vars(entry).items()}
            for name, entry in self.entries.items()
        }

    def of(self, seed: int, index: int) -> Variation:
        """Return what an example gets."""
        return Variation(self.entries, seed, index)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what JSON has not (in a user's own class) as text."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


class Variation:
    """The augmentations of one example.

    Args:
        entries: by name, in order.
        seed: of the run.
        index: of the example.
    """

    def __init__(self, entries: Mapping[str, Augmentation], seed: int = 0, index: int = 0) -> None:
        self.entries = entries
        self.seed = seed
        self.index = index

    def length(self, place: str, n_samples: int) -> int:
        """Samples that are needed at most to give so many."""
        longest = float(np.prod([entry.longest for entry in self.entries.values() if entry.place == place]))
        return n_samples if longest == 1 else int(np.ceil(longest * n_samples)) + 1

    def apply(self, place: str, rows: Rows, sample_rate: int) -> Rows:
        """Apply what works in a place to rows (row, sample)."""
        for name, entry in self.entries.items():
            if entry.place == place:
                random = generator(self.seed, self.index, Stream.AUGMENTATION, zlib.crc32(name.encode()))
                if random.random() < entry.probability:
                    rows = entry.apply(random, rows, sample_rate)
        return rows


UNCHANGED = Variation({})
"""What validation and test items get."""
