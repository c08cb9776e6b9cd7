"""Where a model comes from, as its run folder tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from audiocx.evaluation.facts import find_origin, in_common, run_of
from audiocx.models.checkpoint import CHECKPOINT_KEY, WEIGHTS_PREFIX, load
from audiocx.models.separator import Separator
from audiocx.training.checkpoints import SETTINGS_KEY
from audiocx.training.resume import fingerprint


def _separator(seed: int) -> Separator:
    network = {"_target_": "audiocx.models.unet.UNet", "_partial_": True, "widths": [2, 2]}
    network |= {"kernel_sizes": [[5, 3], [5, 3]], "strides": [[2, 2], [2, 1]]}
    model = {"_target_": "audiocx.models.model.MaskingModel", "network": network}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Separator.from_config({"stft": {}, "model": model, "task": "enhance", "n_sources": 1})


def _checkpoint(path: Path, separator: Separator, step: int, data: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {f"{WEIGHTS_PREFIX}{name}": value for name, value in separator.model.state_dict().items()}
    content = {"state_dict": weights, "global_step": step, CHECKPOINT_KEY: separator.config}
    torch.save(content | {SETTINGS_KEY: {} if data is None else {"data_fingerprint": data}}, path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose best model is that of step 20, of 30."""
    best, last = _separator(0), _separator(1)
    run = tmp_path / "run"
    best.save(run / "model")
    _checkpoint(run / "checkpoints" / "best.ckpt", best, 20, "beef")
    _checkpoint(run / "checkpoints" / "last.ckpt", last, 30)
    (run / "environment.json").write_text(json.dumps({"data_fingerprint": "cafe"}), encoding="utf-8")
    return run


@pytest.mark.parametrize(
    ("place", "seed", "step", "data"),
    [
        ("", 0, 20, "beef"),
        ("model", 0, 20, "beef"),
        ("checkpoints/best.ckpt", 0, 20, "beef"),
        ("checkpoints/last.ckpt", 1, 30, "cafe"),  # it does not say, its run does
    ],
)
def test_step_and_data_are_those_of_the_weights(
    run: Path, place: str, seed: int, step: int, data: str
) -> None:
    path = run / place
    origin = find_origin(load(path), path)
    assert (origin.checkpoint, origin.step, origin.data_fingerprint) == (str(path), step, data)
    assert origin.weights == fingerprint(_separator(seed))


def test_the_last_checkpoint_counts_where_it_is_the_model(run: Path) -> None:
    _separator(1).save(run / "model")
    assert find_origin(load(run), run).step == 30


def test_what_is_not_known_is_left_out(run: Path, tmp_path: Path) -> None:
    (run / "model").rename(tmp_path / "alone")
    alone = tmp_path / "alone"
    assert list(find_origin(load(alone), alone).as_json()) == ["checkpoint", "weights"]
    # Other weights than those of the checkpoints beside them, and files that cannot be read, say nothing.
    _separator(2).save(run / "model")
    (run / "checkpoints" / "best.ckpt").write_bytes(b"cut short")
    (run / "environment.json").write_text("[", encoding="utf-8")
    origin = find_origin(load(run), run)
    assert (origin.step, origin.data_fingerprint) == (None, None)


def test_runs_and_what_they_have_in_common() -> None:
    places = ("r", "r/model", "r/checkpoints/best.ckpt", "r/best.ckpt")
    assert {run_of(place) for place in places} == {Path("r").resolve()}
    assert in_common(["a", "a"]) == "a"
    assert in_common(["a", "b"]) is None
    assert in_common(["a", None]) is None
    assert in_common([]) is None
