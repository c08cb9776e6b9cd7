"""Reading audio files: what comes in is what was written, and everything broken is one line."""

import os
import sys

import numpy as np
import pytest
import soundfile

from audiocx.audio.files import READ_SAMPLES, AudioInfo, blocks, probe, read
from audiocx.errors import AudioFileError

# (suffix, format, subtype, largest error that the form allows, lossy codecs None)
FORMS = [
    ("wav", "WAV", "PCM_16", 2**-15),
    ("wav", "WAV", "PCM_24", 2**-23),
    ("wav", "WAV", "PCM_32", 2**-23),
    ("wav", "WAV", "PCM_U8", 2**-7),
    ("wav", "WAV", "FLOAT", 0.0),
    ("wav", "WAV", "DOUBLE", 0.0),
    ("wav", "WAV", "ULAW", 2**-5),
    ("wav", "WAV", "ALAW", 2**-5),
    ("wav", "WAVEX", "PCM_16", 2**-15),
    ("flac", "FLAC", "PCM_16", 2**-15),
    ("flac", "FLAC", "PCM_24", 2**-23),
    ("aiff", "AIFF", "PCM_16", 2**-15),
    ("caf", "CAF", "FLOAT", 0.0),
    ("caf", "CAF", "ALAC_16", 2**-15),
    ("sph", "NIST", "PCM_16", 2**-15),
    ("avr", "AVR", "PCM_16", 2**-15),
    ("au", "AU", "PCM_16", 2**-15),
    ("w64", "W64", "PCM_16", 2**-15),
    ("rf64", "RF64", "PCM_16", 2**-15),
    ("ogg", "OGG", "VORBIS", None),
    ("opus", "OGG", "OPUS", None),
    ("mp3", "MP3", "MPEG_LAYER_III", None),
]
FORM_NAMES = [f"{suffix}-{container}-{subtype}" for suffix, container, subtype, _ in FORMS]


def tones(n_samples: int, n_channels: int, sample_rate: int) -> np.ndarray:
    """A tone for each channel, (channel, sample), float32 below full scale."""
    time = np.arange(n_samples) / sample_rate
    frequencies = 300.0 + 170.0 * np.arange(n_channels)
    return (0.5 * np.sin(2 * np.pi * frequencies[:, None] * time)).astype(np.float32)


def message_of(action, *arguments) -> str:
    with pytest.raises(AudioFileError) as caught:
        list(action(*arguments)) if action is blocks else action(*arguments)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    return str(caught.value)


@pytest.mark.parametrize(("suffix", "container", "subtype", "error"), FORMS, ids=FORM_NAMES)
def test_every_form_is_read(tmp_path, suffix, container, subtype, error):
    path = tmp_path / f"a.{suffix}"
    waveform = tones(24_000, 2, 24_000)
    soundfile.write(path, waveform.T, 24_000, format=container, subtype=subtype)

    assert probe(path) == AudioInfo(24_000, 2, 24_000, subtype, container)
    samples, sample_rate = read(path)

    assert sample_rate == 24_000
    assert samples.shape == (2, 24_000)
    assert samples.dtype == np.float32
    if error is None:
        middle = slice(4000, 20_000)
        for decoded, tone in zip(samples[:, middle], waveform[:, middle], strict=True):
            assert np.corrcoef(decoded, tone)[0, 1] > 0.99  # in its place, by its channel
    else:
        np.testing.assert_allclose(samples, waveform, rtol=0, atol=error)


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("n_channels", [1, 2, 3, 8])
def test_rates_and_channels_are_kept(tmp_path, sample_rate, n_channels):
    path = tmp_path / "a.wav"
    waveform = tones(501, n_channels, sample_rate)
    soundfile.write(path, waveform.T, sample_rate, subtype="FLOAT")

    samples, rate = read(path)

    assert rate == sample_rate
    np.testing.assert_array_equal(samples, waveform)


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "VORBIS")])
def test_a_part_is_that_part_of_the_whole(tmp_path, suffix, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tones(30_000, 2, 16_000).T, 16_000, subtype=subtype)
    whole, _ = read(path)

    np.testing.assert_array_equal(read(path, 7001, 1234)[0], whole[:, 7001 : 7001 + 1234])
    np.testing.assert_array_equal(read(path, start=29_999)[0], whole[:, 29_999:])
    np.testing.assert_array_equal(read(path, 29_000, 5000)[0], whole[:, 29_000:])


def test_a_start_behind_the_end_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 16_000)
    assert "no sample 100" in message_of(read, path, 100)
    assert "no sample -1" in message_of(read, path, -1)


def test_blocks_are_the_whole_in_pieces(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tones(10_000, 2, 16_000).T, 16_000)

    pieces = list(blocks(path, 3000))

    assert [piece.shape for piece in pieces] == [(2, 3000)] * 3 + [(2, 1000)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), read(path)[0])


