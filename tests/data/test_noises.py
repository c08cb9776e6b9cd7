from __future__ import annotations

import numpy as np
import pytest

from audiocx.data import noises
from audiocx.data.randomness import Stream, generator
from audiocx.data.sound_parts import event_times, harmonics, phase, shape_spectrum

RATE = 16000
FAMILIES = ["babble", *noises.SEEN, *noises.UNSEEN]


def voices() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    time = np.arange(5 * RATE) / RATE
    return [
        (random.standard_normal(5 * RATE) * np.clip(np.sin(2 * np.pi * (1 + n) * time), 0, 1)).astype(
            np.float32
        )
        for n in range(5)
    ]


def render(family: str, recording: int, n_samples: int = 4 * RATE) -> np.ndarray:
    return noises.render(family, generator(0, recording, Stream.NOISE), n_samples, RATE, voices())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_sounds_and_each_recording_is_its_own(family: str) -> None:
    first, again, other = render(family, 1), render(family, 1), render(family, 2)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (4 * RATE,)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.abs(first).max() == pytest.approx(0.9, rel=1e-4)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.5
    for second in np.split(first, 4):  # a training piece never meets digital silence
        assert np.sqrt(np.mean(np.square(second))) > 1e-4


def speech_band_movement_db(wave: np.ndarray) -> float:
    """How much the level in 300 to 3400 Hz moves between frames of 32 ms."""
    frames = (
        np.abs(np.fft.rfft(wave[: len(wave) // 512 * 512].reshape(-1, 512) * np.hanning(512), axis=1)) ** 2
    )
    band = frames[:, 10:109].sum(1)
    return float(np.std(10 * np.log10(band + 1e-9)))


def test_most_families_move_in_the_speech_band() -> None:
    movement = {
        family: np.mean([speech_band_movement_db(render(family, recording)) for recording in range(4)])
        for family in FAMILIES
    }
    assert max(movement[family] for family in ("coloured", "hum")) < 2.0
    for families in (["babble", *noises.SEEN], noises.UNSEEN):
        moving = [family for family in families if movement[family] > 2.0]
        assert len(moving) >= len(families) / 2, movement


def test_there_are_families_enough_and_some_are_kept_for_the_test() -> None:
    assert len(noises.SEEN) + 1 >= 8
    assert len(noises.UNSEEN) >= 3
    assert not set(noises.SEEN) & set(noises.UNSEEN)


def test_harmonics_by_recurrence_equal_sines() -> None:
    angle = phase(np.full(400, 123.0, np.float32), RATE)
    expected = 0.5 * np.sin(angle) + 0.25 * np.sin(2 * angle) + 2.0 * np.sin(5 * angle)
    np.testing.assert_allclose(harmonics(angle, [0.5, 0.25, 0, 0, 2.0]), expected, atol=1e-5)


def test_shape_spectrum_applies_the_gains() -> None:
    time = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 500 * time), np.sin(2 * np.pi * 4000 * time)
    shaped = shape_spectrum((low + high).astype(np.float32), RATE, [1000, 2000], [0, -40])
    middle = slice(4000, 12000)
    np.testing.assert_allclose(shaped[middle], (low + 0.01 * high)[middle], atol=2e-3)


@pytest.mark.parametrize("per_second", [0.5, 5.0, 50.0])
def test_there_is_always_an_event(per_second: float) -> None:
    counts = [
        len(event_times(generator(0, item, Stream.NOISE), 4 * RATE, RATE, per_second, 0.3))
        for item in range(50)
    ]
    assert min(counts) >= 1
    assert np.mean(counts) == pytest.approx(4 * per_second, rel=0.35)
