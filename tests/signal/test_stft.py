from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocx.errors import ConfigError, ShapeError
from audiocx.signal.stft import STFT

SETTINGS = [
    {},
    {"n_fft": 1024, "hop_length": 256, "window": "hann"},
    {"n_fft": 512, "win_length": 400, "hop_length": 100, "window": "hann"},
    {"n_fft": 512, "hop_length": 160, "window": "hann"},
    {"n_fft": 512, "hop_length": 128},
]


@pytest.mark.parametrize("keys", SETTINGS)
@pytest.mark.parametrize("n_samples", [1, 2, 255, 256, 257, 513, 4001])
def test_inverse_gives_the_waveform_back(keys, n_samples, noise):
    stft = STFT(**keys)
    waveform = noise(2, 3, n_samples, dtype=torch.float64)
    spectrum = stft(waveform)
    assert spectrum.shape == (2, 3, stft.n_frequencies, stft.n_frames(n_samples))
    # The window is kept in float32.
    torch.testing.assert_close(stft.inverse(spectrum, n_samples), waveform, rtol=0, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(n_samples=st.integers(1, 3000), start=st.integers(0, 10))
def test_frames_begin_at_multiples_of_the_hop(n_samples, start):
    """Live and offline frames are the same: zeros for whole hops in front only shift the frames."""
    stft = STFT()
    generator = torch.Generator().manual_seed(n_samples)
    waveform = torch.randn(n_samples, generator=generator, dtype=torch.float64)
    later = torch.cat((torch.zeros(start * stft.hop_length, dtype=torch.float64), waveform))
    shifted = stft(later)[..., start:]
    torch.testing.assert_close(shifted, stft(waveform), rtol=0, atol=1e-10)


@pytest.mark.parametrize("keys", SETTINGS[:2])
def test_agrees_with_torch(keys, noise):
    """torch.stft on the explicitly padded waveform gives the same frames."""
    stft = STFT(**keys)
    waveform = noise(1, 5000, dtype=torch.float64)
    padded = torch.nn.functional.pad(waveform, (stft.n_overlap, -5000 % stft.hop_length + stft.n_overlap))
    reference = torch.stft(
        padded,
        stft.n_fft,
        stft.hop_length,
        window=stft.window.double(),
        center=False,
        return_complex=True,
    )
    torch.testing.assert_close(stft(waveform), reference, rtol=1e-10, atol=1e-10)


def test_known_spectrum():
    """x = 0..7 with a periodic Hann window of 4 and hop 2, whose padding is that of a centred transform."""
    stft = STFT(sample_rate=8, n_fft=4, hop_length=2, window="hann")
    spectrum = stft(torch.arange(8, dtype=torch.float64))
    expected = torch.tensor(
        [[0.5, 4, 8, 12, 3.5], [0.5j, -2 + 1j, -4 + 1j, -6 + 1j, -3.5j], [-0.5, 0, 0, 0, -3.5]],
        dtype=torch.complex128,
    )
    torch.testing.assert_close(spectrum, expected, rtol=0, atol=1e-6)


def test_parseval(noise):
    """Square-root Hann at half overlap is a tight frame: energies agree."""
    stft = STFT()
    waveform = noise(8000, dtype=torch.float64)
    power = stft(waveform).abs().square()
    weight = torch.full((stft.n_frequencies, 1), 2.0, dtype=torch.float64)
    weight[0] = weight[-1] = 1.0
    ratio = float((power * weight).sum() / stft.n_fft / waveform.square().sum())
    assert ratio == pytest.approx(1.0, abs=1e-6)


def test_a_change_near_the_end_stays_small(noise):
    """No window tail is divided by a vanishing sum: errors are as small at the end as elsewhere."""
    stft = STFT(window="hann", n_fft=512, hop_length=128)
    waveform = noise(16127, dtype=torch.float64)
    spectrum = stft(waveform)
    changed = stft.inverse(spectrum + 1e-3 * torch.randn_like(spectrum), 16127) - waveform
    body, tail = changed[4000:12000].abs().max(), changed[-300:].abs().max()
    assert tail < 2 * body


def test_stays_in_float32_under_autocast(noise):
    stft = STFT()
    waveform = noise(1, 4000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spectrum = stft(waveform.bfloat16())
        assert spectrum.dtype == torch.complex64
        assert stft.inverse(spectrum, 4000).dtype == torch.float32


def test_gradient(noise):
    stft = STFT(sample_rate=8, n_fft=8, hop_length=4)
    waveform = noise(13, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: stft.inverse(stft(x) * (0.3 + 0.4j), 13), (waveform,))


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"hop_length": 600}, "hop_length"),
        ({"win_length": 1024}, "win_length"),
        ({"window": "sqrt_han"}, "did you mean `sqrt_hann`"),
        ({"hop_length": 512, "window": "hann"}, "uncovered"),
    ],
)
def test_refuses_what_does_not_fit(keys, word):
    with pytest.raises(ConfigError, match=word):
        STFT(**keys)


def test_inverse_refuses_a_real_spectrum():
    with pytest.raises(ShapeError, match="real"):
        STFT().inverse(torch.zeros(257, 4), 10)


def test_settings_rebuild_it():
    stft = STFT(n_fft=512, win_length=400, hop_length=100, window="hann")
    again = STFT(**stft.settings)
    assert again.settings == stft.settings
    assert math.isclose(float(again.window.sum()), float(stft.window.sum()))
