from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocx.data import mixing
from audiocx.errors import DataError

RATE = 16000


def speech_with_pause(seconds: float = 2.0, pause: float = 0.5) -> np.ndarray:
    random = np.random.default_rng(0)
    waveform = 0.1 * random.standard_normal(round(seconds * RATE)).astype(np.float32)
    waveform[: round(pause * seconds * RATE)] = 0
    return waveform


def db(ratio: float) -> float:
    return 10 * np.log10(ratio)


@given(snr_db=st.floats(-20, 30), level_dbfs=st.floats(-60, -25))
@settings(max_examples=20, deadline=None)
def test_snr_and_level_are_those_asked_for(snr_db: float, level_dbfs: float) -> None:
    speech = speech_with_pause()
    noise = np.random.default_rng(1).standard_normal(len(speech)).astype(np.float32)
    mixture, target = mixing.mix(speech, noise, snr_db, level_dbfs, RATE)
    added = mixture - target
    spoken = np.square(target[len(target) // 2 :].astype(np.float64)).mean()  # the half without the pause
    heard = np.square(added.astype(np.float64)).mean()
    assert db(spoken / heard) == pytest.approx(snr_db, abs=0.05)
    assert db(np.square(mixture.astype(np.float64)).mean()) == pytest.approx(level_dbfs, abs=0.01)
    np.testing.assert_allclose(target / target[-1], speech / speech[-1], rtol=1e-4, atol=1e-6)


def test_pauses_do_not_change_the_noise() -> None:
    noise = np.random.default_rng(1).standard_normal(2 * RATE).astype(np.float32)
    gains = []
    for pause in (0.0, 0.6):
        mixture, target = mixing.mix(speech_with_pause(pause=pause), noise, 5.0, -30.0, RATE)
        gains.append(np.std(mixture - target) / np.std(target[-RATE // 2 :]))
    assert gains[0] == pytest.approx(gains[1], rel=0.02)


def test_peak_stays_below_full_scale() -> None:
    speech = speech_with_pause()
    speech[-1] = 3.0
    mixture, target = mixing.mix(speech, np.ones_like(speech), 20.0, 0.0, RATE)
    assert np.abs(mixture).max() == pytest.approx(0.99, rel=1e-5)
    assert np.abs(target).max() <= 1.0


def test_silence_cannot_be_mixed_at_a_ratio() -> None:
    sound, silence = np.ones(RATE, np.float32), np.zeros(RATE, np.float32)
    with pytest.raises(DataError, match="speech piece is silent"):
        mixing.mix(silence, sound, 0.0, -20.0, RATE)
    with pytest.raises(DataError, match="noise piece is silent"):
        mixing.mix(sound, silence, 0.0, -20.0, RATE)
