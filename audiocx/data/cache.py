"""The cache folder: where it is, hashes of settings, and folders that appear complete or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audiocx.errors import OutputError, describe


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """Return the folder for everything that can be made again; it may not exist yet.

    Args:
        cache_dir: a folder of the user's choice. Without it: `audiocx` in `XDG_CACHE_HOME`, or in the
            system's cache folder of this user.
    """
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "audiocx"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "audiocx"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "audiocx" / "cache"
    return Path.home() / ".cache" / "audiocx"


def hash_of(values: Any) -> str:
    """Hash plain values (numbers, text, lists, dicts), the same in every process: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def hash_of_file(path: Path) -> str:
    """Hash a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def reserve(file: Path) -> None:
    """Take the room on the disk that a file of holes will need.

    Who writes into a mapped file on a full disk is killed by the system (Bus error), without a word.

    Raises:
        OSError: there is not so much room.
    """
    size = file.stat().st_size
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, size)
    elif shutil.disk_usage(file.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))


def make_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder by filling a temporary one and renaming it.

    When two processes make the same folder at once, both fill one of their own; the first rename counts and
    the other's is thrown away, so both go on with the same complete folder.

    Args:
        folder: what to make; nothing is done if it exists.
        fill: writes the content into the folder it is given.

    Raises:
        OutputError: the folder cannot be written.
    """
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise OutputError(
            describe(
                f"{folder.parent}: the cache folder cannot be written ({error.strerror})",
                do="choose another with data.cache_dir=…",
            )
        ) from error
    try:
        fill(temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise OutputError(
            describe(
                f"{folder}: cannot be written ({error.strerror})",
                do="make room, or choose another folder with data.cache_dir=…",
            )
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
