"""One file at the wanted sample rate: read in place where it has that rate and can seek, else from a copy."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocx.audio.files import AudioInfo, blocks, probe, read
from audiocx.audio.resampling import Resampler, resampled_length
from audiocx.data.cache import hash_of, reserve
from audiocx.errors import AudioFileError, OutputError, describe

SEEKABLE_FORMATS = frozenset({"WAV", "WAVEX", "FLAC", "AIFF", "AU", "W64", "RF64", "CAF"})
"""Containers in which any sample is reached at once; others are decoded once into the cache."""


CHANNELS = ("first", "mean", "random")


def file_key(path: Path) -> list[Any]:
    """What tells one state of a file from another: place, size and time of the last change."""
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


@dataclass(frozen=True)
class Recording:
    """A file as it is read: all channels, at one rate.

    Attributes:
        path: the user's file.
        copy: the resampled copy (channel, sample) in the cache; None where the file itself is read.
        sample_rate: of what is read, in Hz.
        n_channels: number of channels.
        n_samples: samples of each channel, at that rate.
    """

    path: Path
    copy: Path | None
    sample_rate: int
    n_channels: int
    n_samples: int

    def read(self, start: int = 0, n_samples: int | None = None) -> NDArray[np.float32]:
        """Read a piece (channel, sample); what lies behind the end is zero.

        Raises:
            AudioFileError: the file cannot be read, or holds NaN or Inf.
        """
        wanted = self.n_samples - start if n_samples is None else n_samples
        count = min(wanted, self.n_samples - start)
        if self.copy is not None:
            found = np.load(self.copy, mmap_mode="r")[:, start : start + count]
        else:
            found, _ = read(self.path, start, count)
        if found.shape[1] == wanted:
            return np.ascontiguousarray(found)
        piece = np.zeros((self.n_channels, wanted), dtype=np.float32)
        piece[:, : found.shape[1]] = found
        return piece


def open_recording(path: Path, info: AudioInfo, sample_rate: int, cache: Path) -> Recording:
    """Make a recording readable at a rate, in place or through a copy in the cache.

    Args:
        path: the file.
        info: what `probe` says of it.
        sample_rate: the wanted rate in Hz.
        cache: the cache folder.

    Raises:
        AudioFileError: it cannot be decoded, or holds NaN or Inf.
        OutputError: the cache cannot be written.
    """
    if info.sample_rate == sample_rate and info.format in SEEKABLE_FORMATS:
        return Recording(path, None, sample_rate, info.n_channels, info.n_samples)
    key = hash_of([*file_key(path), sample_rate, 1])
    copy = cache / "resampled" / key[:2] / f"{key}.npy"
    if not copy.is_file():
        _write_copy(path, info, sample_rate, copy)
    n_samples = int(np.load(copy, mmap_mode="r").shape[1])
    return Recording(path, copy, sample_rate, info.n_channels, n_samples)


def _write_copy(path: Path, info: AudioInfo, sample_rate: int, copy: Path) -> None:
    """Decode and resample in blocks, under a temporary name until it is whole."""
    resampler = Resampler(info.sample_rate, sample_rate, info.n_channels)
    n_samples = resampled_length(info.n_samples, info.sample_rate, sample_rate)
    temporary = None
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{copy.stem}.", suffix=".npy", dir=copy.parent)
        os.close(descriptor)
        temporary = Path(name)
        shape = (info.n_channels, n_samples)
        stored = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        reserve(temporary)
        place = 0
        for block in blocks(path):
            piece = resampler.push(block)
            stored[:, place : place + piece.shape[1]] = piece
            place += piece.shape[1]
        rest = resampler.finish(n_samples)
        stored[:, place : place + rest.shape[1]] = rest
        stored.flush()
        temporary.replace(copy)
    except OSError as error:
        raise OutputError(
            describe(
                f"{copy.parent}: the cache cannot be written ({error.strerror})",
                do="make room, or choose another folder with data.cache_dir=…",
            )
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def probe_pair(mixture: Path, sources: tuple[Path, ...]) -> list[AudioInfo]:
    """Check by their headers that a mixture and its sources are equally long.

    Files of different rates may differ by what rounding to samples makes.

    Returns:
        What the files hold, the mixture first.

    Raises:
        AudioFileError: a file cannot be read, or their lengths differ.
    """
    infos = [probe(path) for path in (mixture, *sources)]
    first = infos[0]
    for path, info in zip(sources, infos[1:], strict=True):
        check_equal_length(mixture, first, path, info)
    return infos


def check_equal_length(mixture: Path, first: AudioInfo, path: Path, info: AudioInfo) -> None:
    """Check that two files are equally long.

    Raises:
        AudioFileError: they are not.
    """
    if info.sample_rate == first.sample_rate:
        equal = info.n_samples == first.n_samples
    else:
        equal = abs(info.seconds - first.seconds) < 1.5 / min(info.sample_rate, first.sample_rate)
    if not equal:
        raise AudioFileError(
            describe(
                f"{mixture} and {path} are not equally long",
                expected=f"{first.n_samples} samples at {first.sample_rate} Hz",
                got=f"{info.n_samples} at {info.sample_rate} Hz",
                do="cut both to one length",
            )
        )


def choose_channel(waveform: NDArray[np.float32], channel: str, turn: int) -> NDArray[np.float32]:
    """Reduce (channel, sample) to one channel (1, sample).

    Args:
        waveform: all channels.
        channel: `first`, `mean`, or `random`.
        turn: a random number that mixture and sources share; picks the channel for `random`.
    """
    if channel == "mean":
        return waveform.mean(axis=0, keepdims=True)
    place = 0 if channel == "first" else turn % waveform.shape[0]
    return waveform[place : place + 1]
