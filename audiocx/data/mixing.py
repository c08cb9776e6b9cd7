"""Levels and mixing on numpy waveforms, where workers have no need of torch."""

from __future__ import annotations

import numpy as np

from audiocx.data.activity import Waveform, active_power
from audiocx.errors import DataError, describe

PEAK = 0.99
"""A mixture whose drawn level would pass this is turned down until it does not."""


def mean_power(waveform: Waveform) -> float:
    """Mean power over all samples."""
    return float(np.square(waveform, dtype=np.float64).mean())


def mix(
    speech: Waveform,
    noise: Waveform,
    snr_db: float,
    level_dbfs: float,
    sample_rate: int,
    target: Waveform | None = None,
) -> tuple[Waveform, Waveform]:
    """Add noise to speech at a signal-to-noise ratio, and set the level of the mixture.

    The ratio is that of the speech's mean power over its *active* frames (10 ms, within 40 dB of the loudest
    one) to the noise's mean power over the *whole* piece: pauses do not make speech softer, and a noise of
    single knocks does not become louder because none falls on a word. The ratio over all samples is lower, by
    the share of pauses.

    Args:
        speech: waveform (sample,), not silent.
        noise: waveform (sample,), same length, not silent.
        snr_db: signal-to-noise ratio in dB.
        level_dbfs: root mean square of the mixture in dB of full scale; lower where its peak would pass 0.99.
        sample_rate: in Hz.
        target: the part of the speech that is wanted, as its direct sound; None is all of it.

    Returns:
        The mixture and the target in it, both (sample,) float32.

    Raises:
        DataError: the speech or the noise is silent.
    """
    speech_power = active_power(speech, sample_rate)
    noise_power = mean_power(noise)
    for name, power in (("speech", speech_power), ("noise", noise_power)):
        if power <= 0:
            raise DataError(describe(f"a {name} piece is silent and cannot be mixed at a given SNR"))
    gain = np.sqrt(speech_power / noise_power * 10 ** (-snr_db / 10))
    return set_level(speech + np.float32(gain) * noise, speech if target is None else target, level_dbfs)


def set_level(mixture: Waveform, target: Waveform, level_dbfs: float) -> tuple[Waveform, Waveform]:
    """Scale a mixture to a level, and its target by the same factor, keeping the peak below 0.99."""
    gain = 10 ** (level_dbfs / 20) / max(np.sqrt(mean_power(mixture)), 1e-12)
    gain = np.float32(min(gain, PEAK / max(float(np.abs(mixture).max()), 1e-12)))
    return mixture * gain, target * gain
