"""Writing audio files: whole or not at all, in the input's form, never clipped in silence."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import audiocx.audio.writing
from audiocx.audio.writing import AudioWriter, clips, wav_subtype
from audiocx.errors import AudioFileError

STEPS = {"PCM_U8": 2**7, "PCM_16": 2**15, "PCM_24": 2**23, "PCM_32": 2**31, "FLOAT": 2**20, "DOUBLE": 2**20}


def write(path, waveform, subtype="PCM_16", sample_rate=16_000, n_piece=1000):
    waveform = np.atleast_2d(np.asarray(waveform, np.float32))
    with AudioWriter(path, sample_rate, waveform.shape[0], subtype) as writer:
        for start in range(0, waveform.shape[1], n_piece):
            writer.write(waveform[:, start : start + n_piece])
        return writer.commit()


@pytest.mark.parametrize("subtype", STEPS)
@pytest.mark.parametrize("n_channels", [1, 2, 8])
def test_samples_of_the_form_come_back_as_themselves(tmp_path, subtype, n_channels):
    path = tmp_path / "a.wav"
    n_steps = min(STEPS[subtype], 2**24)  # float32 holds no more
    generator = np.random.default_rng(0)
    waveform = generator.integers(-n_steps, n_steps, (n_channels, 2500)) / n_steps
    waveform[0, :2] = -1.0, 1.0 - 1.0 / n_steps

    written = write(path, waveform, subtype, 44_100)

    samples, sample_rate = soundfile.read(path, dtype="float64", always_2d=True)
    assert (sample_rate, soundfile.info(path).subtype) == (44_100, subtype)
    np.testing.assert_array_equal(samples.T, waveform.astype(np.float32))
    assert (written.path, written.n_samples, written.peak, written.gain_db) == (path, 2500, 1.0, 0.0)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_companded_forms_are_kept(tmp_path, subtype):
    path = tmp_path / "a.wav"
    waveform = 0.5 * np.sin(np.arange(4000) / 9)
    write(path, waveform, subtype)
    assert soundfile.info(path).subtype == subtype
    np.testing.assert_allclose(soundfile.read(path)[0], waveform, rtol=0.04, atol=2**-9)


def test_subtypes_that_wav_keeps():
    kept = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]
    assert [wav_subtype(subtype) for subtype in kept] == kept
    for subtype in ("VORBIS", "OPUS", "MPEG_LAYER_III", "MS_ADPCM", "GSM610", "PCM_S8", "ALAC_16"):
        assert wav_subtype(subtype) == "PCM_16"
    assert [wav_subtype(f"ALAC_{bits}") for bits in (20, 24, 32)] == ["PCM_24", "PCM_24", "PCM_32"]
    assert [clips(subtype) for subtype in kept] == [True] * 4 + [False] * 2 + [True] * 2


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
def test_what_would_clip_is_rescaled_as_a_whole(tmp_path, subtype):
    path = tmp_path / "a.wav"
    waveform = np.stack([np.full(3000, 0.25), np.full(3000, -0.125)])
    waveform[1, 2999] = -2.0  # found only in the last piece

    written = write(path, waveform, subtype)

    samples = soundfile.read(path, dtype="float64")[0].T
    gain = 10 ** (written.gain_db / 20)
    assert written.peak == 2.0
    assert written.gain_db == pytest.approx(20 * np.log10((1 - 1 / STEPS[subtype]) / 2), abs=1e-9)
    np.testing.assert_allclose(samples, gain * waveform, rtol=0, atol=0.51 / min(STEPS[subtype], 2**24))


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_keep_what_lies_beyond_full_scale(tmp_path, subtype):
    assert write(tmp_path / "a.wav", [0.5, -10.0], subtype).gain_db == 0.0
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav")[0], [0.5, -10.0])


def test_folders_are_made_and_an_older_file_is_replaced(tmp_path):
    path = tmp_path / "x" / "y" / "grüße 音.wav"
    write(path, np.zeros(10))
    write(path, np.zeros(20))
    assert soundfile.info(path).frames == 20
    assert os.listdir(path.parent) == [path.name]


def test_a_file_has_the_rights_of_any_new_file(tmp_path):
    write(tmp_path / "a.wav", np.zeros(10))
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("in_memory_bytes", [1 << 24, 100])
def test_whatever_ends_it_early_leaves_what_was_there(tmp_path, monkeypatch, error, in_memory_bytes):
    monkeypatch.setattr(audiocx.audio.writing, "IN_MEMORY_BYTES", in_memory_bytes)
    path = tmp_path / "a.wav"
    write(path, np.zeros(10))

    def fail():
        with AudioWriter(path, 16_000, 1) as writer:
            writer.write(np.ones((1, 5000), np.float32))
            assert os.listdir(tmp_path) == ["a.wav"]  # so that a process that is killed leaves nothing either
            raise error

    with pytest.raises(error):
        fail()
    assert os.listdir(tmp_path) == ["a.wav"]
    assert soundfile.info(path).frames == 10


def test_without_a_commit_there_is_no_file(tmp_path):
    with AudioWriter(tmp_path / "a.wav", 16_000, 1) as writer:
        writer.write(np.ones((1, 5), np.float32))
    assert os.listdir(tmp_path) == []


def test_folders_made_for_nothing_are_removed(tmp_path):
    (tmp_path / "kept").mkdir()
    with AudioWriter(tmp_path / "kept" / "a" / "b" / "c.wav", 16_000, 1):
        assert (tmp_path / "kept" / "a" / "b").is_dir()
    assert os.listdir(tmp_path / "kept") == []
    write(tmp_path / "kept" / "a" / "b" / "c.wav", np.zeros(10))
    assert os.listdir(tmp_path / "kept" / "a" / "b") == ["c.wav"]


def test_a_long_output_waits_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(audiocx.audio.writing, "IN_MEMORY_BYTES", 4096)
    monkeypatch.setattr(audiocx.audio.writing, "COPY_SAMPLES", 999)
    waveform = np.random.default_rng(1).uniform(-1, 1, (2, 9000)).astype(np.float32)
    write(tmp_path / "a.wav", waveform, "FLOAT")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0].T, waveform)
    assert os.listdir(tmp_path) == ["a.wav"]


def test_beyond_four_gigabytes_it_is_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr(audiocx.audio.writing, "WAV_BYTES", 2000)
    write(tmp_path / "short.wav", np.full(999, 0.5))
    write(tmp_path / "long.wav", np.full(1000, 0.5))
    assert soundfile.info(tmp_path / "short.wav").format == "WAV"
    assert soundfile.info(tmp_path / "long.wav").format == "RF64"
    np.testing.assert_array_equal(soundfile.read(tmp_path / "long.wav")[0], np.full(1000, 0.5))


@pytest.mark.parametrize("place", ["taken/a.wav", "taken/deeper/a.wav", "folder.wav", "long" * 80 + ".wav"])
def test_places_that_cannot_be_written(tmp_path, place):
    (tmp_path / "taken").touch()
    (tmp_path / "folder.wav").mkdir()
    before = sorted(os.listdir(tmp_path))

    with pytest.raises(AudioFileError, match="cannot be written") as caught:
        write(tmp_path / place, np.zeros(10))

    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


FULL_DISK = """
import os, resource, sys
import numpy as np
import audiocx.audio.writing as writing
from audiocx.errors import AudioFileError
folder, in_memory_bytes = sys.argv[1], int(sys.argv[2])
writing.IN_MEMORY_BYTES = in_memory_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with writing.AudioWriter(os.path.join(folder, "a.wav"), 16_000, 1) as writer:
        for _ in range(100):
            writer.write(np.zeros((1, 1000), np.float32))
        writer.commit()
except AudioFileError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("options", [[], ["-O"]], ids=["plain", "without assertions"])
@pytest.mark.parametrize("in_memory_bytes", [1 << 24, 100])
def test_a_full_disk_is_one_line_and_no_file(tmp_path, in_memory_bytes, options):
    command = [sys.executable, *options, "-c", FULL_DISK, str(tmp_path), str(in_memory_bytes)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "cannot be written" in result.stdout, result.stderr
    assert result.stderr == ""
    assert os.listdir(tmp_path) == []
