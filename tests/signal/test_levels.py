from __future__ import annotations

import pytest
import torch

from audiocx.signal.levels import (
    RUNNING_MEMORY_FRAMES,
    SMALLEST_LEVEL,
    active_level,
    frame_power,
    running_level,
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


def test_running_level_is_the_mean_so_far(noise):
    power = noise(2, 3, 300).square()
    level, _ = running_level(power)
    expected = (power.cumsum(-1) / torch.arange(1, 301)).sqrt()
    torch.testing.assert_close(level, expected, rtol=1e-4, atol=1e-6)


def test_running_level_forgets(noise):
    """After many loud frames a soft stretch as long as the memory, e times over, is what the level shows."""
    power = torch.cat((torch.full((1, 2000), 100.0), torch.full((1, 5 * RUNNING_MEMORY_FRAMES), 1.0)), -1)
    level, _ = running_level(power)
    expected = 1.0 + 99.0 * (1 - 1 / RUNNING_MEMORY_FRAMES) ** (5 * RUNNING_MEMORY_FRAMES)
    torch.testing.assert_close(level[0, -1].square(), torch.tensor(expected), rtol=1e-3, atol=0)


def test_running_level_in_pieces(noise):
    power = noise(2, 1, 1500).square()
    whole, last = running_level(power)
    state, levels = None, []
    for piece in power.split([1, 0, 4, 900, 595], -1):
        level, state = running_level(piece, state)
        levels.append(level)
    torch.testing.assert_close(torch.cat(levels, -1), whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-6)


def test_running_level_of_silence():
    level, state = running_level(torch.zeros(1, 5))
    assert float(level.min()) == pytest.approx(SMALLEST_LEVEL)
    assert torch.isfinite(state).all()
