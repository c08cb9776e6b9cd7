from __future__ import annotations

import errno
import os
import pickle
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocx.audio.resampling import resample
from audiocx.data import sound_store as module
from audiocx.data.activity import active_power, frame_powers
from audiocx.data.cache import reserve
from audiocx.data.sound_store import open_sounds
from audiocx.data.sounds import Sounds
from audiocx.errors import DataError, OutputError

from .conftest import speechlike, write

RATE = 16000


def open_all(
    files: list[Path], cache: Path, channel: str = "first", gigabytes: float | None = None
) -> Sounds:
    return open_sounds(files, files, RATE, channel, cache, gigabytes)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write(tmp_path / "loud.wav", 13.0 * speechlike(1, 0.7, RATE), RATE),  # far beyond full scale
        write(tmp_path / "soft.wav", 1e-3 * speechlike(2, 0.5, RATE), RATE),
        write(tmp_path / "two.flac", speechlike(3, 0.503, RATE, channels=2), RATE),
        write(tmp_path / "silent.wav", np.zeros((1, 1000), np.float32), RATE),
        write(tmp_path / "high.wav", speechlike(4, 0.4, 44100), 44100),
    ]


def test_sixteen_bits_keep_what_passes_full_scale(files: list[Path], tmp_path: Path) -> None:
    store = open_all(files, tmp_path / "cache")
    assert not store.is_streamed
    for number, path in enumerate(files):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        expected = resample(np.ascontiguousarray(samples.T)[:1], rate, RATE)[0]
        sound = store.sounds[number]
        got = store.read(number, 0, sound.n_samples)
        assert sound.n_samples == len(expected)
        step = np.abs(expected).max() / 32767
        np.testing.assert_allclose(got, expected, rtol=0, atol=0.502 * step)
        assert sound.active_power == pytest.approx(active_power(expected, RATE))
    assert np.abs(store.read(0, 0, 11200)).max() > 1.5
    assert store.sounds[3].active_power == 0
    assert store.sounds[3].content == ""


def test_sixteen_bit_files_are_kept_bit_for_bit(files: list[Path], tmp_path: Path) -> None:
    store = open_all(files, tmp_path / "cache", channel="random")
    samples, _ = soundfile.read(files[2], dtype="float32", always_2d=True)
    for channel in (0, 1):
        np.testing.assert_array_equal(store.read(2, 0, len(samples), channel), samples[:, channel])
    ends = [-1.0, 0.5, 32767 / 32768]
    lowest = write(tmp_path / "lowest.wav", np.array([ends], np.float32), RATE)
    assert open_all([lowest], tmp_path / "cache").read(0, 0, 3).tolist() == ends


def test_pieces_end_in_zeros_on_both_sides(files: list[Path], tmp_path: Path) -> None:
    for gigabytes in (None, 0.0):
        store = open_all(files, tmp_path / "cache", gigabytes=gigabytes)
        assert store.is_streamed == (gigabytes == 0)
        n_samples = store.sounds[1].n_samples
        whole = store.read(1, 0, n_samples)
        piece = store.read(1, -100, n_samples + 300)
        np.testing.assert_array_equal(piece[100:-200], whole)
        assert not piece[:100].any()
        assert not piece[-200:].any()
        assert not store.read(1, n_samples + 5, 10).any()
        assert not store.read(1, -50, 10).any()


@pytest.mark.parametrize("start", [0, 1, 777, 5000])
def test_streamed_pieces_are_those_of_the_cache(files: list[Path], tmp_path: Path, start: int) -> None:
    stored = open_all(files, tmp_path / "cache")
    streamed = open_all(files, tmp_path / "cache", gigabytes=0.0)
    assert [s.n_samples for s in stored.sounds] == [s.n_samples for s in streamed.sounds]
    for number in (0, 2, 4):
        expected, got = stored.read(number, start, 1200), streamed.read(number, start, 1200)
        np.testing.assert_allclose(got, expected, rtol=0, atol=0.51 * stored.sounds[number].scale + 1e-6)
        np.testing.assert_allclose(streamed.powers(number), stored.powers(number))


def test_other_rows_of_a_table_share_its_store(files: list[Path], tmp_path: Path) -> None:
    one = open_sounds(files, files[:2], RATE, "first", tmp_path / "cache", None)
    other = open_sounds(files, files[1:], RATE, "first", tmp_path / "cache", None)
    assert one.folder == other.folder
    size = (one.folder / "samples.npy").stat().st_size / 1e9
    small = open_sounds(files, files[1:2], RATE, "first", tmp_path / "cache", 0.7 * size)
    assert not small.is_streamed
    assert len(small.sounds) == 1


