from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from hydra.utils import instantiate

from audiocx.data.folder import FolderDataModule, held_out_names
from audiocx.errors import ConfigError, DataError
from audiocx.signal.stft import STFT

from .conftest import speechlike, write

Pairs = Callable[..., Path]
CONFIG = Path(__file__).parents[2] / "conf" / "data" / "folder.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., FolderDataModule]:
    def make(root: Path, seed: int = 0, **settings: object) -> FolderDataModule:
        chosen: dict[str, object] = {
            "batch_size": 2, "segment_seconds": 0.5, "num_workers": 0, "cache_dir": str(tmp_path / "cache")
        }  # fmt: skip
        return FolderDataModule(STFT(), seed, str(root), **(chosen | settings))  # type: ignore[arg-type]

    return make


Make = Callable[..., FolderDataModule]


def test_training_pieces_come_out_of_the_files(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=3).parent
    pairs("set/valid", count=2)
    data = folder(root)
    data.prepare_data()
    data.setup("fit")
    for batch in islice(data.train_dataloader(), 4):
        assert batch.mixture.shape == (2, 1, 8000)
        assert batch.target.shape == (2, 1, 1, 8000)
        for item, name in enumerate(batch.names):
            noisy, _ = soundfile.read(root / "train" / "noisy" / f"{name}.wav", dtype="float32")
            clean, _ = soundfile.read(root / "train" / "clean" / f"{name}.wav", dtype="float32")
            start = np.flatnonzero(noisy == float(batch.mixture[item, 0, 0]))[0]
            np.testing.assert_array_equal(batch.mixture[item, 0].numpy(), noisy[start : start + 8000])
            np.testing.assert_array_equal(batch.target[item, 0, 0].numpy(), clean[start : start + 8000])
    valid = list(data.val_dataloader())
    assert sum(len(batch.names) for batch in valid) == 2
    assert valid[0].mixture.shape == (2, 1, 64000)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_example_does_not_depend_on_workers(pairs: Pairs, folder: Make, num_workers: int) -> None:
    root = pairs("set/train", count=4, rate=8000, channels=2).parent
    expected = list(islice(folder(root, channel="random").train_dataloader(), 3))
    got = list(islice(folder(root, channel="random", num_workers=num_workers).train_dataloader(), 3))
    for one, other in zip(expected, got, strict=True):
        assert torch.equal(one.mixture, other.mixture)
        assert torch.equal(one.target, other.target)
    other_seed = next(iter(folder(root, seed=1).train_dataloader()))
    assert not torch.equal(other_seed.mixture, expected[0].mixture)


def test_pieces_fall_where_somebody_speaks(tmp_path: Path, folder: Make) -> None:
    clean = np.zeros((1, 160000), np.float32)
    clean[:, 100000:120000] = speechlike(0, 1.25, 16000)
    root = tmp_path / "set"
    write(root / "train" / "noisy" / "a.wav", clean + 0.01, 16000)
    write(root / "train" / "clean" / "a.wav", clean, 16000)
    examples = folder(root).make_train()
    starts = set()
    for index in range(30):
        target = examples[index].target[0, 0]
        starts.add(float(target.square().sum()))
        assert (target != 0).float().mean() >= 0.39
    assert len(starts) > 10


def test_a_silent_target_is_allowed_and_counted(
    pairs: Pairs, folder: Make, caplog: pytest.LogCaptureFixture
) -> None:
    root = pairs("set/train", count=2).parent
    pairs("set/valid", count=1)
    write(root / "train" / "clean" / "000.wav", np.zeros((1, 24000), np.float32), 16000)
    with caplog.at_level(logging.WARNING):
        data = folder(root)
        facts = data.describe()
    assert facts["silent_sources"] == 1
    assert "1 of 2 sources are silent" in caplog.text
    drawn = [data.make_train()[index] for index in range(12)]
    assert {bool(example.target.any()) for example in drawn} == {True, False}


def test_longer_files_are_drawn_more_often(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=1, seconds=6.0).parent
    short = pairs("short", count=1, seconds=2.0)
    for name in ("noisy", "clean"):
        shutil.copy(short / name / "000.wav", root / "train" / name / "001.wav")
    pairs("set/valid", count=1)
    examples = folder(root, segment_seconds=0.1).make_train()
    drawn = Counter(examples[index].name for index in range(400))
    assert drawn["000"] / 400 == pytest.approx(0.75, abs=0.07)


def test_short_files_end_in_zeros(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=1, seconds=0.3).parent
    pairs("set/valid", count=1, seconds=0.0001)  # one or two samples
    data = folder(root)
    example = data.make_train()[0]
    assert example.mixture.shape == (1, 8000)
    assert example.mixture[0, :4800].any()
    assert not example.mixture[0, 4800:].any()
    assert data.make_valid()[0].mixture.shape == (1, 64000)


