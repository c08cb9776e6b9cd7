"""`audiocx train data=mix` as a user calls it, on recordings made here."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from audiocx.apps.main import main
from audiocx.training.steps import RandomStateOfStep

RATE = 16000
PARTS = ("train", "valid", "test")


def write_table(folder: Path, rows: list[dict[str, str]], waveforms: list[np.ndarray]) -> None:
    folder.mkdir()
    for row, waveform in zip(rows, waveforms, strict=True):
        soundfile.write(folder / row["path"], waveform, RATE)
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with speech of two talkers a part, one noise and one room response a part, each of 0.6 s."""
    random = np.random.default_rng(0)
    time = np.arange(round(0.6 * RATE)) / RATE
    talkers = [(part, f"{part}-{number}") for part in PARTS for number in range(2)]
    write_table(
        tmp_path / "speech",
        [{"path": f"{name}.wav", "split": part, "speaker": name} for part, name in talkers],
        [0.1 * np.sin(2 * np.pi * 3 * time) * random.standard_normal(len(time)) for _ in talkers],
    )
    write_table(
        tmp_path / "noise",
        [{"path": f"{part}.wav", "split": part, "class": "rain"} for part in PARTS],
        [0.1 * random.standard_normal(len(time)) for _ in PARTS],
    )
    write_table(
        tmp_path / "rir",
        [{"path": f"{part}.wav", "split": part, "room": f"room-{part}"} for part in PARTS],
        [0.5 * random.uniform(-1, 1, 800) * np.exp(-np.arange(800) / 100) for _ in PARTS],
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*words: str) -> int:
    return main(
        [
            "train", "data=mix", "data.speech=speech", "data.noise=noise", "data.rir=rir", "data.cache_dir=cache",
            "data.num_workers=0", "data.batch_size=2", "data.segment_seconds=0.5", "data.valid_items=2",
            "data.test_items=4", "data.augmentation.clipping.probability=1.0", "model.network.widths=[2,2,3,3,4]",
            "trainer.accelerator=cpu", "trainer.max_steps=2", "trainer.val_check_interval=2", "n_examples=0",
            "hydra.run.dir=run", *words,
        ]
    )  # fmt: skip


def test_a_run_on_recordings_of_ones_own(place: Path) -> None:
    assert train() == 0
    environment = json.loads((place / "run" / "environment.json").read_text(encoding="utf-8"))
    data = environment["data"]
    assert data["speech"]["train"]["talkers"] == 2
    assert data["rir"]["test"]["rooms"] == 1
    assert list(data["augmentation"]) == ["clipping"]
    summary = json.loads((place / "run" / "test" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["files"], summary["failed"]) == (4, 0)
    assert list(summary["by_noise_class"]) == ["rain"]
    assert summary["data_fingerprint"] == environment["data_fingerprint"]


def test_a_talker_in_two_parts_stops_the_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = place / "speech" / "index.csv"
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace("test,test-1", "test,train-1"), encoding="utf-8")
    assert train() == 2
    error = capsys.readouterr().err.strip()
    assert "speech speaker `speech/train-1` in train and in test" in error
    assert "\n" not in error
    assert not (place / "run" / "model").exists()


CONF = Path(__file__).resolve().parents[2] / "conf"
AUGMENTATIONS = list(yaml.safe_load((CONF / "data" / "augmentation" / "default.yaml").read_text()))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_stopped_run_ends_as_an_uninterrupted_one(
    place: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every augmentation, rooms and second noises: bit by bit."""
    words = [f"data.augmentation.{name}.probability=0.5" for name in AUGMENTATIONS]
    words += ["data.reverberation_probability=0.5", "data.second_noise_probability=0.5"]
    words += [f"data.num_workers={workers}", "trainer.deterministic=true", "test=false"]
    words += ["trainer.max_steps=7", "trainer.val_check_interval=3"]
    assert train(*words, "hydra.run.dir=whole") == 0
    original = RandomStateOfStep.on_train_batch_start

    def stop_in_the_fifth_step(self, trainer, pl_module, batch, batch_idx):
        original(self, trainer, pl_module, batch, batch_idx)
        if trainer.global_step == 4:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(RandomStateOfStep, "on_train_batch_start", stop_in_the_fifth_step)
        assert train(*words, "hydra.run.dir=stopped") == 130
    stopped, whole = weights(place / "stopped"), weights(place / "whole")
    assert not all(torch.equal(stopped[name], whole[name]) for name in whole)
    assert train(*words, "hydra.run.dir=gone_on", "checkpoint=stopped") == 0
    gone_on = weights(place / "gone_on")
    assert all(torch.equal(gone_on[name], whole[name]) for name in whole)
