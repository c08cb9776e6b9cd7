"""Work on many files: in threads, with a bar on standard error where somebody watches."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console
from rich.progress import Progress

from audiocx.errors import AudioFileError, DataError


def progress_bar() -> Progress:
    """Return a bar that disappears when done; it draws nothing where standard error is no terminal."""
    console = Console(stderr=True)
    return Progress(transient=True, console=console, disable=not console.is_terminal)


def in_threads(rows: Sequence[Any], work: Callable[[Any], Any], what: str) -> list[Any]:
    """Do a piece of work for every row in threads (decoding releases the interpreter), with progress.

    Raises:
        DataError: the work on a row met a bad file: here that stops everything, before training begins.
    """
    results = []
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        with progress_bar() as progress:
            task = progress.add_task(what, total=len(rows))
            for result in pool.map(work, rows):
                results.append(result)
                progress.advance(task)
    except AudioFileError as error:
        raise DataError(str(error)) from error
    finally:
        pool.shutdown(cancel_futures=True)
    return results
