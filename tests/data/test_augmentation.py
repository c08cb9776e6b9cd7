from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from audiocx.data.augment_channel import BandLimit, Equaliser, Gain, Speed
from audiocx.data.augment_recorder import Clipping, Codec, GeneratedNoise
from audiocx.data.augmentation import Augmentation, Augmenter, Rows, Variation
from audiocx.errors import ConfigError

RATE = 16000
KINDS = (Gain, Equaliser, BandLimit, Clipping, Codec, Speed, GeneratedNoise)


def rows(n_samples: int = 16000, count: int = 2) -> Rows:
    return (0.1 * np.random.default_rng(5).standard_normal((count, n_samples))).astype(np.float32)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def powers_by_frequency(waveform: np.ndarray, edges: list[float]) -> np.ndarray:
    spectrum = np.square(np.abs(np.fft.rfft(waveform)))
    frequencies = np.fft.rfftfreq(len(waveform), 1 / RATE)
    bands = list(pairwise(edges))
    return np.array([spectrum[(frequencies >= a) & (frequencies < b)].mean() for a, b in bands])


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_pure_function_of_its_generator(kind: type[Augmentation]) -> None:
    entry, given = kind(probability=1.0), rows()
    before = given.copy()
    first, again, other = (entry.apply(random(seed), given, RATE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(given, before)  # what it was given stays
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.shape != other.shape or not np.array_equal(first, other)
    assert kind != Speed or first.shape[1] >= given.shape[1] / 1.1 - 1
    assert kind == Speed or first.shape == given.shape


@pytest.mark.parametrize("kind", KINDS)
def test_each_leaves_silence_finite(kind: type[Augmentation]) -> None:
    assert np.isfinite(kind(probability=1.0).apply(random(), np.zeros((2, 4000), np.float32), RATE)).all()


@pytest.mark.parametrize("kind", [Gain, Equaliser, BandLimit])
def test_linear_ones_change_all_rows_alike(kind: type[Augmentation]) -> None:
    given = rows()
    both = np.stack([given[0], given[1], given[0] + given[1]])
    one, other, together = kind(probability=1.0).apply(random(), both, RATE)
    np.testing.assert_allclose(one + other, together, atol=1e-6)


def test_a_gain_moves_straight_in_db() -> None:
    given = np.ones((1, 1001), np.float32)
    gains = 20 * np.log10(Gain(range_db=(-6, 6)).apply(random(3), given, RATE)[0])
    np.testing.assert_allclose(gains, np.linspace(gains[0], gains[-1], 1001), atol=1e-4)
    ends = [20 * np.log10(Gain(range_db=(-6, 6)).apply(random(n), given, RATE)[0, -1]) for n in range(200)]
    assert -6.001 <= min(ends) < -5
    assert 5 < max(ends) <= 6.001


def test_an_equaliser_has_the_gains_drawn_at_octaves() -> None:
    given = np.zeros((1, 16000), np.float32)
    given[0, 8000] = 1.0
    heard = Equaliser(spread_db=6.0).apply(random(4), given, RATE)[0]
    drawn = random(4).uniform(-6, 6, 8)
    response = 20 * np.log10(np.abs(np.fft.rfft(heard)))
    frequencies = np.fft.rfftfreq(16000, 1 / RATE)
    for octave in range(2, 8):  # below, the whole response is a few bins wide
        place = np.argmin(np.abs(frequencies - 8000 / 2.0 ** (7 - octave)))
        assert response[place] == pytest.approx(drawn[octave], abs=0.3)
    assert int(np.argmax(np.abs(heard))) == 8000  # no delay


def test_a_band_limit_leaves_nothing_above() -> None:
    given = rows()
    for seed in range(5):
        heard = BandLimit(highest_hz=(2500, 6000)).apply(random(seed), given, RATE)[0]
        highest = np.exp(random(seed).uniform(np.log(2500), np.log(6000)))
        low, passed, stopped = powers_by_frequency(heard, [50, 0.9 * highest, 1.02 * highest, 7900])
        kept = powers_by_frequency(given[0], [50, 0.9 * highest])[0]
        assert low / kept == pytest.approx(1, abs=0.01)
        assert 0.05 < passed / kept < 0.9
        assert stopped / kept < 1e-4


def test_clipping_lowers_the_crest() -> None:
    given = rows()
    heard = Clipping(share=(0.3, 0.3)).apply(random(), given, RATE)
    peak = np.abs(given[0]).max()
    assert np.abs(heard).max() == pytest.approx(0.3 * peak)
    untouched = np.abs(given) < 0.3 * peak
    np.testing.assert_array_equal(heard[untouched], given[untouched])
    crests = [np.abs(w[0]).max() / np.sqrt(np.square(w[0]).mean()) for w in (given, heard)]
    assert crests[1] < 0.5 * crests[0]


def test_a_codec_is_drawn_and_does_not_delay() -> None:
    given = rows(8000)
    for codec in ("mp3", "ogg"):
        heard = Codec(codecs=[codec], compression=(0.2, 0.2)).apply(random(), given, RATE)
        for before, after in zip(given, heard, strict=True):
            assert int(np.argmax(np.correlate(np.pad(after, 30), before, mode="valid"))) == 30
    drawn = {Codec().apply(random(seed), given[:1], RATE).tobytes() for seed in range(6)}
    assert len(drawn) == 6


def test_speed_moves_pitch_and_length_together() -> None:
    time = np.arange(17601) / RATE
    given = np.sin(2 * np.pi * 1000 * time, dtype=np.float32)[None]
    heard = Speed(factor=(1.1, 1.1)).apply(random(), given, RATE)[0]
    assert len(heard) == pytest.approx(17601 / 1.1, abs=2)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * RATE / len(heard) == pytest.approx(1100, abs=1.1)


@pytest.mark.parametrize("slope", [0.0, 3.0, 6.0])
def test_generated_noise_lies_as_far_below_as_drawn_and_falls(slope: float) -> None:
    given = rows(64000)
    added = GeneratedNoise(below_db=(15, 15), slope=(slope, slope)).apply(random(), given, RATE) - given
    np.testing.assert_allclose(added[0], added[1], atol=1e-7)
    ratio = np.square(added[0]).mean() / np.square(given[0]).mean()
    assert 10 * np.log10(ratio) == pytest.approx(-15, abs=0.02)
    low, high = powers_by_frequency(added[0], [950, 1050]), powers_by_frequency(added[0], [3800, 4200])
    assert 10 * np.log10(low[0] / high[0]) == pytest.approx(2 * slope, abs=1.0)


class Recorder(Augmentation):
    """Adds 1 to what it is given, and keeps its first random number."""

    def __init__(self, probability: float, place: str) -> None:
        super().__init__(probability, place)
        self.drawn: list[float] = []

    def apply(self, random: np.random.Generator, rows: Rows, sample_rate: int) -> Rows:
        self.drawn.append(random.random())
        return rows + np.float32(1)


def test_entries_work_in_their_place_with_their_probability() -> None:
    augmenter = Augmenter(
        {"a": Recorder(0.3, "noise"), "b": Recorder(1.0, "speech"), "off": Recorder(0.0, "noise")}
    )
    added = Counter(
        float(augmenter.of(0, index).apply("noise", np.zeros((1, 1), np.float32), RATE)[0, 0])
        for index in range(1000)
    )
    assert added[1.0] / 1000 == pytest.approx(0.3, abs=0.05)
    assert list(augmenter.entries) == ["a", "b"]
    assert augmenter.describe()["b"] == {
        "kind": "Recorder",
        "probability": 1.0,
        "place": "speech",
        "drawn": [],
    }


def test_entries_do_not_change_what_others_draw() -> None:
    draws = []
    for names in (["a"], ["b", "a"], ["a", "c"]):
        entries = {name: Recorder(1.0, "speech") for name in names}
        for index in range(3):
            Variation(entries, 7, index).apply("speech", np.zeros((1, 1), np.float32), RATE)
        draws.append(entries["a"].drawn)
    assert draws[0] == draws[1] == draws[2]
    assert len(set(draws[0])) == 3
    assert not set(entries["c"].drawn) & set(draws[0])


def test_speed_asks_for_what_it_will_use_in_its_own_place_alone() -> None:
    augmenter = Augmenter({"speed": Speed(0.5, factor=(0.8, 1.25))})
    asked = set()
    for index in range(20):
        variation = augmenter.of(0, index)
        asked.add(variation.length("speech", 1000))
        assert variation.length("noise", 1000) == 1000
        given = variation.apply("speech", np.ones((1, variation.length("speech", 1000)), np.float32), RATE)
        assert 1000 <= given.shape[1] <= 1004
    assert 1000 in asked  # those that it leaves alone
    assert min(asked) < 900
    assert max(asked) > 1150


def test_a_peak_is_turned_down_for_mixture_and_target_alike(mix: object) -> None:
    plain = mix().make_train()  # type: ignore[operator]
    raised = mix(augmentation={"hiss": GeneratedNoise(1.0, below_db=(-40, -40))}).make_train()  # type: ignore[operator]
    for index in range(3):
        before, after = plain[index], raised[index]
        assert after.mixture.abs().max() == pytest.approx(0.99, rel=1e-5)
        gain = float(after.target.abs().max() / before.target.abs().max())
        assert gain < 0.5
        torch.testing.assert_close(after.target, gain * before.target)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gain(probability=2.0), "augmentation Gain.probability does not fit"),
        (lambda: Gain(probability="often"), "augmentation Gain.probability does not fit"),  # type: ignore[arg-type]
        (lambda: Gain(range_db=(-np.inf, 3)), r"Gain.range_db is no range; expected \[low, high\], got"),
        (lambda: Clipping(share=["a", "b"]), "Clipping.share is no range"),  # type: ignore[list-item]
        (lambda: Equaliser(spread_db=-3), "Equaliser.spread_db does not fit; expected at least 0"),
        (lambda: Codec(codecs=5), "Codec.codecs is no list"),  # type: ignore[arg-type]
        (lambda: Gain(place="speach"), "did you mean `speech`"),
        (lambda: Gain(range_db=(3, -3)), "Gain.range_db is no range"),
        (lambda: Gain(range_db=3.0), "Gain.range_db is no range"),  # type: ignore[arg-type]
        (lambda: Clipping(share=(0.5, 1.5)), "Clipping.share is no range"),
        (lambda: Speed(place="both"), "Speed.place does not fit"),
        (lambda: Codec(codecs=["mp4"]), "did you mean `mp3`"),
        (lambda: Codec(codecs=[]), "Codec.codecs is empty"),
        (lambda: Augmenter({"x": {"probability": 0.5}}), r"data\.augmentation\.x is no augmentation"),
    ],
)
def test_what_does_not_fit_is_one_line(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


def test_a_target_follows_what_is_linear_and_not_what_is_not(mix: object) -> None:
    plain = mix().make_train()  # type: ignore[operator]
    clipped = mix(augmentation={"clip": Clipping(1.0, share=(0.5, 0.5))}).make_train()  # type: ignore[operator]
    limited = mix(augmentation={"band": BandLimit(1.0, highest_hz=(3000, 3000))}).make_train()  # type: ignore[operator]
    fast = mix(augmentation={"speed": Speed(1.0, factor=(1.2, 1.2))}).make_train()  # type: ignore[operator]
    for index in range(6):
        before, after = plain[index], clipped[index]
        assert torch.equal(before.target, after.target)
        assert after.mixture.abs().max() == pytest.approx(0.5 * float(before.mixture.abs().max()), rel=1e-4)
        assert before.tags == after.tags  # nothing else was drawn differently
        for waveform in (limited[index].mixture[0], limited[index].target[0, 0]):
            low, high = powers_by_frequency(waveform.numpy(), [100, 2500, 8000])
            assert high < 0.3 * low
            assert powers_by_frequency(waveform.numpy(), [3300, 8000])[0] < 1e-4 * low
        assert fast[index].mixture.shape == before.mixture.shape
        assert fast[index].target[0, 0, -400:].any()
