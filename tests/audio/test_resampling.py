"""Resampling: lengths to the sample, no delay, and no trace of the pieces it was fed in."""

import numpy as np
import pytest

from audiocx.audio.resampling import Resampler, resample, resampled_length
from audiocx.errors import ConfigError

RATES = [8000, 11_025, 12_345, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000]


def noise(n_samples: int, n_channels: int = 1) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((n_channels, n_samples)).astype(np.float32)


def tone(frequency_hz: float, n_samples: int, sample_rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / sample_rate)[None].astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n_samples", [1, 2, 3, 7, 100, 1001, 20_011])
def test_there_and_back_has_the_first_length(rate, n_samples):
    there = resample(noise(n_samples, 2), rate, 16_000)
    assert there.shape == (2, -(-n_samples * 16_000 // rate))
    assert resample(there, 16_000, rate, n_samples).shape == (2, n_samples)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_stays_where_it_is(rate):
    """The resampled tone is the formula at the other rate: any delay would show as a difference."""
    n_samples = 2 * rate
    there = resample(tone(997.0, n_samples, rate), rate, 16_000)
    back = resample(there, 16_000, rate, n_samples)

    edge = 800
    expected = tone(997.0, there.shape[1], 16_000)
    np.testing.assert_allclose(there[:, edge:-edge], expected[:, edge:-edge], rtol=0, atol=1e-4)
    edge = rate // 16
    expected = tone(997.0, n_samples, rate)
    np.testing.assert_allclose(back[:, edge:-edge], expected[:, edge:-edge], rtol=0, atol=1e-4)


@pytest.mark.parametrize("rates", [(48_000, 16_000), (16_000, 44_100), (11_025, 16_000), (16_000, 16_000)])
@pytest.mark.parametrize("n_piece", [1, 37, 1000])
def test_a_stream_is_the_whole(rates, n_piece):
    waveform = noise(3001, 3)
    resampler = Resampler(*rates, 3)

    pieces = [resampler.push(waveform[:, start : start + n_piece]) for start in range(0, 3001, n_piece)]
    pieces.append(resampler.finish())

    streamed = np.concatenate(pieces, axis=1)
    assert resampler.n_in == 3001
    assert resampler.n_out == streamed.shape[1] == resampled_length(3001, *rates)
    np.testing.assert_allclose(streamed, resample(waveform, *rates), rtol=0, atol=1e-6)


def test_equal_rates_touch_nothing():
    waveform = noise(100)
    np.testing.assert_array_equal(resample(waveform, 16_000, 16_000), waveform)


def test_a_longer_end_is_silence():
    longer = resample(np.zeros((1, 10), np.float32), 8000, 16_000, 50)
    np.testing.assert_array_equal(longer, np.zeros((1, 50), np.float32))
    assert resample(noise(10), 16_000, 16_000, 50).shape[1] == 50


def test_nothing_above_the_lower_half_rate_comes_through():
    filtered = resample(tone(10_000.0, 48_000, 48_000), 48_000, 16_000)
    assert np.abs(filtered[:, 400:-400]).max() < 1e-4


@pytest.mark.parametrize("rates", [(0, 16_000), (16_000, -1)])
def test_rates_are_positive(rates):
    with pytest.raises(ConfigError, match="positive"):
        Resampler(*rates, 1)