def test_any_rate_and_format_are_read(pairs: Pairs, folder: Make, tmp_path: Path) -> None:
    root = pairs("set/train", count=2, rate=44100, channels=2, suffix=".flac").parent
    for clean in (root / "train" / "clean").glob("*.flac"):
        wave, rate = soundfile.read(clean, always_2d=True)
        soundfile.write(clean.with_suffix(".wav"), wave, rate)
        clean.unlink()
    data = folder(root)
    batch = next(iter(data.train_dataloader()))
    assert batch.mixture.shape == (2, 1, 8000)
    assert len(list((tmp_path / "cache" / "resampled").rglob("*.npy"))) == 4


@pytest.mark.parametrize("channel", ["first", "mean", "random"])
def test_the_channel_is_the_same_in_mixture_and_target(tmp_path: Path, folder: Make, channel: str) -> None:
    clean = np.concatenate([speechlike(seed, 1.0, 16000) for seed in range(3)])
    write(tmp_path / "set/train/noisy/a.wav", 2 * clean, 16000)
    write(tmp_path / "set/train/clean/a.wav", clean, 16000)
    examples = folder(tmp_path / "set", channel=channel).make_train()
    sources = np.concatenate([clean, clean.mean(0, keepdims=True)])
    found = set()
    for index in range(20):
        example = examples[index]
        torch.testing.assert_close(example.mixture, 2 * example.target[0], rtol=0, atol=1e-6)
        piece = example.target[0, 0].numpy()
        place = [np.abs(np.correlate(row, piece, "valid")).max() / np.square(piece).sum() for row in sources]
        found.add(int(np.argmin(np.abs(np.array(place) - 1))))
    assert found == {"first": {0}, "mean": {3}, "random": {0, 1, 2}}[channel]


def test_separation_pairs_have_their_sources(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=2, speakers=2).parent
    data = folder(root)
    assert data.n_sources == 2
    batch = next(iter(data.train_dataloader()))
    assert batch.target.shape == (2, 2, 1, 8000)
    residual = batch.mixture - batch.target.sum(1)
    assert residual.std() == pytest.approx(0.02, rel=0.1)
    assert batch.tags[0]["kind"] == "mixture"


def test_narrow_sources_are_counted_and_reported(
    pairs: Pairs, folder: Make, caplog: pytest.LogCaptureFixture
) -> None:
    root = pairs("set/train", count=3).parent
    narrow = pairs("narrow", count=1, rate=8000)
    for name in ("noisy", "clean"):
        shutil.copy(narrow / name / "000.wav", root / "train" / name / "009.wav")
    pairs("set/valid", count=1)
    with caplog.at_level(logging.WARNING):
        facts = folder(root).describe()
    assert facts["narrow_band_sources"] == 1
    assert "1 of 4 sources have nothing above 4 kHz" in caplog.text
    assert facts["pairs"] == {"train": 4, "valid": 1}
    assert yaml.safe_load(yaml.safe_dump(facts)) == facts


def break_length(root: Path) -> None:
    write(root / "clean" / "001.wav", speechlike(0, 1.0, 16000), 16000)


def break_partner(root: Path) -> None:
    (root / "noisy" / "001.wav").unlink()


def break_text(root: Path) -> None:
    (root / "clean" / "001.wav").write_text("this is no audio but is long enough to be looked at")


def break_empty(root: Path) -> None:
    (root / "clean" / "001.wav").write_bytes(b"")


def break_nan(root: Path) -> None:
    write(root / "clean" / "001.wav", np.full((1, 24000), np.nan, np.float32), 16000)


def break_inf_in_mixture(root: Path) -> None:
    wave = speechlike(0, 1.5, 16000)
    wave[0, 20000] = np.inf
    write(root / "noisy" / "001.wav", wave, 16000)


@pytest.mark.parametrize("part", ["train", "valid"])
@pytest.mark.parametrize(
    "fault", [break_length, break_partner, break_text, break_empty, break_nan, break_inf_in_mixture]
)
def test_everything_wrong_is_found_before_training(
    pairs: Pairs, folder: Make, fault: Callable[[Path], None], part: str
) -> None:
    root = pairs("set/train", count=3).parent
    pairs("set/valid", count=3)
    fault(root / part)
    with pytest.raises(DataError, match="001") as caught:
        folder(root).prepare_data()
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_data_set(tmp_path: Path, pairs: Pairs, folder: Make) -> None:
    with pytest.raises(DataError, match=r"no such folder.*data\.root"):
        folder(tmp_path / "nowhere")
    bare = pairs("bare", count=1)
    with pytest.raises(DataError, match=r"train.*data\.test"):
        folder(bare)
    root = pairs("set/train", count=1).parent
    pairs("set/valid", count=1, speakers=2)
    with pytest.raises(DataError, match=r"number of sources.*expected 1, got 2"):
        folder(root).prepare_data()
    only_test = pairs("rest/test", count=1).parent
    assert len(folder(only_test).test_set()) == 1
    with pytest.raises(DataError, match="train: no such folder"):
        folder(only_test).prepare_data()
    with pytest.raises(ConfigError, match="valid_items"):
        folder(root, valid_items=0)


