from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiocx.data.ready import ReadyTestSet, clusters_and_tags, item_name, read_index
from audiocx.errors import AudioFileError, DataError

from .conftest import speechlike, write

SHARED = Path(__file__).parents[3] / "shared" / "data" / "mixtures"


def test_items_are_the_files(pairs: Callable[..., Path]) -> None:
    root = pairs("ready", count=3)
    test = ReadyTestSet(root, 16000)
    assert (len(test), test.n_sources, test.sample_rate) == (3, 1, 16000)
    item = test[1]
    noisy, _ = soundfile.read(root / "noisy" / "001.wav", dtype="float32")
    clean, _ = soundfile.read(root / "clean" / "001.wav", dtype="float32")
    np.testing.assert_array_equal(item.mixture.numpy(), noisy[None])
    np.testing.assert_array_equal(item.target.numpy(), clean[None, None])
    assert (item.name, item.index, test.name(1)) == ("001", 1, "001")
    assert item.tags == {"kind": "noisy"}
    assert item.clusters == {}


def test_several_speakers_stand_in_the_given_order(pairs: Callable[..., Path]) -> None:
    root = pairs("ready", count=2, speakers=2)
    (root / "index.csv").write_text("name,speaker_1,speaker_2,ratio_db,noise\n000.wav,zoe,amir,-1.50,\n")
    test = ReadyTestSet(root, 16000)
    item = test[0]
    assert item.target.shape == (2, 1, 24000)
    second, _ = soundfile.read(root / "speaker_2" / "000.wav", dtype="float32")
    np.testing.assert_array_equal(item.target[1, 0].numpy(), second)
    assert item.clusters == {"talker": "amir+zoe"}
    assert item.tags["ratio_db"] == "-1.5"
    assert item.tags["kind"] == "mixture"


def test_tags_are_matched_by_name_or_path(pairs: Callable[..., Path]) -> None:
    root = pairs("ready", count=3)
    table = root / "index.csv"
    table.write_text(
        "name,kind,snr_db,speaker,noise,noise_class,rir\n"
        "000.flac,dry,-5.0,ann,rain-1,rain,\n"
        "001,reverberant,0.0,bob,rain-2,rain,hall\n"
    )
    test = ReadyTestSet(root, 16000)
    assert test[0].tags == {
        "kind": "dry",
        "snr_db": "-5",
        "speaker": "ann",
        "noise": "rain-1",
        "noise_class": "rain",
    }
    assert test[0].clusters == {"talker": "ann", "noise": "rain-1"}
    assert test[1].clusters == {"talker": "bob", "noise": "rain-2", "room": "hall"}
    assert test[2].tags == {"kind": "noisy"}  # no row
    table.write_text("path,kind\nnoisy/002.wav,clean\n")
    assert ReadyTestSet(root, 16000)[2].tags == {"kind": "clean"}


def test_columns_are_known_in_any_case_and_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("Name, Speaker ,NOISE, Mine\n0.wav, ann ,rain,\n")
    assert read_index(tmp_path / "index.csv", set()) == {"0": {"speaker": "ann", "noise": "rain"}}


def test_rows_and_items_that_do_not_meet_are_counted(
    pairs: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = pairs("ready", count=3)
    (root / "index.csv").write_text("name,kind\n000.wav,dry\n777.wav,dry\n")
    with caplog.at_level(logging.WARNING):
        ReadyTestSet(root, 16000)
    assert "2 of 3 items have no row (their kind is `noisy`), 1 rows have no item" in caplog.text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("file,kind\na.wav,dry\n", "column `name` or `path`"),
        ("name,kind\na.wav,dry\na.flac,clean\n", "two rows for `a`"),
        ("", "no header"),
    ],
)
def test_tables_that_cannot_be_matched(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(DataError, match=word):
        read_index(tmp_path / "index.csv", set())


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(b"name,kind\n\xff\xfe\x00,dry\n")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_index(tmp_path / "index.csv", set())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("007.flac", "007"),
        ("noisy/a/007.wav", "a/007"),
        ("a/noisy.07", "a/noisy.07"),
        ("noisy\\007.ogg", "007"),
        ("noisy.wav", "noisy"),
        ("", ""),
    ],
)
def test_item_names(text: str, name: str) -> None:
    assert item_name(text, {"noisy", "clean"}) == name