def test_a_changed_file_is_read_again_and_a_worker_maps_the_same(files: list[Path], tmp_path: Path) -> None:
    first = open_all(files, tmp_path / "cache")
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.read(0, 10, 100), first.read(0, 10, 100))
    assert len(pickle.dumps(first)) < 1000
    write(files[0], speechlike(9, 0.6, RATE), RATE)
    assert open_all(files, tmp_path / "cache").folder != first.folder


def test_the_same_sound_in_another_container_has_the_same_content(tmp_path: Path) -> None:
    samples = np.rint(speechlike(3, 0.2, RATE)[0] * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    soundfile.write(tmp_path / "b.flac", samples, RATE)
    one, other = open_all([tmp_path / "a.wav", tmp_path / "b.flac"], tmp_path / "cache").sounds
    assert one.content == other.content
    assert one.sha256 != other.sha256


def test_a_broken_file_stops_only_those_who_want_it(files: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(files[0].read_bytes()[:2000])
    holed = speechlike(5, 0.2, RATE)
    holed[0, 100] = np.nan
    write(tmp_path / "holed.wav", holed, RATE)
    everything = [*files, broken, tmp_path / "holed.wav"]
    open_sounds(everything, files, RATE, "first", tmp_path / "cache", None)
    for bad in everything[-2:]:
        with pytest.raises(DataError, match=bad.name):
            open_sounds(everything, [bad], RATE, "first", tmp_path / "cache", None)


def test_a_full_disk_is_one_line_and_leaves_nothing(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is not so much room, the system says so before anything is written into the map."""
    asked = []

    def refuse(descriptor: int, offset: int, size: int) -> None:
        asked.append(size)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    with pytest.raises(
        OutputError, match=r"cannot be written \(No space left on device\); make room, or choose"
    ):
        open_all(files, tmp_path / "cache")
    assert list((tmp_path / "cache" / "sounds").iterdir()) == []
    monkeypatch.undo()
    assert asked == [(open_all(files, tmp_path / "cache").folder / "samples.npy").stat().st_size]


def test_without_fallocate_the_free_space_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    file = tmp_path / "holes"
    with file.open("wb") as opened:
        opened.truncate(1 << 20)
    reserve(file)
    with file.open("wb") as opened:
        opened.truncate(2 * shutil.disk_usage(tmp_path).total)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        reserve(file)


@pytest.mark.parametrize("rate", [RATE, 22050])
def test_a_long_file_is_measured_in_blocks_as_a_whole_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    """Two channels and more than two blocks of 10.24 s, decoded once and kept, or twice."""
    waveform = speechlike(7, 21.3, rate, channels=2) * np.array([[1.0], [3.0]], np.float32)
    path = write(tmp_path / "long.wav", waveform, rate)
    kept = open_sounds([path], [path], RATE, "random", tmp_path / "kept", None)
    monkeypatch.setattr(module, "KEPT_SAMPLES", 0)
    again = open_sounds([path], [path], RATE, "random", tmp_path / "again", None)
    assert kept.sounds == again.sounds
    whole = resample(waveform, rate, RATE)
    sound = again.sounds[0]
    assert sound.n_samples == whole.shape[1]
    assert sound.scale == pytest.approx(np.abs(whole).max() / 32767)
    for channel in (0, 1):
        np.testing.assert_array_equal(
            again.powers(0, channel), frame_powers(whole[channel], RATE).astype(np.float32)
        )
        assert sound.active_powers[channel] == pytest.approx(active_power(whole[channel], RATE))
        got = again.read(0, 0, sound.n_samples, channel)
        np.testing.assert_allclose(got, whole[channel], rtol=0, atol=0.502 * sound.scale)
        np.testing.assert_array_equal(got, kept.read(0, 0, sound.n_samples, channel))


def test_no_more_of_a_long_file_is_in_memory_than_of_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_SAMPLES", 0)
    peaks = []
    for minutes in (1, 4):
        path = write(tmp_path / f"{minutes}.wav", np.tile(speechlike(1, 5.0, RATE), minutes * 12), RATE)
        tracemalloc.start()
        open_all([path], tmp_path / "cache", gigabytes=0.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_channels_in_which_nothing_is_heard_are_known(files: list[Path], tmp_path: Path) -> None:
    waveform = speechlike(3, 0.5, RATE, channels=3)
    waveform[1] = 0
    path = write(tmp_path / "three.wav", waveform, RATE)
    store = open_all([path, files[3]], tmp_path / "cache", channel="random")
    assert store.sounds[0].live_channels == [0, 2]
    assert store.sounds[1].live_channels == []


def test_interrupted_reading_leaves_nothing(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.frame_powers
    calls = []

    def interrupt(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "frame_powers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_all(files, tmp_path / "cache")
    assert list((tmp_path / "cache" / "sounds").iterdir()) == []
    monkeypatch.setattr(module, "frame_powers", original)
    assert len(open_all(files, tmp_path / "cache").sounds) == len(files)
