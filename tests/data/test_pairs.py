from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from audiocx.audio.files import probe
from audiocx.data.pairs import find_layout, find_pairs, first_problem
from audiocx.data.recording import choose_channel, open_recording, probe_pair
from audiocx.data.survey import measure
from audiocx.errors import AudioFileError, DataError, OutputError

from .conftest import speechlike, write


def test_files_are_matched_by_path_without_suffix(tmp_path: Path) -> None:
    wave = speechlike(0, 0.1, 16000)
    for name in ("noisy/a/x.flac", "noisy/b.x.WAV", "clean/a/x.wav", "clean/b.x.ogg", "clean/.hidden.wav"):
        write(tmp_path / name, wave, 16000)
    (tmp_path / "noisy" / "notes.txt").write_text("not audio")
    pairs = find_pairs(find_layout(tmp_path))
    assert [(pair.name, pair.mixture.name, pair.sources[0].name) for pair in pairs] == [
        ("a/x", "x.flac", "x.wav"),
        ("b.x", "b.x.WAV", "b.x.ogg"),
    ]
    assert first_problem(pairs) == ""


def test_speakers_come_in_order(pairs: Callable[..., Path]) -> None:
    layout = find_layout(pairs("set", count=1, speakers=3))
    assert layout.sources == ("speaker_1", "speaker_2", "speaker_3")
    assert [path.parent.name for path in find_pairs(layout)[0].sources] == list(layout.sources)


@pytest.mark.parametrize(("gone", "kept"), [("clean", "noisy"), ("noisy", "clean")])
def test_a_missing_partner_is_named_on_either_side(pairs: Callable[..., Path], gone: str, kept: str) -> None:
    root = pairs("set", count=3)
    (root / gone / "001.wav").unlink()
    found = find_pairs(find_layout(root))
    assert [bool(pair.problem) for pair in found] == [False, True, False]
    assert f"{kept}/001.wav" in first_problem(found)
    assert f"{gone}/001.*" in first_problem(found)
    (root / gone / "002.wav").unlink()
    assert "1 more" in first_problem(find_pairs(find_layout(root)))


def test_two_files_of_one_name(pairs: Callable[..., Path]) -> None:
    root = pairs("set", count=1)
    write(root / "clean" / "000.flac", speechlike(0, 1.5, 16000), 16000)
    assert "two files of one name" in first_problem(find_pairs(find_layout(root)))


def test_folders_that_hold_no_pairs(tmp_path: Path, pairs: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"no such folder.*nothing there"):
        find_layout(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a file"):
        find_layout(tmp_path / "file")
    with pytest.raises(DataError, match=r"not a folder of pairs.*no folders"):
        find_layout(tmp_path)
    root = pairs("set", count=1, speakers=2)
    (root / "speaker_2").rename(root / "speaker_3")
    with pytest.raises(DataError, match="without gaps"):
        find_layout(root)
    for name in ("empty/noisy", "empty/clean"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(DataError, match="no audio files"):
        find_pairs(find_layout(tmp_path / "empty"))


def test_lengths_must_agree(tmp_path: Path) -> None:
    first = write(tmp_path / "a.wav", speechlike(0, 1.0, 16000), 16000)
    longer = write(tmp_path / "b.wav", speechlike(0, 1.0, 16000)[:, :-1], 16000)
    with pytest.raises(AudioFileError, match=r"a\.wav.*b\.wav.*16000 samples.*15999"):
        probe_pair(first, (longer,))
    other_rate = write(tmp_path / "c.wav", speechlike(0, 1.0, 44100), 44100)
    assert [info.sample_rate for info in probe_pair(first, (other_rate,))] == [16000, 44100]
    short = write(tmp_path / "d.wav", speechlike(0, 0.99, 44100), 44100)
    with pytest.raises(AudioFileError, match="not equally long"):
        probe_pair(first, (short,))


def test_a_file_at_the_rate_is_read_in_place(tmp_path: Path) -> None:
    wave = speechlike(1, 1.0, 16000, channels=2)
    path = write(tmp_path / "a.wav", wave, 16000)
    recording = open_recording(path, probe(path), 16000, tmp_path / "cache")
    assert recording.copy is None
    np.testing.assert_array_equal(recording.read(), wave)
    np.testing.assert_array_equal(recording.read(100, 50), wave[:, 100:150])
    beyond = recording.read(15990, 30)
    np.testing.assert_array_equal(beyond[:, :10], wave[:, -10:])
    assert not beyond[:, 10:].any()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("rate", "up", "down"), [(48000, 1, 3), (8000, 2, 1), (22050, 320, 441)])
def test_other_rates_are_resampled_into_the_cache(tmp_path: Path, rate: int, up: int, down: int) -> None:
    time = np.arange(rate) / rate
    wave = np.stack([0.3 * np.sin(2 * np.pi * f * time) for f in (440, 1000)]).astype(np.float32)
    path = write(tmp_path / "a.wav", wave, rate)
    recording = open_recording(path, probe(path), 16000, tmp_path / "cache")
    assert recording.copy is not None
    assert (recording.n_channels, recording.n_samples) == (2, 16000)
    expected = resample_poly(wave.astype(np.float64), up, down, axis=1)
    np.testing.assert_allclose(recording.read()[:, 500:-500], expected[:, 500 : 16000 - 500], atol=2e-3)
    piece = recording.read(3000, 700)
    np.testing.assert_array_equal(piece, recording.read()[:, 3000:3700])
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 1


def test_the_copy_is_made_once_and_again_when_the_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speechlike(0, 1.0, 8000), 8000)
    first = open_recording(path, probe(path), 16000, tmp_path / "cache")
    assert first.copy is not None
    stamp = first.copy.stat().st_mtime_ns
    assert open_recording(path, probe(path), 16000, tmp_path / "cache").copy == first.copy
    assert first.copy.stat().st_mtime_ns == stamp
    write(path, speechlike(1, 1.2, 8000), 8000)
    second = open_recording(path, probe(path), 16000, tmp_path / "cache")
    assert second.copy != first.copy
    assert second.n_samples == 19200
    other_rate = open_recording(path, probe(path), 24000, tmp_path / "cache")
    assert other_rate.copy not in (first.copy, second.copy)


