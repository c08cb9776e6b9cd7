"""Remarks that a C library writes to standard error by itself, past Python."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_ERROR = 2

_lock = threading.Lock()


@contextmanager
def without_remarks() -> Iterator[None]:
    """Keep off the terminal what libmpg123 says of broken MP3 files; what is wrong with them is worded here.

    Of several threads one at a time is quiet, the others go on undisturbed: nobody waits.
    """
    if not _lock.acquire(blocking=False):
        yield
        return
    try:
        try:
            kept = os.dup(STANDARD_ERROR)
        except OSError:  # a process without standard error
            yield
            return
        try:
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, STANDARD_ERROR)
            os.close(sink)
            yield
        finally:
            os.dup2(kept, STANDARD_ERROR)
            os.close(kept)
    finally:
        _lock.release()
