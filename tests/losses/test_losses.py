"""Known answers of single losses; what all of them share is in tests/contracts/test_every_loss.py."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate

from audiocx.errors import ConfigError, ShapeError
from audiocx.losses.sdr import NegativeSISDR, NegativeSNR, WeightedSDR
from audiocx.losses.spectral import PARALLEL_WAVEGAN, CompressedSpectral, MultiResolutionSTFT
from audiocx.losses.weighted import WeightedSum
from audiocx.signal.stft import STFT

CONF = Path(__file__).resolve().parents[2] / "conf"
TARGET = torch.tensor([1, 2, -1, 0.5], dtype=torch.float64).view(1, 1, 1, 4)
ESTIMATE = torch.tensor([0.9, 2.2, -0.8, 0.4], dtype=torch.float64).view(1, 1, 1, 4)
MIXTURE = torch.tensor([1.5, 1, -0.5, 1], dtype=torch.float64).view(1, 1, 4)


def test_thresholded_snr_of_a_known_pair():
    assert float(NegativeSNR(30.0)(ESTIMATE, TARGET, mixture=MIXTURE)) == pytest.approx(-17.695511, abs=1e-5)
    assert float(NegativeSNR(200.0)(ESTIMATE, TARGET)) == pytest.approx(-17.958800, abs=1e-5)


def test_si_sdr_of_a_known_pair():
    assert float(NegativeSISDR(200.0)(ESTIMATE, TARGET)) == pytest.approx(-18.045417, abs=1e-3)


def test_saturates_where_asked():
    assert float(NegativeSNR(30.0)(TARGET, TARGET)) == pytest.approx(-30, abs=1e-6)
    assert float(NegativeSISDR(30.0)(TARGET, TARGET)) == pytest.approx(-30, abs=1e-2)


@pytest.mark.parametrize("estimate", [[2, -1, 0, 0], [0, 0, 0, 0]])
def test_si_sdr_has_a_floor_for_unrelated_and_silent_estimates(estimate):
    unrelated = torch.tensor(estimate, dtype=torch.float64).view(1, 1, 1, 4)
    assert float(NegativeSISDR()(unrelated, TARGET)) == pytest.approx(60, abs=1e-3)


def test_silent_target_is_compared_with_the_mixture():
    """An estimate 20 dB below the mixture costs -20 dB (with the threshold at -30)."""
    silent = torch.zeros_like(TARGET)
    expected = 10 * math.log10(0.01 + 0.001)
    for loss in (NegativeSNR(), NegativeSISDR()):
        value = float(loss(0.1 * MIXTURE.unsqueeze(1), silent, mixture=MIXTURE))
        assert value == pytest.approx(expected, abs=1e-5)


def test_snr_keeps_the_level_and_si_sdr_does_not(noise):
    target = noise(2, 1, 1, 4000)
    estimate = target + 0.1 * noise(2, 1, 1, 4000)
    assert float(NegativeSNR()(0.5 * estimate, target)) > float(NegativeSNR()(estimate, target)) + 5
    scaled, plain = NegativeSISDR()(0.5 * estimate, target), NegativeSISDR()(estimate, target)
    assert float(scaled) == pytest.approx(float(plain), abs=1e-3)


def test_the_default_loss_keeps_the_level(noise):
    """Halving or doubling a good estimate costs, and the best gain is one."""
    config = yaml.safe_load((CONF / "loss" / "level_si_sdr.yaml").read_text())
    assert "loss: level_si_sdr" in (CONF / "train.yaml").read_text()
    loss = instantiate(config, _convert_="all")
    target = noise(2, 1, 1, 4000)
    estimate = target + 0.1 * noise(2, 1, 1, 4000)
    values = {gain: float(loss(gain * estimate, target)) for gain in (0.5, 0.9, 1.0, 1.1, 2.0)}
    assert min(values, key=lambda gain: values[gain]) == 1.0
    assert values[0.5] > values[1.0] + 1
    assert values[2.0] > values[1.0] + 1


def test_compressed_spectral_follows_its_formula(noise):
    target, mixture = noise(1, 1, 1, 4000), noise(1, 1, 4000)
    estimate = target + 0.3 * noise(1, 1, 1, 4000)
    loss = CompressedSpectral(exponent=0.3, complex_weight=0.3)
    stft = STFT(n_fft=512, hop_length=128, window="hann")
    unit = mixture.square().mean().sqrt() * stft.window.square().sum().sqrt()
    s, e = stft(target / unit), stft(estimate / unit)
    magnitude = (s.abs() ** 0.3 - e.abs() ** 0.3).square().mean()
    complex_part = (torch.polar(s.abs() ** 0.3, s.angle()) - torch.polar(e.abs() ** 0.3, e.angle())).abs()
    expected = 0.7 * magnitude + 0.3 * complex_part.square().mean()
    # The floor of the compression changes the weakest bins a little.
    assert float(loss(estimate, target, mixture=mixture)) == pytest.approx(float(expected), rel=2e-3)


def test_compressed_spectral_does_not_depend_on_the_recording_level(noise):
    target, mixture = noise(1, 1, 1, 4000), noise(1, 1, 4000)
    loss = CompressedSpectral()
    first = float(loss(0.5 * target, target, mixture=mixture))
    second = float(loss(0.005 * target, 0.01 * target, mixture=0.01 * mixture))
    assert second == pytest.approx(first, rel=1e-3)


def test_weighted_sdr_of_a_known_pair():
    value = WeightedSDR()(ESTIMATE, TARGET, mixture=MIXTURE)
    assert float(value) == pytest.approx(-0.990162, abs=1e-6)


def test_weighted_sdr_is_least_at_the_target_and_knows_its_level(noise):
    target, error = noise(3, 1, 1, 4000), noise(3, 1, 1, 4000)
    mixture = (target + 0.5 * error)[:, 0]
    loss = WeightedSDR()
    assert float(loss(target, target, mixture=mixture)) == pytest.approx(-1.0, abs=1e-6)
    assert float(loss(0.5 * target, target, mixture=mixture)) > -0.99
    assert float(loss(-target, target, mixture=mixture)) > 0.0


def test_weighted_sdr_of_a_silent_target_falls_with_the_residual(noise):
    mixture = noise(1, 1, 4000)
    values = [
        float(WeightedSDR()(gain * mixture[None], torch.zeros(1, 1, 1, 4000), mixture=mixture))
        for gain in (1.0, 0.5, 0.0)
    ]
    assert values == pytest.approx([0.0, 2 * 0.25 / 1.25 - 1, -1.0], abs=1e-6)


def test_weighted_sdr_needs_a_mixture():
    with pytest.raises(ConfigError, match="mixture"):
        WeightedSDR()(ESTIMATE, TARGET)


def _magnitude(waveform: np.ndarray, n_fft: int, hop_length: int, win_length: int) -> np.ndarray:
    """|STFT| frame by frame, (frame, frequency)."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    before = win_length - hop_length
    after = -len(waveform) % hop_length + -(-before // hop_length) * hop_length
    padded = np.concatenate([np.zeros(before), waveform, np.zeros(after)])
    begins = range(0, len(padded) - win_length + 1, hop_length)
    frames = [np.fft.rfft(window * padded[begin : begin + win_length], n_fft) for begin in begins]
    return np.abs(frames) / np.sqrt(np.square(window).sum())


def test_multi_resolution_stft_follows_its_formula(noise):
    """Convergence and log distance written out, per item; ε is far below what the noise has in its bins."""
    target, estimate = noise(2, 1, 1, 5000).double(), noise(2, 1, 1, 5000).double()
    mixture = noise(2, 1, 5000).double()
    expected = []
    for s, e, x in zip(
        target[:, 0, 0].numpy(), estimate[:, 0, 0].numpy(), mixture[:, 0].numpy(), strict=True
    ):
        level = np.sqrt(np.square(x).mean())
        for lengths in PARALLEL_WAVEGAN:
            magnitude, other = _magnitude(s / level, **lengths), _magnitude(e / level, **lengths)
            convergence = np.linalg.norm(magnitude - other) / np.linalg.norm(magnitude)
            expected.append(convergence + np.abs(np.log(magnitude) - np.log(other)).mean())
    loss = MultiResolutionSTFT(epsilon=1e-14).double()
    for stft in loss.stfts:  # the formula above in float64, windows included
        stft.window = torch.hann_window(stft.win_length, dtype=torch.float64)
    assert float(loss(estimate, target, mixture=mixture)) == pytest.approx(np.mean(expected), rel=1e-6)


def test_multi_resolution_stft_of_a_gain_is_known(noise):
    """ŝ = g s: convergence |1 - g|, log distance |ln g|, at every resolution."""
    target = noise(1, 1, 1, 8000).double()
    for gain in (0.5, 2.0):
        value = float(MultiResolutionSTFT(epsilon=1e-14).double()(gain * target, target))
        assert value == pytest.approx(abs(1 - gain) + abs(math.log(gain)), rel=1e-4)
        level = float(MultiResolutionSTFT().double()(1e-3 * gain * target, 1e-3 * target))
        assert level == pytest.approx(float(MultiResolutionSTFT().double()(gain * target, target)), rel=1e-6)


def test_multi_resolution_stft_says_how_resolutions_are_written():
    with pytest.raises(ConfigError, match=r"loss\.resolutions; expected mappings of hop_length, n_fft"):
        MultiResolutionSTFT([{"n_fft": 512, "hop_length": 128}])


def test_weighted_sum(noise):
    estimate, target = noise(2, 1, 1, 800), noise(2, 1, 1, 800)
    first, second = NegativeSNR(), NegativeSISDR()
    both = WeightedSum({"a": first, "b": second}, {"a": 2.0, "b": 0.5})
    expected = 2 * first(estimate, target) + 0.5 * second(estimate, target)
    torch.testing.assert_close(both(estimate, target), expected)
    with pytest.raises(ConfigError, match="terms and weights differ"):
        WeightedSum({"a": first}, {"b": 1.0})


def test_shapes_must_agree(noise):
    with pytest.raises(ShapeError, match="differ"):
        NegativeSNR()(noise(1, 1, 1, 5), noise(1, 1, 1, 6))
