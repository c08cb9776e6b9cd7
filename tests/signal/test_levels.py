from __future__ import annotations

import pytest
import torch

from audiocx.signal.levels import (
    SMALLEST_LEVEL,
    active_level,
    frame_power,
)
from audiocx.signal.stft import STFT


def test_pauses_do_not_count(noise):
    stft = STFT()
    speech = noise(1, 8000)
    with_pause = torch.cat((speech, torch.zeros(1, 24000)), 1)
    level, level_with_pause = (active_level(frame_power(stft(x))) for x in (speech, with_pause))
    torch.testing.assert_close(level, level_with_pause, rtol=0.02, atol=0)


@pytest.mark.parametrize("gain", [1e-3, 0.5, 20.0])
def test_scales_with_the_signal(gain, noise):
    power = frame_power(STFT()(noise(2, 8000)))
    torch.testing.assert_close(active_level(power * gain**2), gain * active_level(power), rtol=1e-5, atol=0)


def test_silence_has_a_floor():
    assert float(active_level(torch.zeros(5))) == pytest.approx(SMALLEST_LEVEL)


def test_unit_level_is_unit_mean_power(noise):
    spectrum = STFT()(noise(1, 32000))
    level = active_level(frame_power(spectrum))
    inner = (spectrum / level[:, None, None])[..., 1:-1]
    assert float(inner.abs().square().mean()) == pytest.approx(1.0, rel=0.02)
