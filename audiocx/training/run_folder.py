"""The folder of a training run: what stands where, and what says how it came about."""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import audiocx
from audiocx.errors import OutputError, describe

PACKAGES = ("torch", "torchaudio", "lightning", "numpy", "scipy", "soundfile", "librosa", "hydra-core")


class RunFolder:
    """Names the parts of a run folder and writes its settings.

    Args:
        path: the folder; `make` makes it.

    Attributes:
        facts: plain values that `environment.json` holds besides those it is given.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.best = self.checkpoints / "best.ckpt"
        self.last = self.checkpoints / "last.ckpt"
        self.model = self.path / "model"
        self.test = self.path / "test"
        self.examples = self.path / "examples"
        self.facts: dict[str, Any] = {}

    def make(self, going_on: Path | None = None) -> None:
        """Make the folder where it is missing.

        Args:
            going_on: checkpoint that the run goes on from; it may lie in this very folder.

        Raises:
            OutputError: it cannot be made, or holds another run.
        """
        if (self.path / "config.yaml").exists() and (
            going_on is None or self.path.resolve() not in going_on.resolve().parents
        ):
            raise OutputError(
                describe(f"run folder {self.path}: holds another run", do="choose another hydra.run.dir")
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                describe(
                    f"run folder {self.path}: cannot be made", got=error.strerror, do="set hydra.run.dir=..."
                )
            ) from error

    def remove_unstarted(self) -> None:
        """Remove what a run left that stopped before it wrote its settings: the log alone."""
        if not (self.path / "config.yaml").exists():
            (self.path / "log.txt").unlink(missing_ok=True)

    def write_config(self, text: str) -> None:
        """Write all settings, `config.yaml`."""
        self._write("config.yaml", text)

    def write_environment(self, facts: Mapping[str, Any]) -> None:
        """Write `environment.json`: versions, machine, git revision, and the given facts.

        Args:
            facts: plain values, such as the data's fingerprint.
        """
        content = {**environment(), **facts, **self.facts}
        self._write("environment.json", json.dumps(content, indent=2) + "\n")

    def write_capacity(self, facts: Mapping[str, Any]) -> None:
        """Write `capacity.json`: what the model costs beside its counterpart, see `audiocx.training.ledger`.

        Args:
            facts: plain values.
        """
        self._write("capacity.json", json.dumps(facts, indent=2) + "\n")

    def _write(self, name: str, text: str) -> None:
        temporary = self.path / f".{name}.part"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.path / name)

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Send audiocx's log to `log.txt`, warnings to the terminal, too, and leave the logger as it was."""
        file = logging.FileHandler(self.path / "log.txt", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        # A logger without a handler prints warnings by itself; with one it does not.
        terminal = logging.StreamHandler()
        terminal.setLevel(logging.WARNING)
        logger = logging.getLogger("audiocx")
        level = logger.level
        logger.setLevel(logging.INFO)
        for handler in (file, terminal):
            logger.addHandler(handler)
        try:
            yield
        finally:
            for handler in (file, terminal):
                logger.removeHandler(handler)
            file.close()
            logger.setLevel(level)


def environment() -> dict[str, Any]:
    """Return what a result depends on besides its settings: versions, machine, threads, git revision."""
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


def git_revision() -> str | None:
    """Return the commit of the checkout that audiocx runs from; `+` where it was changed; None without git."""
    folder = Path(audiocx.__file__).parent
    try:
        revision = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return revision + ("+" if changed else "")
