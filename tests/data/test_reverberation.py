from __future__ import annotations

import numpy as np
import pytest

from audiocx.data.reverberation import Responses, make_response, reverberate
from audiocx.data.sounds import Sound

RATE = 16000
EARLY = 800  # 50 ms


def decaying(seed: int, n_taps: int, direct: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    taps = 0.05 * random.standard_normal(n_taps) * np.exp(-np.arange(n_taps) / 1500)
    taps[direct] = -1.0
    return taps.astype(np.float32)


def test_a_response_is_cut_after_50_ms_and_scaled_by_what_is_wanted() -> None:
    response = make_response(3.0 * decaying(0, 9000, 40), RATE)
    assert response.direct == 40
    assert response.n_early == 40 + 1 + EARLY
    assert np.square(response.taps[: response.n_early], dtype=np.float64).sum() == pytest.approx(1, rel=1e-5)
    assert len(response.taps) < 9000  # the rest is below -60 dB
    assert response.lead == len(response.taps) - 1 - 40


def test_convolution_is_that_of_the_whole_signal() -> None:
    speech = np.random.default_rng(1).standard_normal(9000).astype(np.float32)
    response = make_response(decaying(2, 2500, 33), RATE)
    start, n_samples = 4000, 1500
    piece = speech[start - response.lead : start + n_samples + response.direct]
    heard, target = reverberate(piece, response)
    early = response.taps.copy()
    early[response.n_early :] = 0
    for got, taps in ((heard, response.taps), (target, early)):
        whole = np.convolve(speech.astype(np.float64), taps.astype(np.float64))[response.direct :]
        np.testing.assert_allclose(got, whole[start : start + n_samples], atol=2e-5)


@pytest.mark.parametrize(("echo", "is_wanted"), [(EARLY, True), (EARLY + 1, False)])
def test_an_echo_belongs_to_the_target_up_to_50_ms(echo: int, is_wanted: bool) -> None:
    taps = np.zeros(2000, np.float32)
    taps[32], taps[32 + echo] = 1.0, 0.5
    response = make_response(taps, RATE)
    click = np.zeros(response.lead + 3000 + response.direct, np.float32)
    click[response.lead + 100] = 1.0
    heard, target = reverberate(click, response)
    scale = (1.25 if is_wanted else 1.0) ** -0.5
    assert heard[100] == pytest.approx(scale, abs=1e-5)  # direct sound where the click was: no delay
    assert heard[100 + echo] == pytest.approx(0.5 * scale, abs=1e-5)
    assert target[100 + echo] == pytest.approx(0.5 * scale if is_wanted else 0.0, abs=1e-5)


def test_a_response_of_one_tap_changes_nothing() -> None:
    speech = np.random.default_rng(1).standard_normal(500).astype(np.float32)
    heard, target = reverberate(speech, make_response(np.array([-0.3], np.float32), RATE))
    np.testing.assert_allclose(heard, -speech, atol=1e-6)
    np.testing.assert_allclose(target, -speech, atol=1e-6)


def test_made_responses_are_kept_up_to_a_size() -> None:
    class Store:
        """Twelve responses of 8 kB, that counts its readings."""

        sounds = (Sound("", n_samples=2000),) * 12

        def __init__(self) -> None:
            self.read_numbers: list[int] = []

        def read(self, number: int, start: int, n_samples: int, channel: int) -> np.ndarray:
            self.read_numbers.append(number)
            return decaying(number, n_samples, 30)

    store = Store()
    responses = Responses(store, RATE, megabytes=0.033)  # type: ignore[arg-type]
    for number in (0, 1, 2, 3, 0, 4, 0, 1):
        expected = make_response(decaying(number, 2000, 30), RATE)
        np.testing.assert_array_equal(responses.get(number, 0).taps, expected.taps)
        assert responses.n_bytes <= 33000
    assert store.read_numbers == [0, 1, 2, 3, 4, 1]  # 1 is the one that was not drawn for longest when 4 came
