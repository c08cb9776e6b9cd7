from __future__ import annotations

import importlib.util
import time

import numpy as np
import pytest

from audiocx.data import harmonic_voice, texts, voices
from audiocx.data.activity import active_frames, frame_powers
from audiocx.data.randomness import Stream, generator
from audiocx.errors import ConfigError, DataError

RATE = 16000
needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="needs espeakng-loader"
)


def everyone() -> dict[str, list[voices.Voice]]:
    return {
        "train": voices.plan_voices("train", 72),
        "valid": voices.plan_voices("valid", 6),
        "test": voices.plan_voices("test", 16),
    }


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("train", "valid"), ("valid", "test")])
def test_parts_share_no_language_and_no_variant(one: str, other: str) -> None:
    plans = everyone()
    for fact in (
        lambda voice: voice.language.split("-")[0],
        lambda voice: voice.variant,
        lambda voice: voice.number,
    ):
        assert not {fact(voice) for voice in plans[one]} & {fact(voice) for voice in plans[other]}


def test_there_are_voices_enough_and_no_two_alike() -> None:
    plans = everyone()
    for part, least in (("train", 40), ("valid", 6), ("test", 16)):
        assert len({(voice.language, voice.variant) for voice in plans[part]}) == len(plans[part]) >= least
    assert len({voice.variant for voice in plans["train"]}) >= 60
    most = voices.plan_voices("train", 2 * len(voices.LANGUAGES["train"]))
    assert len({voice.name for voice in most}) == len(most)


def test_a_longer_plan_begins_with_the_shorter() -> None:
    assert voices.plan_voices("train", 10)[:4] == voices.plan_voices("train", 4)


@pytest.mark.parametrize(("part", "count"), [("valid", 7), ("test", 17), ("train", 0)])
def test_too_many_voices_are_refused(part: str, count: int) -> None:
    with pytest.raises(ConfigError, match=f"{part}_voices.*got {count}"):
        voices.plan_voices(part, count)


def test_engine_is_chosen_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert voices.choose_engine("auto") == "harmonic"
    with pytest.raises(ConfigError, match=r"audiocx\[demo\]"):
        voices.choose_engine("espeak")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert voices.choose_engine("auto") == "espeak"
    assert voices.choose_engine("harmonic") == "harmonic"
    with pytest.raises(ConfigError, match=r"auto \| espeak \| harmonic"):
        voices.choose_engine("festival")


@pytest.mark.parametrize(
    "language", sorted({name.split("-")[0] for part in voices.PARTS for name in voices.LANGUAGES[part]})
)
def test_sentences_are_text_in_every_language(language: str) -> None:
    spoken = {texts.sentence(generator(0, item, Stream.VOICE_TEXT), language) for item in range(20)}
    assert len(spoken) == 20
    assert all(len(text.split()) >= 4 and text[-1] in ".?!" for text in spoken)


def render(part: str, count: int, engine: str, seconds: float = 4.0) -> list[np.ndarray]:
    plan = voices.plan_voices(part, count)
    return [
        wave for _, wave in voices.render_voices(plan, dict.fromkeys(voices.PARTS, seconds), engine, RATE)
    ]


@pytest.mark.parametrize("engine", ["harmonic", pytest.param("espeak", marks=needs_espeak)])
def test_voices_speak_and_pause_and_differ(engine: str) -> None:
    waveforms = render("test", 3, engine)
    assert all(3 * RATE <= len(wave) <= 4 * RATE and wave.dtype == np.float32 for wave in waveforms)
    for wave in waveforms:
        active = active_frames(frame_powers(wave, RATE))
        assert 0.3 < active.mean() < 0.995
        assert np.abs(wave).max() <= 1.0
        spectrum = np.square(np.abs(np.fft.rfft(wave)))
        below = spectrum[: 4 * 4000].sum() / spectrum.sum()  # speech lies below 4 kHz, but not all of it
        assert 0.6 < below < 0.99999
    assert not np.allclose(waveforms[0], waveforms[1], atol=1e-3)


@pytest.mark.parametrize("engine", ["harmonic", pytest.param("espeak", marks=needs_espeak)])
def test_voices_are_reproducible(engine: str) -> None:
    # The first validation voice is a breathy one, whose noise the library would seed with the time.
    first_time = render("valid", 2, engine, 2.0)
    time.sleep(1.1)
    for first, second in zip(first_time, render("valid", 2, engine, 2.0), strict=True):
        np.testing.assert_array_equal(first, second)


@needs_espeak
def test_an_unknown_espeak_voice_is_named() -> None:
    voice = voices.Voice("test", "xx+f1", "xx", "f1", 50, 50, 170, 1.0, 1)
    with pytest.raises(DataError, match=r"`xx\+f1`.*harmonic"):
        list(voices.render_voices([voice], {"test": 2.0}, "espeak", RATE))


def test_harmonic_voice_has_the_pitch_of_its_throat() -> None:
    wave = harmonic_voice.sentence(
        generator(0, 0, Stream.HARMONIC_VOICE), harmonic_voice.Throat(150.0, 0.0, 1.0), 170, RATE
    )
    frame = max(
        (wave[start : start + 1600] for start in range(0, len(wave) - 1600, 400)),
        key=lambda piece: float(np.square(piece).sum()),
    )
    correlation = np.correlate(frame, frame, "full")[1599:]
    period = 60 + int(np.argmax(correlation[60:200]))
    assert RATE / period == pytest.approx(150.0, rel=0.16)  # it falls by 12 % either way in a sentence
