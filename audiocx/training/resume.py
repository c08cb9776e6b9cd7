"""Where a training begins: anew, at a checkpoint of the same training, or at the weights of another model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from audiocx.errors import CheckpointError, describe
from audiocx.models.build import with_defaults
from audiocx.models.checkpoint import load
from audiocx.models.separator import Separator
from audiocx.training.checkpoints import SETTINGS_KEY, Checkpoints
from audiocx.training.stops import StopEarly
from audiocx.training.task import MaskingTask

SHAPING = ("seed", "data", "loss", "optimizer", "scheduler", "early_stop")
"""Settings that shape a training, of the parts besides the model; those of `SHAPING_TRAINER` beside them."""
SHAPING_TRAINER = (
    "max_steps",
    "val_check_interval",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "precision",
)
WITHOUT_EFFECT = ("data.cache_dir", "data.num_workers", "data.start_method", "data.test")


@dataclass
class Resume:
    """A checkpoint that a training can go on from.

    Attributes:
        path: the file.
        step: steps that were made.
        settings: those that it was trained with, by dotted name; empty where it does not say.
        best_step: step of the best checkpoint until then; None before the first validation.
    """

    path: Path
    step: int
    settings: dict[str, Any]
    best_step: int | None

    def differences(self, settings: Mapping[str, Any]) -> list[str]:
        """Word the settings that are not those that it was trained with."""
        known = self.settings or settings
        return [
            f"{name} {_short(settings.get(name))} (was {_short(known.get(name))})"
            for name in sorted({*known, *settings})
            if known.get(name) != settings.get(name)
        ]


def shaping_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that shape a training, by dotted name.

    Args:
        config: plain and resolved.
    """
    parts = {name: config[name] for name in SHAPING}
    parts["trainer"] = {name: config["trainer"].get(name) for name in SHAPING_TRAINER}
    return {name: value for name, value in _leaves(parts, "") if name not in WITHOUT_EFFECT}


def find_resume(
    path: str,
    task: MaskingTask,
    settings: Mapping[str, Any],
    *,
    max_steps: int,
    patience: int | None,
    trust: Sequence[str],
) -> Resume:
    """Find the checkpoint to go on from and see that it fits what is to be trained.

    Args:
        path: a run folder or a .ckpt.
        task: what is to be trained.
        settings: from `shaping_settings`.
        max_steps: where the training ends.
        patience: validations without a better score after which it ends.
        trust: packages whose classes the checkpoint may name.

    Raises:
        CheckpointError: there is none, or it is of another model or optimizer, or has reached the end.
    """
    place = Path(path)
    candidates = [place / "checkpoints" / "last.ckpt", place / "last.ckpt"] if place.is_dir() else [place]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    where = f"checkpoint={path}"
    if found is None:
        raise CheckpointError(
            describe(f"{where}: nothing to go on from", expected="a run folder or a .ckpt of training")
        )
    known = found.parent.parent / "config.yaml"
    words = f"give the words that it was trained with{f' ({known})' if known.is_file() else ''}"
    _check_model(where, task.separator, load(found, trust=trust), words)
    state = torch.load(found, map_location="cpu", weights_only=True)
    if "optimizer_states" not in state or "loops" not in state:
        raise CheckpointError(describe(f"{where}: holds weights alone", do=f"begin with them: init={path}"))
    kept = state.get("callbacks", {})
    best_step = kept.get(Checkpoints.__qualname__, {}).get("best_step")
    resume = Resume(found, int(state["global_step"]), dict(state.get(SETTINGS_KEY, {})), best_step)
    if resume.step >= max_steps:
        raise CheckpointError(
            describe(
                f"{where}: it is at step {resume.step} already",
                expected=f"less than trainer.max_steps={max_steps}",
                do="raise trainer.max_steps",
            )
        )
    n_without = kept.get(StopEarly.__qualname__, {}).get("n_without", 0)
    if patience is not None and n_without >= patience:
        raise CheckpointError(
            describe(
                f"{where}: {n_without} validations without a better score are behind it",
                expected=f"less than early_stop.patience={patience}",
                do="raise early_stop.patience",
            )
        )
    _check_optimizer(where, task, state, resume, settings)
    return resume


def _check_optimizer(
    where: str, task: MaskingTask, state: Mapping[str, Any], resume: Resume, settings: Mapping[str, Any]
) -> None:
    """See that the optimizer is that of the checkpoint: its settings are taken from there."""
    optimizer = task.make_optimizer(list(task.separator.named_parameters()))
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    saved = [len(group["params"]) for group in state["optimizer_states"][0]["param_groups"]]
    differing = [text for text in resume.differences(settings) if text.startswith("optimizer.")]
    if sizes != saved or differing:
        raise CheckpointError(
            describe(
                f"{where}: it was trained with another optimizer",
                got=", ".join(differing) or None,
                do="take the one it was trained with, or begin anew with its weights by init=",
            )
        )


def take_weights(path: str, separator: Separator, trust: Sequence[str]) -> None:
    """Give an untrained separator the weights of another one (fine-tuning).

    Args:
        path: a run folder, a model folder or a .ckpt.
        separator: what is to be trained.
        trust: packages whose classes the other one's config may name.

    Raises:
        CheckpointError: nothing is there, or it is another model.
    """
    other = load(path, trust=trust)
    _check_model(f"init={path}", separator, other, "take the model that its weights belong to")
    separator.load_weights(other.model.state_dict(), where=path)


def fingerprint(separator: Separator) -> str:
    """Return a hash of a separator's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(separator.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _check_model(where: str, wanted: Separator, got: Separator, do: str) -> None:
    ours, theirs = (dict(_leaves(with_defaults(separator.config), "")) for separator in (wanted, got))
    for name in [*ours, *theirs]:
        if ours.get(name) != theirs.get(name):
            raise CheckpointError(
                describe(
                    f"{where}: its {name.partition('.')[0]} is another than the one to be trained",
                    expected=f"{name} {_short(ours.get(name))}",
                    got=_short(theirs.get(name)),
                    do=do,
                )
            )


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Walk through nested mappings, to (dotted name, value); sequences are values."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _leaves(entry, f"{name}.{key}" if name else str(key))
    else:
        yield name, list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
