"""Augmentations that change what reaches the microphone: level, colour, band and pace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr
from scipy import fft

from audiocx.data.augmentation import Augmentation, Rows
from audiocx.data.settings import is_number
from audiocx.data.sound_parts import shape_spectrum
from audiocx.errors import ConfigError, describe


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
        self.range_db = self.checked_range("range_db", range_db)

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
        if not is_number(spread_db) or spread_db < 0:
            raise ConfigError(
                describe(f"{self.title}.spread_db does not fit", expected="at least 0", got=spread_db)
            )
        self.spread_db = float(spread_db)

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
        self.highest_hz = self.checked_range("highest_hz", highest_hz, least=1.0)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Cut the spectrum off with a raised cosine that ends at the drawn frequency."""
        highest = float(np.exp(random.uniform(*np.log(self.highest_hz))))
        size = fft.next_fast_len(rows.shape[1] + sample_rate // 10, real=True)
        frequencies = np.linspace(0, sample_rate / 2, size // 2 + 1)
        place = np.clip((highest - frequencies) / (self.WIDTH * highest), 0, 1)
        edge = (0.5 - 0.5 * np.cos(np.pi * place)).astype(np.float32)
        return np.asarray(fft.irfft(fft.rfft(rows, size) * edge, size)[:, : rows.shape[1]], dtype=np.float32)


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
                describe(f"{self.title}.place does not fit", expected="speech | noise", got=place)
            )
        self.factor = self.checked_range("factor", factor, 0.25, 4.0)

    def samples_taken(self, random: np.random.Generator) -> float:
        """The factor that `apply` draws."""
        return float(random.uniform(*self.factor))

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Read the samples at another rate."""
        factor = self.samples_taken(random)
        return np.stack([soxr.resample(row, factor * sample_rate, sample_rate) for row in rows])
