from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from audiocx.apps import training_run
from audiocx.apps.training_run import Run, patience, say, trainer_settings
from audiocx.errors import ConfigError, TrainingError
from audiocx.training.callbacks import TimeShares
from audiocx.training.run_folder import RunFolder

TRAINER = {
    "max_steps": 10,
    "val_check_interval": 5,
    "checkpoint_interval": 2,
    "accumulate_grad_batches": 1,
    "devices": 1,
    "precision": "32-true",
}


def test_what_is_said_is_no_markup(capsys):
    """A path may hold what rich takes for a tag, even for a closing one."""
    say("run folder: runs/[bold]/[/x]")
    assert capsys.readouterr().out == "run folder: runs/[bold]/[/x]\n"


def test_one_device_whatever_there_is():
    found, schedule = trainer_settings(OmegaConf.create({"trainer": TRAINER | {"devices": "auto"}}))
    assert found["devices"] == 1
    assert schedule == {"val_check_interval": 5, "checkpoint_interval": 2}


@pytest.mark.parametrize("precision", ["16-true", "bf16-true"])
def test_weights_stay_in_single_precision(precision):
    with pytest.raises(ConfigError, match=f"trainer.precision; expected .*, got {precision}"):
        trainer_settings(OmegaConf.create({"trainer": TRAINER | {"precision": precision}}))


def test_patience_is_none_or_a_whole_number():
    assert patience(OmegaConf.create({"early_stop": {"patience": None}})) is None
    assert patience(OmegaConf.create({"early_stop": {"patience": 3}})) == 3
    for value in (None, 3):
        with pytest.raises(ConfigError, match=f"early_stop={value}: is a group of settings"):
            patience(OmegaConf.create({"early_stop": value}))


def bare_run(folder: RunFolder, raised: BaseException | None) -> Run:
    """A run whose training ends at once, or by an error."""

    def fit(*arguments: object, **keywords: object) -> None:
        if raised is not None:
            raise raised

    run = Run.__new__(Run)
    run.folder = folder
    run.trainer = SimpleNamespace(fit=fit, global_step=4, max_steps=10)  # type: ignore[assignment]
    run.interrupt = SimpleNamespace(restore=lambda: None, interrupted=False)  # type: ignore[assignment]
    run.early = SimpleNamespace(stopped=False)  # type: ignore[assignment]
    run.shares = TimeShares(SimpleNamespace(seconds=0.0))  # type: ignore[arg-type]
    return run


@pytest.fixture
def task() -> SimpleNamespace:
    return SimpleNamespace(
        separator=SimpleNamespace(config={"model": {"_target_": "audiocx.models.model.MaskingModel"}})
    )


def test_too_large_a_batch_is_a_line(tmp_path, task):
    run = bare_run(RunFolder(tmp_path), torch.OutOfMemoryError("tried to allocate"))
    with pytest.raises(TrainingError, match=r"does not hold step 5; lower data\.batch_size"):
        run.fit(task, None, None)


def test_a_full_disk_at_the_end_is_a_line(tmp_path, task, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    folder.best.write_text("best")

    class Full:
        def save(self, path: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training_run, "load", lambda path, trust: Full())
    with pytest.raises(
        TrainingError, match=r"model: cannot be written; got No space left .*whole: .*best\.ckpt"
    ):
        bare_run(folder, None).fit(task, None, None)


def test_a_step_of_several_batches_is_one():
    shares = TimeShares(SimpleNamespace(seconds=0.0))  # type: ignore[arg-type]
    trainer = SimpleNamespace(accumulate_grad_batches=4, datamodule=None)
    shares.on_train_start(trainer, None)  # type: ignore[arg-type]
    for batch_idx in range(9):
        shares.on_train_batch_start(trainer, None, None, batch_idx)  # type: ignore[arg-type]
        shares.on_train_batch_end(trainer, None, None, None, batch_idx)  # type: ignore[arg-type]
    assert shares.n_steps == 2
    assert shares.summary().endswith("over 2 steps")
