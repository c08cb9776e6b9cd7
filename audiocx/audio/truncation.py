"""Whether a file ends before its header says.

libsndfile reads what is left of a cut file and says so only in its log; a recording that lost its second half
would pass for a short one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

# The log's line of the chunk that holds the samples, by container. WAV's RIFF size is left out: many programs
# get it wrong in files that are whole.
_SIZE_LINES = {
    "WAV": r"data",
    "WAVEX": r"data",
    "AIFF": r"SSND",
    "AU": r"Data Size",
    "CAF": r"data",
    "W64": r"riff",
    "RF64": r"Riff size",
}

# Where a header states the samples of each channel: a line of the log, or of the file's own header.
_SAMPLE_LINES = {
    "CAF": r"Valid frames",  # compressed packets
    "AVR": r"Frames",
}
_NIST_HEADER_BYTES = 1024
_NIST_SAMPLES = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)

_PLACEHOLDERS = ((0x7FFF_0000, 0x8000_0000), (0xFFFF_0000, 0xFFFF_FFFF))
"""Sizes that programs write when they write to a pipe and cannot come back: the length is then the file's."""

_OGG_TAIL_BYTES = 1 << 17
"""A page of Ogg is at most 65 307 bytes, so the last one begins in this tail."""


class Missing(NamedTuple):
    """What a header promises and what the file holds, in words."""

    expected: str
    got: str


def missing_data(path: Path, container: str, log: str, n_samples: int) -> Missing | None:
    """Compare the size that a header states with the file.

    Args:
        path: the file.
        container: libsndfile's name of the format.
        log: libsndfile's `extra_info` after opening.
        n_samples: samples of each channel that libsndfile expects to decode.

    Returns:
        None where nothing is missing or the container cannot tell before decoding.
    """
    if container == "OGG":
        return _missing_in_ogg(path)
    stated_samples = _stated_samples(path, container, log)
    if stated_samples is not None and n_samples < stated_samples:
        return Missing(f"{stated_samples} samples by its header", f"{n_samples}")
    label = _SIZE_LINES.get(container)
    if label is None:
        return None
    match = re.search(rf"^\s*{label}\s*:\s*(\d+)\s+\(should be (\d+)\)", log, re.MULTILINE)
    if match is None:
        return None
    stated, present = int(match.group(1)), int(match.group(2))
    if stated <= present or any(low <= stated <= high for low, high in _PLACEHOLDERS):
        return None
    return Missing(f"{stated} bytes by its header", f"{present}")


def _stated_samples(path: Path, container: str, log: str) -> int | None:
    """Samples of each channel by the header; None where it does not say."""
    match: re.Match[str] | re.Match[bytes] | None = None
    if container == "NIST":
        with path.open("rb") as file:
            match = _NIST_SAMPLES.search(file.read(_NIST_HEADER_BYTES))
    elif container in _SAMPLE_LINES:
        match = re.search(rf"^\s*{_SAMPLE_LINES[container]}\s*:\s*(\d+)", log, re.MULTILINE)
    return None if match is None else int(match.group(1))


def _missing_in_ogg(path: Path) -> Missing | None:
    """Whether the last page of an Ogg stream is cut; a missing end mark says nothing, recorders omit it."""
    with path.open("rb") as file:
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(0, size - _OGG_TAIL_BYTES))
        tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0:
        return None
    header = tail[start : start + 27]
    n_segments = header[26] if len(header) == 27 else 255
    lacing = tail[start + 27 : start + 27 + n_segments]
    page = 27 + n_segments + sum(lacing)
    present = len(tail) - start
    if len(lacing) < n_segments or present < page:
        return Missing("a whole last page", f"{present} bytes of it")
    return None
