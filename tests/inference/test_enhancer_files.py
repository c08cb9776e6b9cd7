"""Files through the Enhancer: rate, length, channels and sample form are those of the input."""

import os

import numpy as np
import pytest
import soundfile
import torch

from audiocx.errors import AudioFileError
from audiocx.inference.enhancer import Enhancer

# (suffix, subtype, the output's subtype)
FORMS = [
    ("wav", "PCM_16", "PCM_16"),
    ("wav", "PCM_24", "PCM_24"),
    ("wav", "PCM_32", "PCM_32"),
    ("wav", "FLOAT", "FLOAT"),
    ("wav", "DOUBLE", "DOUBLE"),
    ("wav", "PCM_U8", "PCM_U8"),
    ("wav", "ULAW", "ULAW"),
    ("wav", "ALAW", "ALAW"),
    ("wav", "MS_ADPCM", "PCM_16"),
    ("flac", "PCM_16", "PCM_16"),
    ("flac", "PCM_24", "PCM_24"),
    ("ogg", "VORBIS", "PCM_16"),
    ("mp3", "MPEG_LAYER_III", "PCM_16"),
    ("aiff", "PCM_24", "PCM_24"),
]
# Coding noise above the model's 8 kHz is lost; what is below comes back.
LARGEST_ERROR = {"PCM_U8": 2**-7, "ULAW": 2**-5, "ALAW": 2**-5, "MS_ADPCM": 2**-5}


@pytest.mark.parametrize(("suffix", "subtype", "expected"), FORMS, ids=[f"{a}-{b}" for a, b, _ in FORMS])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_forms_are_kept_where_wav_has_them(
    known_separator, noise, tmp_path, suffix, subtype, expected, n_channels
):
    source, target = tmp_path / f"a.{suffix}", tmp_path / "b.wav"
    soundfile.write(source, noise(20_000, n_channels, 24_000), 24_000, subtype=subtype)
    decoded, _ = soundfile.read(source, always_2d=True)

    report = Enhancer(known_separator()).file(source, target)

    written, sample_rate = soundfile.read(target, always_2d=True)
    assert soundfile.info(target).format == "WAV"
    assert (sample_rate, soundfile.info(target).subtype) == (24_000, expected)
    assert written.shape == decoded.shape
    inside = slice(1000, -1000)
    np.testing.assert_allclose(
        written[inside], decoded[inside], rtol=0, atol=max(1e-3, LARGEST_ERROR.get(subtype, 0))
    )
    assert (report.subtype, report.outputs, report.gains_db) == (expected, (target,), (0.0,))
    assert report.audio_seconds == len(decoded) / 24_000
    assert report.wall_seconds > 0


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE"])
def test_what_no_model_touches_is_not_changed_by_a_bit(known_separator, tmp_path, subtype):
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    waveform = np.random.default_rng(0).uniform(-1, 1, (40_000, 3)).astype(np.float32)
    soundfile.write(source, waveform, 16_000, subtype=subtype)
    Enhancer(known_separator(), block_seconds=1.0).file(source, target)
    np.testing.assert_array_equal(soundfile.read(target)[0], soundfile.read(source)[0])


@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("n_channels", [1, 3, 8])
@pytest.mark.parametrize("n_samples", [1, 2, 7919])
def test_lengths_are_kept_to_the_sample(known_separator, noise, tmp_path, sample_rate, n_channels, n_samples):
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    soundfile.write(source, noise(n_samples, n_channels, sample_rate), sample_rate)
    Enhancer(known_separator()).file(source, target)
    info = soundfile.info(target)
    assert (info.samplerate, info.channels, info.frames) == (sample_rate, n_channels, n_samples)


