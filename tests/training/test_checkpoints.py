from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from lightning.pytorch.loggers import CSVLogger

from audiocx.apps.training_run import keep_curves
from audiocx.errors import TrainingError
from audiocx.training.checkpoints import Checkpoints, bring_best
from audiocx.training.run_folder import RunFolder
from audiocx.training.task import MONITOR, monitored_score


class Trainer(SimpleNamespace):
    """What the callback asks of Lightning's."""

    accumulate_grad_batches = 2
    loggers = ()

    def save_checkpoint(self, path: Path) -> None:
        path.write_text(f"step {self.global_step}")
        if self.full:
            raise OSError(28, "No space left on device")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def play(checkpoints: Checkpoints, scores: dict[int, float], n_steps: int) -> list[str]:
    """Go through the steps as Lightning does; gives what stands in both files after each."""
    folder, seen = checkpoints.folder, []
    for batch_idx in range(2 * n_steps + 1):
        step = batch_idx // 2
        trainer = Trainer(global_step=step, full=False, callback_metrics={MONITOR: scores.get(step, 0.0)})
        if batch_idx % 2 == 0 and step in scores:
            checkpoints.on_validation_end(trainer, None)
        checkpoints.on_train_batch_start(trainer, None, None, batch_idx)
        files = [path.read_text()[5:] if path.exists() else "-" for path in (folder.last, folder.best)]
        seen.append(" ".join(files))
    return seen


def test_the_last_is_written_every_so_often_and_the_best_where_it_is_better(folder):
    checkpoints = Checkpoints(folder, 4, {})
    seen = play(checkpoints, {3: math.nan, 5: 1.0, 6: 1.0, 7: -2.0}, 8)
    # One entry for each half step: only whole steps are kept; a NaN is better than none, and only than that.
    assert seen[:6] == ["- -"] * 6
    assert seen[6:] == ["3 3"] * 2 + ["4 3"] * 2 + ["5 5"] * 2 + ["6 5"] * 2 + ["7 5"] * 2 + ["8 5"]
    assert checkpoints.state_dict() == {"best_score": 1.0, "best_step": 5}
    assert not list(folder.checkpoints.glob(".*"))


def test_a_full_disk_leaves_the_one_before_and_says_so(folder):
    checkpoints = Checkpoints(folder, 1, {})
    checkpoints.write_last(Trainer(global_step=1, full=False))
    with pytest.raises(TrainingError, match=r"last.ckpt: cannot be written at step 2; got No space left"):
        checkpoints.write_last(Trainer(global_step=2, full=True))
    assert folder.last.read_text() == "step 1"
    assert not list(folder.checkpoints.glob(".*"))


def test_a_score_counts_only_with_its_checkpoint(folder, tmp_path):
    state = {"best_score": 3.0, "best_step": 7}
    alone = Checkpoints(folder, 1, {})
    alone.load_state_dict(state)
    assert alone.best_step is None
    before = RunFolder(tmp_path / "before")
    assert not bring_best(before.last, folder)
    before.checkpoints.mkdir(parents=True)
    before.best.write_text("best")
    assert bring_best(before.last, folder)
    assert folder.best.read_text() == "best"
    beside = Checkpoints(folder, 1, {})
    beside.load_state_dict(state)
    assert beside.state_dict() == state


def checkpoint_and_model(folder: RunFolder, checkpoints: Checkpoints, batch_idx: int) -> tuple[bool, bool]:
    """Begin a batch; gives whether a checkpoint is there, and the former model."""
    trainer = Trainer(global_step=batch_idx // 2, full=False, callback_metrics={MONITOR: 1.0})
    checkpoints.on_train_batch_start(trainer, None, None, batch_idx)
    return folder.best.exists() or folder.last.exists(), folder.model.exists()


@pytest.mark.parametrize("has_best", [True, False])
def test_the_model_of_the_leg_before_goes_once_something_else_can_be_loaded(folder, has_best):
    folder.model.mkdir(parents=True)
    (folder.model / "config.json").write_text("{}")
    if has_best:
        folder.checkpoints.mkdir()
        folder.best.write_text("best")
    checkpoints = Checkpoints(folder, 2, {})
    assert folder.model.exists()  # and may be all there is
    seen = [checkpoint_and_model(folder, checkpoints, batch_idx) for batch_idx in range(5)]
    if has_best:
        assert seen == [(True, False)] * 5
    else:
        assert seen == [(False, True)] * 4 + [(True, False)]


def test_a_best_checkpoint_that_cannot_be_copied_says_so(folder, tmp_path):
    before = RunFolder(tmp_path / "before")
    before.checkpoints.mkdir(parents=True)
    before.best.write_text("best")
    folder.path.mkdir()
    folder.checkpoints.write_text("a file")
    with pytest.raises(TrainingError, match=r"best.ckpt: cannot be copied to .*best.ckpt; got File exists"):
        bring_best(before.last, folder)


def test_no_score_is_the_lowest():
    assert monitored_score(Trainer(callback_metrics={})) == -math.inf
    assert monitored_score(Trainer(callback_metrics={MONITOR: math.nan})) == -math.inf
    assert monitored_score(Trainer(callback_metrics={MONITOR: 1.5})) == 1.5


def test_curves_go_on_where_the_checkpoint_was(tmp_path):
    """Rows of steps that will be made again are dropped, and a line that a kill cut short."""
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss,val/loss\n0,0,5.0,\n0,1,,4.0\n0,2,3.0,\n0,1")
    logger = CSVLogger(tmp_path, name="", version="")
    keep_curves([logger], RunFolder(tmp_path), 2)
    logger.log_metrics({"train/loss": 2.5, "epoch": 0, "rate": 1.0}, step=2)
    logger.save()
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0] == "epoch,rate,step,train/loss,val/loss"
    assert lines[1:] == ["0,,0,5.0,", "0,,1,,4.0", "0,1.0,2,2.5,"]
