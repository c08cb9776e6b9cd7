from __future__ import annotations

import numpy as np
import pytest

from audiocx.audio.codecs import CODECS, through_codec
from audiocx.errors import ConfigError

RATE = 16000


def sound(n_samples: int, channels: int = 1) -> np.ndarray:
    """Noise below 3 kHz in bursts."""
    random = np.random.default_rng(0)
    spectrum = np.fft.rfft(random.standard_normal((channels, n_samples)))
    spectrum[:, spectrum.shape[1] * 3 // 8 :] = 0
    bursts = np.clip(np.sin(np.arange(n_samples) * 2 * np.pi * 3 / RATE), 0.05, 1)
    return (0.1 * bursts * np.fft.irfft(spectrum, n_samples)).astype(np.float32)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("n_samples", [16000, 15999, 700])
def test_a_codec_keeps_length_and_place_and_loses_something(codec: str, n_samples: int) -> None:
    waveform = sound(n_samples, channels=2)
    coded = through_codec(waveform, RATE, codec, 0.5)
    assert coded.shape == waveform.shape
    assert coded.dtype == np.float32
    for before, after in zip(waveform, coded, strict=True):
        around = np.correlate(np.pad(after, 40), before, mode="valid")
        assert int(np.argmax(around)) == 40  # no delay
    error_db = 10 * np.log10(np.square(coded - waveform).mean() / np.square(waveform).mean())
    assert -60 < error_db < -5


@pytest.mark.parametrize("codec", CODECS)
def test_more_compression_loses_more(codec: str) -> None:
    waveform = sound(16000)
    errors = [
        np.square(through_codec(waveform, RATE, codec, compression) - waveform).mean()
        for compression in (0.1, 0.6, 1.0)
    ]
    assert errors[0] < errors[-1]
    assert errors == sorted(errors)


def test_a_rate_that_a_codec_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="the codec mp3 cannot be used at 12345 Hz"):
        through_codec(sound(2000), 12345, "mp3")