def test_a_file_is_an_array(tiny_separator, noise, tmp_path):
    """Reading in pieces, two passes and blocks: the same as the array at once."""
    waveform = noise(3 * 22_050 + 11, 2, 22_050)
    soundfile.write(tmp_path / "a.wav", waveform, 22_050, subtype="FLOAT")
    enhancer = Enhancer(tiny_separator, block_seconds=1.5)

    enhancer.file(tmp_path / "a.wav", tmp_path / "b.wav")

    from_file = soundfile.read(tmp_path / "b.wav", dtype="float32")[0]
    np.testing.assert_allclose(from_file, enhancer(waveform, 22_050), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("subtype", "gain_db"), [("PCM_16", -6.02), ("PCM_24", -6.02), ("FLOAT", 0.0)])
def test_clipping_is_rescaled_and_told(known_separator, tmp_path, subtype, gain_db):
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    waveform = 0.5 * np.sin(np.arange(16_000 * 3) * np.pi / 40)
    soundfile.write(source, waveform, 16_000, subtype=subtype)

    report = Enhancer(known_separator(gains=(4.0,)), block_seconds=1.0).file(source, target)

    assert report.gains_db[0] == pytest.approx(gain_db, abs=0.01)
    written, _ = soundfile.read(target)
    np.testing.assert_allclose(written, 4 * waveform * 10 ** (report.gains_db[0] / 20), rtol=0, atol=1e-4)


@pytest.mark.parametrize("position", [0, 50_000, 99_999])
def test_a_break_in_the_middle_leaves_nothing_and_keeps_what_was(known_separator, noise, tmp_path, position):
    source, target = tmp_path / "a.wav", tmp_path / "out" / "b.wav"
    waveform = noise(100_000)
    waveform[position] = np.nan
    soundfile.write(source, waveform, 16_000, subtype="FLOAT")
    enhancer = Enhancer(known_separator(), block_seconds=1.0)
    target.parent.mkdir()
    soundfile.write(target, np.zeros(7), 16_000)

    with pytest.raises(AudioFileError, match=f"NaN at sample {position} "):
        enhancer.file(source, target)

    assert os.listdir(target.parent) == ["b.wav"]
    assert soundfile.info(target).frames == 7


def test_ctrl_c_in_a_file_leaves_nothing(known_separator, noise, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(100_000), 16_000)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Enhancer(known_separator(), block_seconds=1.0).file(
            tmp_path / "a.wav", tmp_path / "b.wav", progress=interrupt
        )
    assert os.listdir(tmp_path) == ["a.wav"]


def test_progress_runs_to_the_end(known_separator, noise, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(200_000), 44_100)
    calls = []
    Enhancer(known_separator(), block_seconds=0.5).file(
        tmp_path / "a.wav", tmp_path / "b.wav", progress=lambda done, total: calls.append((done, total))
    )
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert len(done) > 3
    assert calls[-1] == (200_000 / 44_100, 200_000 / 44_100)


def test_a_rate_that_is_none_is_refused(known_separator, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 3)
    with pytest.raises(
        AudioFileError,
        match=r"a\.wav: sample rate; expected a whole number from 1000 to 1000000 Hz, got 3 Hz",
    ):
        Enhancer(known_separator()).file(tmp_path / "a.wav", tmp_path / "b.wav")


def test_unicode_names(known_separator, tmp_path):
    source, target = tmp_path / "größe 音.wav", tmp_path / "ö" / "結果 🎤.wav"
    soundfile.write(source, np.full(100, 0.5), 16_000)
    Enhancer(known_separator()).file(source, target)
    np.testing.assert_array_equal(soundfile.read(target)[0], np.full(100, 0.5))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_does_the_same(tiny_separator, noise, tmp_path):
    waveform = noise(5 * 22_050, 3, 22_050)
    soundfile.write(tmp_path / "a.wav", waveform, 22_050, subtype="FLOAT")
    expected = Enhancer(tiny_separator, device="cpu", block_seconds=2.0)(waveform, 22_050)

    Enhancer(tiny_separator, device="cuda", block_seconds=2.0).file(tmp_path / "a.wav", tmp_path / "b.wav")

    tiny_separator.cpu()
    written = soundfile.read(tmp_path / "b.wav", dtype="float32")[0]
    np.testing.assert_allclose(written, expected, rtol=0, atol=1e-3 * float(np.abs(expected).max()))