def test_without_valid_a_share_of_train_is_held_out(
    pairs: Pairs, folder: Make, caplog: pytest.LogCaptureFixture
) -> None:
    root = pairs("set/train", count=12, seconds=0.6).parent
    data = folder(root)
    with caplog.at_level(logging.WARNING):
        data.prepare_data()
    assert "1 of 12 training pairs" in caplog.text
    examples, valid = data.make_train(), data.make_valid()
    trained = {examples[index].name for index in range(200)}
    held_out = {valid[index].name for index in range(len(valid))}  # type: ignore[arg-type]
    assert len(held_out) == 1
    assert trained == {f"{item:03d}" for item in range(12)} - held_out
    again = folder(root).make_valid()
    assert again[0].name in held_out
    with caplog.at_level(logging.WARNING):
        test = data.test_set()
    assert {test.name(index) for index in range(len(test))} == held_out
    assert "no test/ folder" in caplog.text


def test_held_out_names_are_a_tenth_and_at_least_one() -> None:
    names = [f"n{item}" for item in range(100)]
    chosen = held_out_names(names)
    assert len(chosen) == 10
    assert held_out_names(names[::-1]) == chosen
    assert held_out_names(["only"]) == {"only"}


def test_one_pair_is_enough(pairs: Pairs, folder: Make) -> None:
    data = folder(pairs("set/train", count=1).parent)
    assert data.make_train()[0].name == data.make_valid()[0].name


def test_valid_items_are_spread(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=1).parent
    pairs("set/valid", count=9, seconds=0.2)
    valid = folder(root, valid_items=3).make_valid()
    assert [valid[index].name for index in range(3)] == ["000", "003", "006"]


def test_the_own_test_folder_and_another(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=1).parent
    pairs("set/valid", count=1)
    pairs("set/test", count=2)
    other = pairs("other", count=3)
    assert len(folder(root).test_set()) == 2
    assert len(folder(root, test=str(other)).test_set()) == 3


def test_files_are_read_once(pairs: Pairs, folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = pairs("set/train", count=2).parent
    pairs("set/valid", count=1)
    before = folder(root).fingerprint()
    monkeypatch.setattr("audiocx.data.survey.measure", lambda recording: pytest.fail("measured again"))
    assert folder(root).fingerprint() == before
    monkeypatch.undo()
    write(root / "train" / "clean" / "000.wav", speechlike(7, 1.5, 16000), 16000)
    assert folder(root).fingerprint() != before


def test_the_fingerprint_does_not_know_the_place(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=2).parent
    shutil.copytree(root, root.parent / "copy")
    assert folder(root).fingerprint() == folder(root.parent / "copy").fingerprint()
    assert folder(root).fingerprint() != folder(root, channel="mean").fingerprint()


def test_yaml_names_this_module_and_only_known_keys(pairs: Pairs) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    assert config["root"] == "???"
    config["root"] = str(pairs("set/train", count=1).parent)
    data = instantiate(config, stft=STFT(), seed=0)
    assert isinstance(data, FolderDataModule)
    assert config["test"] is None
    assert len(CONFIG.read_text().splitlines()) <= 40


def test_a_talker_is_held_out_whole(pairs: Pairs, folder: Make) -> None:
    root = pairs("set/train", count=8, seconds=0.3).parent
    lines = [f"{item:03d}.wav,{'ann' if item % 2 else 'bob'}" for item in range(8)]
    (root / "train" / "index.csv").write_text("name,speaker\n" + "\n".join(lines) + "\n")
    data = folder(root)
    assert data.describe()["pairs"] == {"train": 4, "valid": 4}
    numbers = {int(name) % 2 for batch in data.val_dataloader() for name in batch.names}
    assert len(numbers) == 1
    scored = data.test_set()
    assert {int(scored.name(index)) % 2 for index in range(len(scored))} == numbers
    names = [f"{number:03d}" for number in range(40)]
    assert held_out_names(names, {}) == held_out_names(names)
    assert len(held_out_names(names, dict.fromkeys(names, "ann"))) == 4