def test_reading_joins_its_own_pieces(tmp_path):
    path = tmp_path / "a.wav"
    n_samples = 2 * READ_SAMPLES + 17
    waveform = tones(n_samples, 1, 16_000)
    soundfile.write(path, waveform.T, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(read(path)[0], waveform)


def test_one_sample_is_a_file_like_any_other(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.25]), 44_100, subtype="FLOAT")
    assert probe(path).n_samples == 1
    np.testing.assert_array_equal(read(path)[0], [[0.25]])


@pytest.mark.parametrize("name", ["grüße 音声 🎤.wav", "a b'c\"d.wav", "tab\tin name.wav"])
def test_names_of_any_letters(tmp_path, name):
    path = tmp_path / name
    soundfile.write(os.fsencode(path), np.full(10, 0.5), 16_000, subtype="FLOAT", format="WAV")
    assert read(path)[0].sum() == 5.0


@pytest.mark.skipif(os.name != "posix", reason="elsewhere every name is text")
def test_a_name_that_is_no_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.wav"
    with open(path, "wb") as file:
        soundfile.write(file, np.full(10, 0.5), 16_000, subtype="FLOAT", format="WAV")
    assert read(os.fsdecode(path))[0].sum() == 5.0
    os.remove(path)
    message_of(read, os.fsdecode(path)).encode("utf-8")  # printable on any terminal


def test_missing_and_not_files(tmp_path):
    assert "no such file" in message_of(read, tmp_path / "none.wav")
    (tmp_path / "folder.wav").mkdir()
    assert "a folder" in message_of(probe, tmp_path / "folder.wav")
    (tmp_path / "empty.wav").touch()
    assert "empty" in message_of(blocks, tmp_path / "empty.wav")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "au", "caf", "w64", "txt"])
@pytest.mark.parametrize("content", [b"these are words, not samples\n" * 40, bytes(range(256)) * 8, b"RIFF"])
def test_what_is_not_audio(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    assert "not an audio file" in message_of(read, path)
    assert "not an audio file" in message_of(probe, path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "w64"])
def test_a_header_without_samples(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.zeros((0, 2)), 48_000)
    assert path.name in message_of(read, path)
    assert path.name in message_of(probe, path)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "Inf"), (-np.inf, "Inf")])
def test_samples_that_are_no_numbers(tmp_path, value, kind):
    path = tmp_path / "a.wav"
    samples = np.zeros((1000, 2))
    samples[700, 1] = value
    soundfile.write(path, samples, 1000, subtype="FLOAT")

    for action in (read, blocks):
        message = message_of(action, path)
        assert f"{kind} at sample 700 (0.700 s) of channel 2" in message
    assert read(path, 0, 700)[0].shape == (2, 700)


@pytest.mark.parametrize(
    ("suffix", "container", "subtype"),
    [form[:3] for form in FORMS],
    ids=FORM_NAMES,
)
@pytest.mark.parametrize("kept", [0.6, 0.9])
def test_a_cut_file_is_never_taken_for_a_short_one(tmp_path, suffix, container, subtype, kept):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tones(48_000, 2, 48_000).T, 48_000, format=container, subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])

    assert path.name in message_of(read, path)
    assert path.name in message_of(blocks, path)


@pytest.mark.parametrize(
    ("container", "subtype"), [("CAF", "ALAC_16"), ("NIST", "PCM_16"), ("AVR", "PCM_16")]
)
def test_the_last_sample_is_missed_too(tmp_path, container, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, tones(20_001, 1, 16_000).T, 16_000, format=container, subtype=subtype)
    path.write_bytes(path.read_bytes()[:-2])
    assert "expected 20001 samples by its header" in message_of(read, path)


@pytest.mark.parametrize(("suffix", "container", "subtype"), [form[:3] for form in FORMS], ids=FORM_NAMES)
@pytest.mark.parametrize("kept", [4, 11, 30])
def test_a_cut_header(tmp_path, suffix, container, subtype, kept):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tones(4800, 2, 48_000).T, 48_000, format=container, subtype=subtype)
    path.write_bytes(path.read_bytes()[:kept])
    assert path.name in message_of(read, path)


def test_a_broken_mp3_is_worded_by_us_alone(tmp_path, capfd):
    """libmpg123 writes remarks of its own to standard error, past Python."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, tones(200_000, 1, 16_000).T, 16_000)
    content = bytearray(path.read_bytes())
    content[6000:9000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(content)
    message_of(read, path)
    path.write_bytes(content[:8])
    message_of(read, path)
    print("still there", file=sys.stderr)
    assert capfd.readouterr().err == "still there\n"


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0xFFFFFFFF - 36])
def test_a_wav_that_was_written_to_a_pipe_is_whole(tmp_path, size):
    path = tmp_path / "a.wav"
    waveform = tones(4800, 1, 48_000)
    soundfile.write(path, waveform.T, 48_000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)

    samples, _ = read(path)

    np.testing.assert_allclose(samples, waveform, rtol=0, atol=2**-15)


def test_a_flac_of_unknown_length_is_counted(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tones(9000, 1, 16_000).T, 16_000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: total samples, 36 bits; zero says unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)

    assert probe(path).n_samples == 9000
    assert read(path)[0].shape == (1, 9000)
