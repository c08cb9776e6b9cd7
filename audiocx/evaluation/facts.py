"""What is known of a model besides its scores: what it costs, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from audiocx.models.checkpoint import WEIGHTS_PREFIX
from audiocx.models.separator import Separator
from audiocx.training.checkpoints import SETTINGS_KEY
from audiocx.training.resume import fingerprint
from audiocx.training.run_folder import RunFolder

DATA_KEY = "data_fingerprint"
"""Under which a training keeps the fingerprint of its data, in its checkpoints and in `environment.json`."""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        checkpoint: the path that it was loaded from.
        weights: hash of its weights.
        step: training steps that it has made, where known.
        data_fingerprint: of the data that it was trained on, where known.
    """

    checkpoint: str
    weights: str
    step: int | None = None
    data_fingerprint: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is known, as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model besides its scores."""

    parameters_real: int | None = None
    macs_per_second: int | None = None
    origin: Origin | None = None

    @property
    def data_fingerprint(self) -> str | None:
        """Of the data that it was trained on, where known."""
        return None if self.origin is None else self.origin.data_fingerprint


def run_of(path: str | Path) -> Path:
    """Find the run folder that a checkpoint, or a model folder, belongs to.

    Args:
        path: what `audiocx.models.checkpoint.load` takes.
    """
    place = Path(path).resolve()
    if place.suffix == ".ckpt":
        place = place.parent
    return place.parent if place.name in ("model", "checkpoints") else place


def find_origin(separator: Separator, path: str | Path) -> Origin:
    """Find out where a loaded model comes from.

    A portable model folder does not hold the step: it is that of the run's checkpoint with the very same weights.

    Args:
        separator: as loaded.
        path: what it was loaded from.

    Returns:
        What is known.
    """
    place, run = Path(path), RunFolder(run_of(path))
    step, data = None, None
    for file in [place] if place.is_file() else [run.best, run.last]:
        checkpoint = _read_checkpoint(file)
        if _holds(checkpoint, separator):
            step = checkpoint.get("global_step")
            data = checkpoint.get(SETTINGS_KEY, {}).get(DATA_KEY)
            break
    return Origin(str(path), fingerprint(separator), step, data or _data_of(run.path))


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of training; empty where it cannot be read."""
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # not there, cut short, of another program: then it says nothing
        return {}
    return found if isinstance(found, dict) else {}


def _holds(checkpoint: Mapping[str, Any], separator: Separator) -> bool:
    """Tell whether a checkpoint has the weights of a separator."""
    weights = {f"{WEIGHTS_PREFIX}{name}": value for name, value in separator.model.state_dict().items()}
    saved = {
        name: value
        for name, value in checkpoint.get("state_dict", {}).items()
        if name.startswith(WEIGHTS_PREFIX)
    }
    return saved.keys() == weights.keys() and all(
        saved[name].dtype == value.dtype and torch.equal(saved[name], value.cpu())
        for name, value in weights.items()
    )


def _data_of(run: Path) -> str | None:
    """Fingerprint of the data that a run says it was trained on."""
    try:
        content: Any = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = content.get(DATA_KEY) if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def in_common(values: Iterable[str | None]) -> str | None:
    """Return the value that all have; None where they differ, or there is none."""
    found = set(values)
    return found.pop() if len(found) == 1 else None
