"""A run that was stopped, or killed, and goes on ends with the very weights of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import audiocx
from audiocx.apps.main import main
from audiocx.models.separator import Separator
from audiocx.training.resume import fingerprint, take_weights
from audiocx.training.steps import RandomStateOfStep
from audiocx.training.task import MaskingTask

NETWORK = """
import torch
from torch import nn

class Dropping(nn.Module):
    def __init__(self, arithmetic, in_planes, out_planes, *, width, n_frequencies):
        super().__init__()
        planes = arithmetic.planes(width)
        self.first = arithmetic.convolution(in_planes, planes, (3, 3), (4, 1), (1, 1), bias=True)
        self.norm = nn.BatchNorm2d(planes)
        self.dropout = nn.Dropout(0.3)
        self.middle = arithmetic.convolution(planes, planes, (3, 3), (1, 1), (1, 1), bias=True)
        self.last = arithmetic.convolution(planes, out_planes, (3, 3), (1, 1), (1, 1), bias=True)

    def forward(self, planes):
        hidden = self.dropout(self.norm(self.first(planes)).relu())
        hidden = self.last(self.middle(hidden).relu())
        return nn.functional.interpolate(hidden, planes.shape[-2:])
"""
TINY = [
    "--config-dir", "conf",
    "model=dropping",
    "data.corpus.voices=harmonic",
    "data.corpus.train_voices=2",
    "data.corpus.valid_voices=1",
    "data.corpus.test_voices=1",
    "data.corpus.voice_seconds=6.0",
    "data.corpus.noise_recordings=4",
    "data.corpus.noise_seconds=4.5",
    "data.batch_size=1",
    "data.segment_seconds=0.25",
    "scheduler.warmup_steps=2",
    "trainer.accelerator=cpu",
    "trainer.deterministic=true",
    "trainer.max_steps=8",
    "trainer.val_check_interval=3",
    "trainer.checkpoint_interval=2",
    "logger.tensorboard=false",
    "logger.log_every_n_steps=1",
    "test=false",
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of one's own that draws random numbers in training."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "droppingnets").mkdir()
    (folder / "droppingnets" / "__init__.py").write_text(NETWORK)
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "dropping.yaml").write_text(
        "_target_: audiocx.models.model.MaskingModel\n"
        "level_jitter_db: 6.0\n"
        "network: {_target_: droppingnets.Dropping, _partial_: true, width: 4}\n"
    )
    return folder


SCORES = {3: 2.0, 6: 1.0, 8: 1.5}
"""Scores of the validations, by step."""

Train = Callable[..., tuple[int, Path]]


@pytest.fixture
def train(home: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.setattr("audiocx.data.synthetic.VALID_ITEMS", 2)
    # The best is the first validation, so that a run that goes on has to know of it.
    for module in ("checkpoints", "stops"):
        monkeypatch.setattr(
            f"audiocx.training.{module}.monitored_score", lambda trainer: SCORES.get(trainer.global_step, 0.0)
        )

    def run(name: str, *words: str) -> tuple[int, Path]:
        code = main(["train", *TINY, f"data.cache_dir={home / 'cache'}", f"hydra.run.dir={name}", *words])
        return code, home / name

    return run


class Killed(BaseException):
    """Stands for a kill: nothing of audiocx gets to run."""


def in_step(step: int, part: int, action: Callable[[], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """Do something once, in a part of a step (both from 0), before the network is called."""

    def arrange(patch: pytest.MonkeyPatch) -> None:
        original = RandomStateOfStep.on_train_batch_start

        def hook(self, trainer, pl_module, batch, batch_idx):
            original(self, trainer, pl_module, batch, batch_idx)
            if (trainer.global_step, batch_idx % trainer.accumulate_grad_batches) == (step, part):
                action()

        patch.setattr(RandomStateOfStep, "on_train_batch_start", hook)

    return arrange


def in_validation(after_step: int, action: Callable[[], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """Do something once, in a validation."""

    def arrange(patch: pytest.MonkeyPatch) -> None:
        original = MaskingTask.validation_step

        def hook(self, batch, batch_index):
            original(self, batch, batch_index)
            if self.trainer.global_step == after_step and batch_index == 0:
                action()

        patch.setattr(MaskingTask, "validation_step", hook)

    return arrange


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def interrupt_twice() -> None:
    interrupt()
    interrupt()


def kill() -> None:
    raise Killed


# name -> how it is stopped, steps that are kept, whether it goes on in the same folder
STOPS = {
    "mid-interval": (in_step(3, 0, interrupt), 4, False),
    "at a validation": (in_step(2, 0, interrupt), 3, True),
    "in a validation": (in_validation(6, interrupt), 6, False),
    "mid-accumulation": (in_step(4, 0, interrupt), 5, True),
    "last step but one": (in_step(6, 0, interrupt), 7, False),
    "interrupted twice": (in_step(5, 0, interrupt_twice), 4, True),
    "killed mid-step": (in_step(5, 0, kill), 4, True),
    "killed in a validation": (in_validation(6, kill), 4, False),
}


def state(folder: Path, name: str) -> dict[str, object]:
    """What a checkpoint holds, flat: weights, optimizer, schedule, bookkeeping of the callbacks."""
    found = torch.load(folder / "checkpoints" / name, weights_only=True)
    parts = {key: found[key] for key in ("global_step", "state_dict", "optimizer_states", "lr_schedulers")}
    parts["callbacks"] = {key: value for key, value in found["callbacks"].items() if value}
    flat: dict[str, object] = {}

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                walk(entry, f"{path}/{key}")
        elif isinstance(value, list | tuple):
            for number, entry in enumerate(value):
                walk(entry, f"{path}/{number}")
        else:
            flat[path] = value

    walk(parts, "")
    return flat


def assert_same(first: dict[str, object], second: dict[str, object]) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key


def curves(folder: Path) -> list[dict[str, str]]:
    lines = (folder / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    return [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]


def validations(folder: Path) -> dict[str, str]:
    return {
        row["step"]: row["val/si_sdr_improvement_db"]
        for row in curves(folder)
        if row.get("val/si_sdr_improvement_db")
    }


def check_stop(train: Train, monkeypatch: pytest.MonkeyPatch, name: str, words: list[str]) -> None:
    """Train once in one go, unless that was done, and once with a stop; see that they end alike."""
    arrange, kept, same_folder = STOPS[name]
    label = "_".join(words).translate(str.maketrans("=./", "___")) or "plain"
    whole = Path(f"whole_{label}").resolve()
    if not whole.exists():
        assert train(whole.name, *words)[0] == 0
    part = Path(f"{name.replace(' ', '_')}_{label}").resolve()
    with monkeypatch.context() as patch:
        arrange(patch)
        if name.startswith("killed"):
            with pytest.raises(Killed):
                train(part.name, *words)
        else:
            assert train(part.name, *words)[0] == 130
    assert torch.load(part / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == kept
    before = validations(part)
    assert list(validations(whole)) == ["2", "5", "7"]  # steps from 0: the last one is validated, too
    rest = part if same_folder else part.with_name(part.name + "_rest")
    assert train(rest.name, *words, f"checkpoint={part}")[0] == 0
    for checkpoint in ("last.ckpt", "best.ckpt"):
        assert_same(state(rest, checkpoint), state(whole, checkpoint))
    if same_folder:
        assert curves(rest) == curves(whole)
    else:
        assert before | validations(rest) == validations(whole)
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (rest, whole)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("name", "accumulate"),
    [("mid-interval", 1), ("at a validation", 1), ("killed mid-step", 1), ("mid-accumulation", 2)],
)
def test_a_stopped_run_ends_as_an_uninterrupted_one(train, monkeypatch, name, accumulate):
    words = [f"trainer.accumulate_grad_batches={accumulate}", "data.num_workers=0"]
    check_stop(train, monkeypatch, name, words)


@pytest.mark.slow
@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize(
    "words",
    [
        ["optimizer=adamw", "data.num_workers=2", "trainer.accumulate_grad_batches=2"],
        ["optimizer=adamw", "data.num_workers=0", "early_stop.patience=2"],
        ["optimizer=muon", "data.num_workers=2", "early_stop.patience=3", "optimizer.lr=0.3"],
        ["optimizer=muon", "data.num_workers=0", "scheduler=constant", "trainer.accumulate_grad_batches=3"],
    ],
    ids=" ".join,
)
def test_a_stopped_run_ends_as_an_uninterrupted_one_in_all_settings(train, monkeypatch, name, words):
    check_stop(train, monkeypatch, name, words)


def test_begins_with_the_weights_of_another_model(train, home, capsys):
    """A new optimizer at step 0, on weights from any place that holds some; what it was is recorded."""
    _, first = train("first", "trainer.max_steps=2")
    best = first / "checkpoints" / "best.ckpt"
    given = torch.load(best, weights_only=True)["state_dict"]
    # A step that is too small to be seen leaves the weights that it began with.
    words = ("optimizer=adamw", "optimizer.lr=1e-30", "seed=5", "trainer.max_steps=1")
    code, second = train("second", *words, f"init={first}")
    assert code == 0, capsys.readouterr().err
    tuned = torch.load(second / "checkpoints" / "last.ckpt", weights_only=True)
    assert tuned["global_step"] == 1
    for name, value in given.items():
        if "running" not in name and "num_batches" not in name:  # of the batch norm
            assert torch.equal(tuned["state_dict"][name], value), name
    facts = json.loads((second / "environment.json").read_text())["init"]
    assert facts["path"] == str(first)
    for place in (first / "model", best):
        trust = ["droppingnets"]
        fresh = Separator.from_config(audiocx.load(first, trust=trust).config)
        assert fingerprint(fresh) != facts["weights"]
        take_weights(str(place), fresh, trust)
        assert fingerprint(fresh) == facts["weights"]
    capsys.readouterr()
    for words, expected in (
        ((f"init={first}", f"checkpoint={first}"), "both init and checkpoint"),
        ((f"init={first}", "model.network.width=6"), "expected model.network.width 6, got 4"),
        ((f"init={first}", "stft.hop_length=64"), "its stft is another"),
        (("init=nothing",), "no such file"),
        ((f"checkpoint={first}", "optimizer.lr=0.5"), "another optimizer"),
    ):
        assert train("other", *words)[0] == 2
        error = capsys.readouterr().err
        assert expected in error
        assert len(error.strip().splitlines()) == 1
    assert not (home / "other").exists()


def test_stops_early_when_no_score_is_better(train, monkeypatch, capsys):
    """Off by default; ends well, says so, keeps the best; cannot be gone on from with that patience."""
    code, folder = train("early", "early_stop.patience=1")
    printed = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "stopped early at step 6: 1 validations without a better score" in printed
    assert "2.00 dB, is that of step 3" in printed
    steps = {
        name: torch.load(folder / "checkpoints" / name, weights_only=True)["global_step"]
        for name in ("last.ckpt", "best.ckpt")
    }
    assert steps == {"last.ckpt": 6, "best.ckpt": 3}
    assert train("late", "early_stop.patience=1", f"checkpoint={folder}")[0] == 2
    assert "raise early_stop.patience" in capsys.readouterr().err
    # With more patience the count goes on: the third validation is the second without a better score.
    assert train("late", "early_stop.patience=2", f"checkpoint={folder}")[0] == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "with other settings than before: early_stop.patience 2 (was 1)" in printed
    assert "2 validations without a better score" in printed


KILLED_WHILE_WRITING = """
import os, signal, sys
from audiocx.apps.main import main
import audiocx.data.synthetic
from lightning.pytorch import Trainer

audiocx.data.synthetic.VALID_ITEMS = 2
original = Trainer.save_checkpoint

def save(self, path, *arguments, **keywords):
    if self.global_step < 5:
        return original(self, path, *arguments, **keywords)
    original(self, path, *arguments, **keywords)
    os.truncate(path, os.path.getsize(path) // 2)  # half of it is written
    os.kill(os.getpid(), signal.SIGKILL)

Trainer.save_checkpoint = save
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(train, home, monkeypatch):
    monkeypatch.undo()
    words = [*TINY, f"data.cache_dir={home / 'cache'}", "data.num_workers=1", "hydra.run.dir=sigkill"]
    root = str(Path(audiocx.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(home), root])}
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, "train", *words],
        cwd=home, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    part = home / "sigkill"
    assert torch.load(part / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    assert audiocx.load(part, trust=["droppingnets"]).n_sources == 1
