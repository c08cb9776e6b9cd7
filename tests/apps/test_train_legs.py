"""A training of several legs in one run folder: what is loaded from it meanwhile, and what made which step."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

import audiocx
from audiocx.apps.main import main
from audiocx.data.synthetic import SyntheticDataModule
from audiocx.training.steps import RandomStateOfStep

WORDS = [
    "data.corpus.voices=harmonic",
    "data.corpus.train_voices=2",
    "data.corpus.valid_voices=1",
    "data.corpus.test_voices=1",
    "data.corpus.voice_seconds=6.0",
    "data.corpus.noise_recordings=1",
    "data.corpus.noise_seconds=4.5",
    "data.cache_dir=cache",
    "data.num_workers=0",
    "data.batch_size=1",
    "data.segment_seconds=0.25",
    "model.network.widths=[2,2]",
    "model.network.kernel_sizes=[[5,3],[5,3]]",
    "model.network.strides=[[4,2],[4,2]]",
    "trainer.accelerator=cpu",
    "trainer.val_check_interval=1",
    "logger.tensorboard=false",
    "test=false",
    "hydra.run.dir=run",
]
SCORES = {1: 1.0, 2: 3.0, 3: 2.0, 4: 2.5}
"""Scores of the validations, by step: the best is of the second leg, which is killed."""


class Killed(BaseException):
    """Stands for a kill: nothing of audiocx gets to run."""


class Place:
    """A run folder, and what stands beside it that a test changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best = folder / "checkpoints" / "best.ckpt"
        self.revision = ""
        self.seen_while_preparing: list[bool] = []

    def train(self, revision: str, *words: str) -> int:
        self.revision = revision
        return main(["train", *WORDS, *words])

    def loads_step(self, step: int) -> bool:
        """Whether the weights that are loaded from the run are those of its best checkpoint, and that of a step."""
        loaded = audiocx.load(self.folder).model.state_dict()
        best = torch.load(self.best, weights_only=True)
        same = [
            torch.equal(value, best["state_dict"][f"separator.model.{name}"])
            for name, value in loaded.items()
        ]
        return all(same) and best["global_step"] == step

    def last_step(self) -> int:
        """Step of the checkpoint that it is gone on from."""
        last = torch.load(self.folder / "checkpoints" / "last.ckpt", weights_only=True)
        return int(last["global_step"])

    def environment(self) -> dict[str, object]:
        return dict(json.loads((self.folder / "environment.json").read_text(encoding="utf-8")))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("audiocx.data.synthetic.VALID_ITEMS", 1)
    for module in ("checkpoints", "stops"):
        monkeypatch.setattr(
            f"audiocx.training.{module}.monitored_score", lambda trainer: SCORES[trainer.global_step]
        )
    place = Place(tmp_path / "run")
    monkeypatch.setattr("audiocx.training.environment.git_revision", lambda: place.revision)
    prepare = SyntheticDataModule.prepare_data

    def prepare_and_commit(self: SyntheticDataModule) -> None:
        """While data are read, somebody commits."""
        place.seen_while_preparing.append((place.folder / "model").is_dir())
        prepare(self)
        place.revision = "of a later commit"

    monkeypatch.setattr(SyntheticDataModule, "prepare_data", prepare_and_commit)
    return place


def test_legs_in_one_folder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.train("first", "trainer.max_steps=1") == 0
    assert (place.folder / "model").is_dir()
    assert place.loads_step(1)

    original = RandomStateOfStep.on_train_batch_start

    def kill_in_third_step(self, trainer, pl_module, batch, batch_idx):
        original(self, trainer, pl_module, batch, batch_idx)
        if trainer.global_step == 1:
            # The first batch: the model of the leg before is gone, its best checkpoint is there.
            assert not (place.folder / "model").exists()
            assert place.loads_step(1)
        if trainer.global_step == 2:
            raise Killed

    def stop_in_third_step(self, trainer, pl_module, batch, batch_idx):
        original(self, trainer, pl_module, batch, batch_idx)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RandomStateOfStep, "on_train_batch_start", kill_in_third_step)
        with pytest.raises(Killed):
            place.train("second", "trainer.max_steps=4", "checkpoint=run")
    assert not (place.folder / "model").exists()
    assert place.loads_step(2)

    with monkeypatch.context() as patch:
        patch.setattr(RandomStateOfStep, "on_train_batch_start", stop_in_third_step)
        assert place.train("third", "trainer.max_steps=4", "checkpoint=run") == 130
    assert place.last_step() == 3
    assert (place.folder / "model").is_dir()
    assert place.loads_step(2)

    assert place.train("fourth", "trainer.max_steps=4", "checkpoint=run") == 0
    assert place.last_step() == 4
    assert (place.folder / "model").is_dir()
    assert place.loads_step(2)
    # What is there stays while data are read, by the command and by Lightning: training may never begin.
    assert place.seen_while_preparing == [False, False, True, True, False, False, True, True]

    written = place.environment()
    legs = written["legs"]
    assert [(leg["first_step"], leg["git_revision"]) for leg in legs] == [
        (0, "first"),
        (1, "second"),
        (2, "third"),
        (3, "fourth"),
    ]
    assert "checkpoint" not in legs[0]
    assert legs[1]["checkpoint"] == {"path": "run/checkpoints/last.ckpt", "step": 1}
    assert "trainer.max_steps=1" in legs[0]["arguments"]
    # The last one stands at the keys that a run of one leg has.
    assert written["git_revision"] == "fourth"
    assert written["data_fingerprint"] == legs[3]["data_fingerprint"]
    assert written["data"]
    assert not list(place.folder.glob(".*"))
