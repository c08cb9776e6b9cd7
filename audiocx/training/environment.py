"""What a result depends on besides its settings: versions, machine, revision; kept for each leg of a training."""

from __future__ import annotations

import functools
import json
import logging
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import audiocx

log = logging.getLogger("audiocx")

ENVIRONMENT_NAME = "environment.json"
PACKAGES = ("torch", "torchaudio", "lightning", "numpy", "scipy", "soundfile", "librosa", "hydra-core")


def environment() -> dict[str, Any]:
    """Return versions, machine, threads and git revision, as they are now."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {
        "audiocx": audiocx.__version__,
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": versions,
        "arguments": sys.argv[1:],
    }


# The source that runs was read once, whatever is committed while it runs.
@functools.cache
def git_revision() -> str | None:
    """Return the commit of the checkout that audiocx runs from; `+` where it was changed; None outside of one."""
    try:
        # An installed copy may lie in a checkout of others.
        _git("ls-files", "--error-unmatch", "__init__.py")
        revision = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return revision + ("+" if changed else "")


def _git(*arguments: str) -> str:
    folder = Path(audiocx.__file__).parent
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def with_legs(content: Mapping[str, Any], *, first_step: int, going_on: Path | None) -> dict[str, Any]:
    """Add the legs of a training to what is said of the one that begins.

    A training that was stopped and went on has several legs. They stand in the order in which they began; the steps
    from a leg's `first_step` to that of the next are its own, and a leg that begins no later than one before it has
    made those steps again.

    Args:
        content: of the leg that begins.
        first_step: steps that were made before it.
        going_on: checkpoint that it goes on from.

    Returns:
        The content with `legs`, the last of which is this one. The data's description is left out of them: their
        fingerprint stands for it.
    """
    legs = [] if going_on is None else former_legs(going_on)
    own = {key: value for key, value in content.items() if key != "data"}
    return {**content, "legs": [*legs, {"first_step": first_step, **own}]}


def former_legs(checkpoint: Path) -> list[dict[str, Any]]:
    """Return the legs of the run whose checkpoint this is; none where its folder does not say."""
    found = next(
        (
            folder / ENVIRONMENT_NAME
            for folder in checkpoint.parents[:2]
            if (folder / ENVIRONMENT_NAME).is_file()
        ),
        None,
    )
    if found is None:
        return []
    try:
        content = json.loads(found.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(content.get("legs", []), list):
            raise ValueError("no environment of a run")
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s): what the steps before were made with is not kept", found, error)
        return []
    if "legs" in content:
        return list(content["legs"])
    # Written before legs were kept: it speaks of the last one alone.
    own = {key: value for key, value in content.items() if key != "data"}
    step = content["checkpoint"]["step"] if "checkpoint" in content else 0
    return [{"first_step": step, **own}]