def test_numbers_that_are_none_stay_text() -> None:
    assert clusters_and_tags({"snr_db": "loud", "talker": "x"}) == (
        {"talker": "x"},
        {"snr_db": "loud", "talker": "x"},
    )


def broken(root: Path, fault: str) -> None:
    clean = root / "clean" / "001.wav"
    if fault == "partner":
        clean.unlink()
    elif fault == "length":
        write(clean, speechlike(0, 1.0, 16000), 16000)
    elif fault == "text":
        clean.write_text("no audio at all, but a long enough text to look at")
    elif fault == "empty":
        clean.write_bytes(b"")
    elif fault == "nan":
        write(clean, np.full((1, 24000), np.nan, np.float32), 16000)
    elif fault == "samples":
        write(clean, np.zeros((1, 0), np.float32), 16000)


@pytest.mark.parametrize("fault", ["partner", "length", "text", "empty", "nan", "samples"])
def test_a_bad_item_fails_alone_and_in_one_line(pairs: Callable[..., Path], fault: str) -> None:
    root = pairs("ready", count=3)
    broken(root, fault)
    test = ReadyTestSet(root, 16000)
    assert len(test) == 3
    assert test[0].mixture.shape == test[2].mixture.shape == (1, 24000)
    with pytest.raises(AudioFileError, match="001") as caught:
        test[1]
    assert "\n" not in str(caught.value)
    assert test.name(1) == "001"
    assert test.fingerprint()


def test_other_rates_and_channels(pairs: Callable[..., Path]) -> None:
    root = pairs("ready", count=2, rate=44100, channels=2, suffix=".flac")
    first, mean = ReadyTestSet(root, 16000), ReadyTestSet(root, 16000, "mean")
    assert first[0].mixture.shape == (1, 24000)
    assert first[0].target.shape == (1, 1, 24000)
    stereo, _ = soundfile.read(root / "noisy" / "000.flac", dtype="float32")
    only = root.parent / "only" / "noisy" / "000.wav"
    write(only, stereo.T[:1], 44100)
    shutil.copytree(root / "clean", only.parents[1] / "clean", ignore=lambda *_: ["001.flac"])
    torch.testing.assert_close(
        first[0].mixture, ReadyTestSet(only.parents[1], 16000)[0].mixture, rtol=0, atol=1e-6
    )
    assert not torch.allclose(first[0].mixture, mean[0].mixture, atol=1e-3)
    random = ReadyTestSet(root, 16000, "random")
    assert torch.equal(random[1].mixture, random[1].mixture)


def test_the_fingerprint_is_of_content_not_place(pairs: Callable[..., Path]) -> None:
    root = pairs("ready", count=2)
    before = ReadyTestSet(root, 16000).fingerprint()
    shutil.copytree(root, root.parent / "copy")
    assert ReadyTestSet(root.parent / "copy", 16000).fingerprint() == before
    assert ReadyTestSet(root, 8000).fingerprint() != before
    write(root / "clean" / "000.wav", speechlike(9, 1.5, 16000), 16000)
    assert ReadyTestSet(root, 16000).fingerprint() != before


@pytest.mark.skipif(not (SHARED / "denoise").is_dir(), reason="needs ../shared/data")
def test_the_real_denoising_set() -> None:
    test = ReadyTestSet(SHARED / "denoise", 16000)
    items = [test[index] for index in range(0, len(test), 3)]
    assert len(test) == 120
    assert {item.mixture.shape for item in items} == {(1, 80000)}
    kinds = Counter(test.rows[test.name(index)]["kind"] for index in range(len(test)))
    assert kinds == {"dry": 84, "reverberant": 24, "clean": 6, "noise": 6}
    for item in items:
        if item.tags["kind"] != "dry":
            continue
        error = item.mixture - item.target[0]
        ratio = 10 * torch.log10(item.target.square().sum() / error.square().sum())
        assert float(ratio) == pytest.approx(float(item.tags["snr_db"]), abs=0.01)
        assert item.clusters.keys() >= {"talker", "noise"}


@pytest.mark.skipif(not (SHARED / "separate").is_dir(), reason="needs ../shared/data")
def test_the_real_separation_set() -> None:
    test = ReadyTestSet(SHARED / "separate", 16000)
    assert (len(test), test.n_sources) == (50, 2)
    item = test[1]
    assert item.target.shape == (2, 1, 80000)
    error = item.mixture - item.target.sum(0)
    assert error.square().sum() < 0.1 * item.mixture.square().sum()
    assert "+" in item.clusters["talker"]
