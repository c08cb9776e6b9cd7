"""The level of a stream is the level of the whole."""

import pytest
import torch

from audiocx.errors import ShapeError
from audiocx.inference.utterance_level import utterance_level
from audiocx.signal.levels import active_level, frame_power
from audiocx.signal.stft import STFT

TRANSFORMS = [
    STFT(),
    STFT(n_fft=512, hop_length=128),
    STFT(n_fft=400, hop_length=100),
    STFT(n_fft=512, hop_length=160, win_length=400, window="hann"),
]


def whole_level(waveform, stft):
    return active_level(frame_power(stft(waveform[None])))


@pytest.mark.parametrize("stft", TRANSFORMS, ids=lambda stft: f"{stft.win_length}/{stft.hop_length}")
@pytest.mark.parametrize("n_samples", [1, 99, 256, 5000, 5120, 16_001])
@pytest.mark.parametrize("n_piece", [100, 1111, 100_000])
def test_pieces_make_no_difference(stft, n_samples, n_piece):
    generator = torch.Generator().manual_seed(n_samples)
    waveform = torch.randn(3, n_samples, generator=generator) * torch.tensor([[1.0], [1e-3], [0.1]])
    waveform[:, : n_samples // 2] *= 0.3  # so that it matters which frames there are

    level = utterance_level(waveform.split(n_piece, dim=-1), stft)

    assert level.shape == (1, 3)
    torch.testing.assert_close(level, whole_level(waveform, stft), rtol=1e-6, atol=0)


def test_empty_pieces_are_no_matter():
    waveform = torch.ones(1, 1000)
    pieces = [waveform[:, :0], waveform[:, :600], waveform[:, :0], waveform[:, 600:], waveform[:, :0]]
    torch.testing.assert_close(utterance_level(pieces, STFT()), whole_level(waveform, STFT()))


def test_pauses_do_not_lower_it():
    tone = torch.sin(torch.arange(16_000) * 0.3)
    padded = torch.cat([torch.zeros(160_000), tone, torch.zeros(160_000)])[None]
    level = utterance_level(padded.split(9000, dim=-1), STFT())
    torch.testing.assert_close(level, whole_level(tone[None], STFT()), rtol=0.02, atol=0)


def test_no_samples_have_no_level():
    with pytest.raises(ShapeError, match="no samples"):
        utterance_level([torch.zeros(1, 0)], STFT())
