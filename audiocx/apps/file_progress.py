"""What commands over many files show and tell: progress, one line for each remark, a summary, a tidy Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audiocx.inference.file_batch import Outcome

LONG_SECONDS = 60.0
"""Files longer than this show how far they are."""


@dataclass
class Tally:
    """What has been done so far."""

    n_done: int = 0
    n_skipped: int = 0
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.skipped:
            self.n_skipped += 1
        elif outcome.failure is not None:
            self.failures.append(outcome.failure)
        elif outcome.report is not None:
            self.n_done += 1
            self.audio_seconds += outcome.report.audio_seconds
            self.wall_seconds += outcome.report.wall_seconds

    def summary(self) -> str:
        """One line over all files."""
        skipped = " (there already; --overwrite does them again)" if self.n_skipped else ""
        line = f"{self.n_done} enhanced, {self.n_skipped} skipped{skipped}, {len(self.failures)} failed"
        if self.n_done:
            factor = self.wall_seconds / self.audio_seconds
            line += (
                f"; {self.audio_seconds:.1f} s of audio in {self.wall_seconds:.1f} s,"
                f" real-time factor {factor:.3f}"
            )
        return line


class Display:
    """Progress on the terminal (where standard error is one) and lines on standard output."""

    def __init__(self, n_files: int, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.quiet = quiet
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            disable=quiet or not console.is_terminal,
        )
        # Entered all the same, a disabled one prints an empty line in older releases of rich.
        self.shown: AbstractContextManager[object] = nullcontext() if self.progress.disable else self.progress
        self.files = self.progress.add_task("files", total=n_files)

    def say(self, line: str) -> None:
        """Print a line unless `--quiet`."""
        if self.quiet:
            return
        try:
            print(line, flush=True)
        except BrokenPipeError:  # `| head` has read enough; the files are wanted all the same
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    @contextmanager
    def file(self, name: str) -> Iterator[Callable[[float, float], None]]:
        """Show one file: gives the function that takes the seconds done and the seconds there are."""
        task = self.progress.add_task(f"{name} (seconds)", total=None, visible=False)

        def advance(done: float, total: float) -> None:
            self.progress.update(
                task, completed=round(done), total=round(total), visible=total > LONG_SECONDS
            )

        try:
            yield advance
            self.progress.advance(self.files)
        finally:
            self.progress.remove_task(task)


@contextmanager
def ending_as_ctrl_c() -> Iterator[None]:
    """Let a terminal that closes, or a job's end, interrupt as Ctrl-C does: what is finished is kept and told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [number for number in known if signal.getsignal(number) == signal.SIG_DFL]  # not under nohup
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
