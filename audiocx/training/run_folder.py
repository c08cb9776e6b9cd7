"""The folder of a training run: what stands where, and what says how it came about."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiocx.errors import OutputError, TrainingError, describe
from audiocx.training.environment import ENVIRONMENT_NAME, environment, with_legs


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
        self._environment: dict[str, Any] | None = None

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

    def remove_model(self) -> None:
        """Remove the portable model, whole at once: half of one would be taken for a model.

        Raises:
            TrainingError: it cannot be removed.
        """
        if not self.model.is_dir():
            return
        removed = self.path / ".model.removed"
        try:
            shutil.rmtree(removed, ignore_errors=True)  # what a kill has left of a former one
            self.model.rename(removed)
        except OSError as error:
            raise TrainingError(
                describe(
                    f"{self.model}: the model of the training before cannot be removed",
                    got=error.strerror,
                    do="go on in another folder: hydra.run.dir=...",
                )
            ) from error
        shutil.rmtree(removed, ignore_errors=True)

    def write_config(self, text: str) -> None:
        """Write all settings, `config.yaml`.

        Raises:
            OutputError: it cannot be written.
        """
        self._write("config.yaml", text)

    def read_environment(self) -> None:
        """Read versions, machine and git revision now: the source may be changed before they are written."""
        self._environment = environment()

    def write_environment(
        self, facts: Mapping[str, Any], *, first_step: int | None = None, going_on: Path | None = None
    ) -> None:
        """Write `environment.json`: versions, machine, git revision, and the given facts; of a training its legs.

        Args:
            facts: plain values, such as the data's fingerprint.
            first_step: of a training: steps that were made before this leg of it.
            going_on: checkpoint that it goes on from; the legs before are read from that one's run folder.

        Raises:
            OutputError: it cannot be written.
        """
        content = {**(self._environment or environment()), **facts, **self.facts}
        if first_step is not None:
            content = with_legs(content, first_step=first_step, going_on=going_on)
        self._write(ENVIRONMENT_NAME, json.dumps(content, indent=2) + "\n")

    def write_capacity(self, facts: Mapping[str, Any]) -> None:
        """Write `capacity.json`: what the model costs beside its counterpart, see `audiocx.training.ledger`.

        Args:
            facts: plain values.

        Raises:
            OutputError: it cannot be written.
        """
        self._write("capacity.json", json.dumps(facts, indent=2) + "\n")

    def _write(self, name: str, text: str) -> None:
        try:
            with whole_file(self.path / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise self._unwritable(name, error) from error

    def _unwritable(self, name: str, error: OSError) -> OutputError:
        return OutputError(
            describe(f"{self.path / name}: cannot be written", got=error.strerror, do="set hydra.run.dir=...")
        )

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Send audiocx's log to `log.txt`, warnings to the terminal, too, and leave the logger as it was.

        Raises:
            OutputError: the log cannot be written.
        """
        try:
            file = logging.FileHandler(self.path / "log.txt", encoding="utf-8")
        except OSError as error:
            raise self._unwritable("log.txt", error) from error
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


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give another name to write to; the file gets its own when it is whole, so that a kill leaves the former one.

    Args:
        path: of the file; its folder is made.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()  # gives a full disk its room back
        raise
