"""Loading a Separator from a run folder, a portable model folder, or a Lightning checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from audiocx.errors import CheckpointError, describe
from audiocx.models.separator import CONFIG_NAME, FORMAT_VERSION, WEIGHTS_NAME, Separator

CHECKPOINT_KEY = "audiocx_separator"
"""Key of a Lightning checkpoint under which training keeps the separator's config."""
WEIGHTS_PREFIX = "separator.model."


def load(path: str | Path, *, device: str = "cpu", trust: Sequence[str] = ()) -> Separator:
    """Load a trained Separator, in evaluation mode.

    Args:
        path: a run folder, a `model/` folder, or a Lightning checkpoint (`.ckpt`). Of a run folder the best weights
            so far are taken: `model/`, which stands there while no training is going on; else
            `checkpoints/best.ckpt`; else, before the first validation, `checkpoints/last.ckpt`.
        device: where to put it.
        trust: packages besides audiocx whose classes the config may name.

    Raises:
        CheckpointError: nothing there, not a checkpoint, broken, or of a newer format.
        ConfigError: the config names a class of a package that is not trusted.
    """
    place = Path(path)
    if not place.exists():
        raise CheckpointError(
            describe(
                f"checkpoint {path}: no such file or folder", do="give a run folder, model folder or .ckpt"
            )
        )
    packages = ("audiocx", *trust)
    separator = _from_folder(place, packages) if place.is_dir() else _from_lightning(place, packages)
    return separator.to(device).eval()


def _from_folder(folder: Path, packages: Sequence[str]) -> Separator:
    found = next((f for f in (folder, folder / "model") if (f / CONFIG_NAME).is_file()), None)
    if found is None:
        for name in ("best.ckpt", "last.ckpt"):  # of a run that is still going on, or was killed
            if (folder / "checkpoints" / name).is_file():
                return _from_lightning(folder / "checkpoints" / name, packages)
        raise CheckpointError(
            describe(
                f"checkpoint {folder}: not a run or model folder, or one without a checkpoint yet",
                expected=f"{CONFIG_NAME} in it or in model/, or a .ckpt in checkpoints/",
            )
        )
    try:
        config: Any = json.loads((found / CONFIG_NAME).read_text(encoding="utf-8"))
        weights = load_file(str(found / WEIGHTS_NAME))
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(describe(f"checkpoint {found}: cannot be read", got=error)) from error
    if not isinstance(config, dict) or "format_version" not in config:
        raise CheckpointError(describe(f"checkpoint {found / CONFIG_NAME}: not a model of audiocx"))
    if config["format_version"] > FORMAT_VERSION:
        raise CheckpointError(
            describe(
                f"checkpoint {found}: written by a newer audiocx",
                expected=f"format {FORMAT_VERSION}",
                got=config["format_version"],
                do="update audiocx",
            )
        )
    settings = {
        key: value for key, value in config.items() if key not in ("format_version", "audiocx_version")
    }
    separator = _build(settings, packages, where=str(found))
    separator.load_weights(weights, where=str(found / WEIGHTS_NAME))
    return separator


def _from_lightning(path: Path, packages: Sequence[str]) -> Separator:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint, unpickling raises almost anything
        raise CheckpointError(
            describe(
                f"checkpoint {path}: cannot be read as a checkpoint",
                expected="a run folder, a model folder or a .ckpt of audiocx",
                got=type(error).__name__,
            )
        ) from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise CheckpointError(describe(f"checkpoint {path}: not a checkpoint of audiocx"))
    separator = _build(checkpoint[CHECKPOINT_KEY], packages, where=str(path))
    weights = {
        name.removeprefix(WEIGHTS_PREFIX): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(WEIGHTS_PREFIX)
    }
    separator.load_weights(weights, where=str(path))
    return separator


def _build(config: dict[str, Any], packages: Sequence[str], *, where: str) -> Separator:
    try:
        return Separator.from_config(config, trust=packages)
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            describe(f"checkpoint {where}: its config is incomplete", got=repr(error))
        ) from error
