"""Enhancer: whatever goes in, the same kind of thing comes out."""

import os

import numpy as np
import pytest
import soundfile
import torch

from audiocx.errors import AudioFileError, ConfigError, ShapeError
from audiocx.inference.enhancer import Enhancer, choose_device, output_paths
from audiocx.signal.levels import active_level, frame_power


def whole_level(separator, channels):
    return active_level(frame_power(separator.stft(torch.from_numpy(channels)[None])))


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("n_samples", [1, 2, 255, 50_001])
def test_an_identity_gives_back_what_came_in(known_separator, noise, sample_rate, n_samples):
    enhancer = Enhancer(known_separator(), device="cpu", block_seconds=1.0)
    waveform = noise(n_samples, 2, sample_rate)

    estimate = enhancer(waveform, sample_rate)

    assert estimate.shape == waveform.shape
    assert estimate.dtype == waveform.dtype
    edge = 0 if sample_rate == 16_000 else sample_rate // 50  # a filter that begins in silence rings there
    inside = slice(edge, max(edge, n_samples - edge))
    np.testing.assert_allclose(estimate[inside], waveform[inside], rtol=0, atol=1e-4)
    assert np.isfinite(estimate).all()


@pytest.mark.parametrize("shape", [(5000,), (5000, 1), (5000, 2), (5000, 8), (1,), (1, 8)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_types_are_kept(known_separator, shape, dtype):
    estimate = Enhancer(known_separator(gains=(0.5,)))(np.full(shape, 0.25, dtype), 16_000)
    assert estimate.dtype == dtype
    np.testing.assert_allclose(estimate, np.full(shape, 0.125), rtol=0, atol=1e-7)


def test_several_sources_stand_in_front(known_separator, noise):
    enhancer = Enhancer(known_separator(gains=(1.0, -0.5, 0.25)), block_seconds=1.0)
    waveform = noise(40_000, 2)
    for mixture in (waveform, waveform[:, 0]):
        estimate = enhancer(mixture, 16_000)
        assert estimate.shape == (3, *mixture.shape)
        np.testing.assert_allclose(estimate, np.stack([mixture, -0.5 * mixture, 0.25 * mixture]), atol=1e-6)


def test_every_block_hears_the_level_of_the_whole(known_separator, noise):
    separator = known_separator(uses_utterance_level=True)
    waveform = noise(80_000, 3) * np.array([1.0, 0.1, 0.01], np.float32)
    waveform[:40_000] *= 0.2  # no block has the level of the whole by itself

    Enhancer(separator, device="cpu", block_seconds=1.0)(waveform, 16_000)

    assert len(separator.levels) > 4
    for level in separator.levels:
        torch.testing.assert_close(level, whole_level(separator, waveform.T.copy()), rtol=1e-5, atol=0)


def test_levels_go_with_their_channels(known_separator, noise, monkeypatch):
    """Where channels do not fit into one call, each call gets the levels of its own."""
    monkeypatch.setattr("audiocx.inference.enhancer.CHANNEL_SECONDS", {"cpu": 2.0})
    separator = known_separator(uses_utterance_level=True)
    waveform = noise(16_000, 5) * np.array([1.0, 0.1, 0.01, 2.0, 3.0], np.float32)

    estimate = Enhancer(separator, device="cpu")(waveform, 16_000)

    np.testing.assert_allclose(estimate, waveform, atol=1e-6)
    assert [shape[1] for shape in separator.shapes] == [2, 2, 1]
    heard = torch.cat(separator.levels, dim=1)
    torch.testing.assert_close(heard, whole_level(separator, waveform.T.copy()), rtol=1e-5, atol=0)


def test_channels_of_a_short_recording_go_together(known_separator, noise):
    separator = known_separator()
    Enhancer(separator, device="cpu")(noise(16_000, 8), 16_000)
    assert separator.shapes == [(1, 8, 16_000)]
    assert separator.levels == [None]  # nothing is measured for a model that does not ask


def test_a_separator_is_used_for_inference_only(tiny_separator):
    tiny_separator.train()
    estimate = Enhancer(tiny_separator)(np.ones(1000, np.float32), 16_000)
    assert not tiny_separator.training
    assert isinstance(estimate, np.ndarray)
    assert all(parameter.grad is None for parameter in tiny_separator.parameters())


def test_a_real_network_does_the_same_in_blocks(tiny_separator, noise):
    waveform = noise(16_000 * 30) + 0.1 * np.random.default_rng(0).standard_normal((16_000 * 30, 1))
    waveform = waveform.astype(np.float32)[:, 0]
    with torch.inference_mode():
        whole = tiny_separator(torch.from_numpy(waveform)[None, None])[0, 0, 0].numpy()

    blocked = Enhancer(tiny_separator, block_seconds=8.0, overlap_seconds=2.0)(waveform, 16_000)

    assert np.abs(whole).max() > 0.05
    np.testing.assert_allclose(blocked, whole, rtol=0, atol=1e-4 * float(np.abs(whole).max()))


@pytest.mark.parametrize("n_channels", [1, 12])
def test_a_causal_model_needs_no_blocks(causal_separator, noise, n_channels):
    """Its state goes through the recording, so whatever the blocks, the estimate is that of the whole."""
    waveform = noise(70_000, n_channels)
    with torch.no_grad():
        whole = causal_separator(torch.from_numpy(waveform.T[None]))[0, 0].T.numpy()
    estimate = Enhancer(causal_separator, block_seconds=2.0)(waveform, 16_000)
    np.testing.assert_allclose(estimate, whole, atol=1e-5)


@pytest.mark.parametrize("gain_db", [-40.0, 20.0])
def test_a_level_changes_nothing_but_itself(tiny_separator, noise, gain_db):
    gain = 10 ** (gain_db / 20)
    waveform = noise(30_000)[:, 0]
    enhancer = Enhancer(tiny_separator)
    expected = gain * enhancer(waveform, 16_000)
    difference = enhancer(gain * waveform, 16_000) - expected
    assert np.abs(difference).max() < 1e-4 * np.abs(expected).max()


ODD = {
    "silence": np.zeros(5000),
    "constant": np.full(5000, 0.9),
    "square": np.sign(np.sin(np.arange(5000) / 20)),
    "barely there": 1e-30 * np.sin(np.arange(5000)),
    "denormal": 1e-42 * np.sin(np.arange(5000)),
    "far beyond full scale": 1e6 * np.sin(np.arange(5000)),
    "one click": np.eye(1, 5000, 2500)[0],
    "one sample": np.ones(1),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_odd_signals_come_out_finite(tiny_separator, name, sample_rate):
    waveform = ODD[name].astype(np.float32)
    estimate = Enhancer(tiny_separator)(waveform, sample_rate)
    assert estimate.shape == waveform.shape
    assert np.isfinite(estimate).all()
    assert np.abs(estimate).max() <= 16 * np.abs(waveform).max() + 1e-30  # the mask's bound is 2 for each bin


@pytest.mark.parametrize(
    ("waveform", "sample_rate", "error", "words"),
    [
        (np.zeros((2, 3, 4)), 16_000, ShapeError, r"\(2, 3, 4\)"),
        (np.zeros(0), 16_000, ShapeError, r"\(0,\)"),
        (np.zeros((0, 2)), 16_000, ShapeError, "not empty"),
        (np.zeros((2, 48_000)), 16_000, ShapeError, "waveform.T"),
        (np.zeros(10, np.int16), 16_000, ShapeError, "32768 for int16"),
        (np.array([0.0, np.nan]), 16_000, AudioFileError, "NaN or Inf"),
        (np.zeros(10), 0, ConfigError, "sample_rate"),
        (np.zeros(10), 10**8, ConfigError, "sample_rate"),
        (np.zeros(10), 44_100.5, ConfigError, "sample_rate; expected a whole number"),
    ],
)
def test_arrays_that_are_no_audio(known_separator, waveform, sample_rate, error, words):
    with pytest.raises(error, match=words):
        Enhancer(known_separator())(waveform, sample_rate)


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "cpu:1", "cuda:x", "", f"cuda:{torch.cuda.device_count()}"):
        with pytest.raises(ConfigError, match="device"):
            choose_device(name)


def test_a_model_that_breaks_is_one_line(known_separator, tmp_path):
    separator = known_separator(gains=(float("inf"),))
    soundfile.write(tmp_path / "a.wav", np.full(2000, 0.1), 16_000)
    with pytest.raises(AudioFileError, match=r"a\.wav: the model's estimate is not finite"):
        Enhancer(separator).file(tmp_path / "a.wav", tmp_path / "b.wav")
    assert os.listdir(tmp_path) == ["a.wav"]


def test_outputs_of_several_sources_are_numbered(known_separator, tmp_path):
    assert output_paths("x/a_enhanced.wav", 1) == output_paths("x/a_enhanced.wav", 1)
    assert [path.name for path in output_paths("x/a.wav", 2)] == ["a_1.wav", "a_2.wav"]
    soundfile.write(tmp_path / "in.wav", np.full(2000, 0.5), 16_000)

    report = Enhancer(known_separator(gains=(1.0, -0.5))).file(tmp_path / "in.wav", tmp_path / "out.wav")

    assert report.outputs == (tmp_path / "out_1.wav", tmp_path / "out_2.wav")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out_2.wav")[0], np.full(2000, -0.25))


@pytest.mark.parametrize("sample_rate", [44_100.0, np.int64(44_100)])
def test_a_rate_may_be_any_kind_of_whole_number(known_separator, noise, sample_rate):
    waveform = noise(1000, 1, 44_100)
    enhancer = Enhancer(known_separator())
    np.testing.assert_array_equal(enhancer(waveform, sample_rate), enhancer(waveform, 44_100))
