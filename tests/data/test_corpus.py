from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import multiprocessing
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from audiocx.data import cache as caches
from audiocx.data.activity import ACTIVE_SHARE
from audiocx.data.cache import cache_folder, make_folder
from audiocx.data.corpus import Corpus, CorpusSettings, corpus_folder
from audiocx.data.rendering import render_corpus
from audiocx.errors import ConfigError, OutputError

SMALL = CorpusSettings(
    voices="harmonic",
    train_voices=2,
    valid_voices=1,
    test_voices=1,
    voice_seconds=3.0,
    noise_recordings=1,
    noise_seconds=1.0,
)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("engine", ["harmonic", "auto"])
def test_two_renderings_give_the_same_bytes(tmp_path: Path, engine: str) -> None:
    settings = dataclasses.replace(SMALL, voices=engine)
    first = render_corpus(settings, 16000, tmp_path / "a")
    second = render_corpus(settings, 16000, tmp_path / "b")
    assert first.name == second.name
    assert contents(first) == contents(second)
    assert len(contents(first)) == 7
    assert [path.name for path in first.parent.iterdir()] == [first.name]  # nothing temporary is left


def test_a_corpus_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = render_corpus(SMALL, 16000, tmp_path)
    monkeypatch.setattr("audiocx.data.rendering._render", lambda *_: pytest.fail("rendered again"))
    assert render_corpus(SMALL, 16000, tmp_path) == folder


def test_other_settings_are_another_corpus() -> None:
    folders = {
        corpus_folder(settings, rate, "x")
        for settings, rate in (
            (SMALL, 16000),
            (SMALL, 8000),
            (dataclasses.replace(SMALL, train_voices=3), 16000),
            (dataclasses.replace(SMALL, noise_seconds=2.0), 16000),
        )
    }
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {Path("x/synthetic")}


def render_in_process(folder: Path, barrier: object, results: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    results.put(str(render_corpus(SMALL, 16000, folder)))  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_two_processes_may_render_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=render_in_process, args=(tmp_path, barrier, results)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    folders = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(folders) == 1
    assert Corpus(Path(folders.pop())).facts["engine"] == "harmonic"
    assert len(list((tmp_path / "synthetic").iterdir())) == 1


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_folder(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_loser_of_a_race_takes_the_winners_folder(tmp_path: Path) -> None:
    def lose(folder: Path) -> None:
        (folder / "mine").write_text("mine")
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "theirs").write_text("theirs")

    make_folder(tmp_path / "made", lose)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["theirs"]
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unwritable_cache_is_one_clear_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(OutputError, match=r"cache_dir") as caught:
        render_corpus(SMALL, 16000, blocked)
    assert "\n" not in str(caught.value)


def test_cache_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "audiocx"
    assert cache_folder("elsewhere") == Path("elsewhere")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(caches.sys, "platform", "linux")
    assert cache_folder() == Path(os.path.expanduser("~")) / ".cache" / "audiocx"


def test_without_espeak_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        folder = render_corpus(dataclasses.replace(SMALL, voices="auto"), 16000, tmp_path)
    assert Corpus(folder).facts["engine"] == "harmonic"
    assert sum("espeakng-loader is not installed" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"test_voices": 99}, "test_voices"),
        ({"voices": "robot"}, "voices"),
        ({"voice_seconds": 0.0}, "voice_seconds"),
        ({"noise_recordings": 0}, "noise_recordings"),
        ({"noise_seconds": -1.0}, "noise_seconds"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, change: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        render_corpus(dataclasses.replace(SMALL, **change), 16000, tmp_path)  # type: ignore[arg-type]


def test_parts_hold_what_was_asked(corpus: Corpus) -> None:
    assert {part: len(corpus.voices(part)) for part in ("train", "valid", "test")} == {
        "train": 4,
        "valid": 2,
        "test": 3,
    }
    train = {noise["family"] for noise in corpus.noises("train")}
    test = {noise["family"] for noise in corpus.noises("test")}
    assert train < test
    assert {noise["family"] for noise in corpus.noises("test") if not noise["seen"]} == test - train
    assert all(noise["seen"] for noise in corpus.noises("train"))
    assert len(
        {noise["name"] for part in ("train", "valid", "test") for noise in corpus.noises(part)}
    ) == sum(len(corpus.noises(part)) for part in ("train", "valid", "test"))


def test_noises_of_the_parts_differ(corpus: Corpus) -> None:
    for family in ("coloured", "babble", "music"):
        first = {
            part: next(n for n, noise in enumerate(corpus.noises(part)) if noise["family"] == family)
            for part in ("train", "valid", "test")
        }
        pieces = [corpus.noise(part, number, 0, 16000) for part, number in first.items()]
        assert abs(np.corrcoef(pieces)[np.triu_indices(3, 1)]).max() < 0.5


def test_pieces_are_read_from_where_they_lie(corpus: Corpus) -> None:
    facts = corpus.voices("train")[2]
    raw = np.load(corpus.folder / "speech_train.npy")
    expected = raw[facts["start"] + 100 : facts["start"] + 300].astype(np.float32) / 32768
    np.testing.assert_allclose(corpus.speech("train", 2, 100, 200), expected, atol=1e-7)
    beyond = corpus.speech("train", 2, facts["n_samples"] - 10, 30)
    assert not beyond[10:].any()  # never the next voice
    row = np.load(corpus.folder / "noise_test.npy")[1].astype(np.float32) / 32768
    around = corpus.noise("test", 1, len(row) - 5, 20)
    np.testing.assert_allclose(around, np.concatenate([row[-5:], row[:15]]), atol=1e-7)


def test_spoken_starts_have_their_share_of_speech(corpus: Corpus) -> None:
    for voice in range(4):
        starts = corpus.spoken_starts("train", voice, 8000)
        assert len(starts) > 0
        whole = corpus.speech("train", voice, 0, corpus.voices("train")[voice]["n_samples"])
        powers = np.array([np.square(frame).mean() for frame in np.split(whole, range(160, len(whole), 160))])
        active = powers >= powers.max() * 1e-4
        for start in starts[:: max(1, len(starts) // 20)]:
            assert active[start // 160 : start // 160 + 50].mean() >= ACTIVE_SHARE - 1e-9


def test_pickling_carries_the_folder_alone(corpus: Corpus) -> None:
    corpus.spoken_starts("train", 0, 8000)
    packed = pickle.dumps(corpus)
    assert len(packed) < 1000
    np.testing.assert_array_equal(
        pickle.loads(packed).speech("test", 0, 0, 500), corpus.speech("test", 0, 0, 500)
    )


def test_facts_are_plain_and_hash_the_files(corpus: Corpus) -> None:
    facts = json.loads((corpus.folder / "corpus.json").read_text())
    assert facts["sha256"].keys() == {
        f"{kind}_{part}.npy" for kind in ("speech", "noise") for part in ("train", "valid", "test")
    }
    assert facts["sha256"]["speech_test.npy"] == caches.hash_of_file(corpus.folder / "speech_test.npy")
