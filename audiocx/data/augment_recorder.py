"""Augmentations that change what is kept of it, as cheap recorders do: clipping, lossy coding, noise of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiocx.audio.codecs import CODECS, through_codec
from audiocx.data.augmentation import Augmentation, Rows
from audiocx.data.mixing import mean_power
from audiocx.data.sound_parts import shaped_noise
from audiocx.errors import ConfigError, describe, nearest


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
        self.share = self.checked_range("share", share, 0.0, 1.0)

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
        if not isinstance(codecs, Sequence):
            raise ConfigError(
                describe(f"{self.title}.codecs is no list", expected=" | ".join(CODECS), got=codecs)
            )
        self.codecs = [codecs] if isinstance(codecs, str) else list(codecs)
        for codec in self.codecs:
            if codec not in CODECS:
                raise ConfigError(
                    describe(f"{self.title}.codecs: no codec `{codec}`", do=nearest(str(codec), CODECS))
                )
        if not self.codecs:
            raise ConfigError(describe(f"{self.title}.codecs is empty", expected=" | ".join(CODECS)))
        self.compression = self.checked_range("compression", compression, 0.0, 1.0)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Encode and decode each row for itself."""
        codec = self.codecs[int(random.integers(len(self.codecs)))]
        compression = random.uniform(*self.compression)
        return np.concatenate([through_codec(row[None], sample_rate, codec, compression) for row in rows])


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
        self.below_db = self.checked_range("below_db", below_db)
        self.slope = self.checked_range("slope", slope)

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        """Add the same noise to all rows."""
        n_samples = rows.shape[1]
        below, slope = random.uniform(*self.below_db), random.uniform(*self.slope)
        octaves = [50.0 * 2**octave for octave in range(12) if 50.0 * 2**octave < sample_rate]
        falls = [-slope * place for place in range(len(octaves))]
        noise = shaped_noise(random, n_samples, sample_rate, octaves, falls)
        gain = np.sqrt(mean_power(rows[0]) / max(mean_power(noise), 1e-20)) * 10 ** (-below / 20)
        return rows + np.float32(gain) * noise