def test_files_that_cannot_seek_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.ogg", speechlike(0, 2.0, 16000), 16000)
    recording = open_recording(path, probe(path), 16000, tmp_path / "cache")
    decoded, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(recording.read(8000, 100)[0], decoded[8000:8100], atol=1e-6)
    monkeypatch.setattr("audiocx.data.recording.read", lambda *_: pytest.fail("decoded the file again"))
    recording.read(100, 100)


def test_a_broken_file_leaves_no_copy(tmp_path: Path) -> None:
    wave = speechlike(0, 1.0, 8000)
    wave[0, 4000] = np.nan
    path = write(tmp_path / "a.wav", wave, 8000)
    with pytest.raises(AudioFileError, match="NaN at sample 4000"):
        open_recording(path, probe(path), 16000, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_an_unwritable_cache_is_one_clear_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speechlike(0, 0.5, 8000), 8000)
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(OutputError, match="cache_dir"):
        open_recording(path, probe(path), 16000, tmp_path / "cache")


def test_channels_are_chosen() -> None:
    wave = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(choose_channel(wave, "first", 2), wave[:1])
    np.testing.assert_array_equal(choose_channel(wave, "mean", 2), wave.mean(0, keepdims=True))
    np.testing.assert_array_equal(choose_channel(wave, "random", 5), wave[2:])


@pytest.mark.parametrize(("source_rate", "narrow"), [(8000, True), (16000, False), (44100, False)])
def test_sources_with_nothing_above_4_khz_are_found(tmp_path: Path, source_rate: int, narrow: bool) -> None:
    path = write(tmp_path / "a.wav", speechlike(0, 2.0, source_rate), source_rate)
    recording = open_recording(path, probe(path), 16000, tmp_path / "cache")
    facts = measure(recording)
    assert facts.is_narrow is narrow
    assert not facts.is_silent
    at_8_khz = open_recording(path, probe(path), 8000, tmp_path / "cache")
    assert not measure(at_8_khz).is_narrow  # nothing there could be above 4 kHz


def test_dark_speech_is_not_narrow(tmp_path: Path) -> None:
    wave = speechlike(0, 2.0, 16000)
    spectrum = np.fft.rfft(wave)
    spectrum[:, len(spectrum[0]) // 2 :] *= 0.02  # 34 dB down above 4 kHz
    path = write(tmp_path / "a.wav", np.fft.irfft(spectrum).astype(np.float32), 16000)
    assert not measure(open_recording(path, probe(path), 16000, tmp_path)).is_narrow


def test_facts_survive_the_journey_to_json(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speechlike(0, 1.234, 16000), 16000)
    facts = measure(open_recording(path, probe(path), 16000, tmp_path))
    again = type(facts).from_plain(facts.to_plain())
    np.testing.assert_array_equal(again.active, facts.active)
    assert (again.is_narrow, again.is_silent, again.sha256) == (
        facts.is_narrow,
        facts.is_silent,
        facts.sha256,
    )
    assert len(facts.active) == 124
    silent = write(tmp_path / "b.wav", np.zeros((1, 4000), np.float32), 16000)
    assert measure(open_recording(silent, probe(silent), 16000, tmp_path)).is_silent
