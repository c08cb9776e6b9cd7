"""Audio files in: what a file holds, all of it, or one block after another.

Arrays are float32 (channel, sample); soundfile's (sample, channel) appears here and in `writing` only. Every
reader checks what it hands on: a file that is missing, is no audio, has no samples, ends before its header
says, or holds NaN or Inf raises `AudioFileError` in one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocx.audio.remarks import without_remarks
from audiocx.audio.truncation import missing_data
from audiocx.errors import AudioFileError, describe

READ_SAMPLES = 1 << 19
"""Samples, over all channels, that are decoded at a time."""

UNKNOWN_LENGTH = 1 << 62
"""libsndfile gives more than this for a stream whose header leaves the length open."""

MP3_SLACK_SAMPLES = 1152
"""One frame: by so much an MP3 may be shorter than its header says, encoders disagree about the padding."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds.

    Attributes:
        sample_rate: samples a second, in Hz.
        n_channels: number of channels.
        n_samples: samples of each channel.
        subtype: libsndfile's name of the sample form, such as `PCM_16` or `FLOAT`.
        format: libsndfile's name of the container, such as `WAV` or `FLAC`.
    """

    sample_rate: int
    n_channels: int
    n_samples: int
    subtype: str
    format: str

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.n_samples / self.sample_rate


def printable(path: str | Path) -> str:
    """The path as text that any terminal takes: bytes of a name that are no text become `?`."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def probe(path: str | Path) -> AudioInfo:
    """Say what a file holds, without decoding it (but where its header leaves the length open).

    Raises:
        AudioFileError: missing, not audio, no samples, or shorter than its header says.
    """
    with _open(path) as file:
        info = _info(file)
    if info.n_samples < UNKNOWN_LENGTH:
        return info
    n_samples = sum(block.shape[1] for block in blocks(path))
    return AudioInfo(info.sample_rate, info.n_channels, n_samples, info.subtype, info.format)


def read(path: str | Path, start: int = 0, n_samples: int | None = None) -> tuple[NDArray[np.float32], int]:
    """Read a file, or a part of it.

    Args:
        path: a file that libsndfile reads.
        start: first sample to read.
        n_samples: how many to read, fewer where the file ends; the default is all the rest.

    Returns:
        Waveform float32 (channel, sample) and the sample rate in Hz. Full scale is 1; float files keep what
        they hold beyond it.

    Raises:
        AudioFileError: missing, not audio, no samples, truncated, NaN or Inf, or `start` lies behind the end.
    """
    with _open(path) as file:
        info = _info(file)
        if not 0 <= start < info.n_samples:
            raise AudioFileError(
                describe(
                    f"{printable(path)}: no sample {start} to start at",
                    expected=f"a start from 0 to {info.n_samples - 1}",
                    got=start,
                )
            )
        block_samples = max(1, READ_SAMPLES // info.n_channels)
        pieces = list(_decode(file, path, start=start, n_samples=n_samples, block_samples=block_samples))
    waveform = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
    return waveform, info.sample_rate


def blocks(path: str | Path, block_samples: int = 1 << 16) -> Iterator[NDArray[np.float32]]:
    """Read a file of any length in bounded memory.

    Args:
        path: a file that libsndfile reads.
        block_samples: samples of each block; the last one may be shorter.

    Yields:
        Waveforms float32 (channel, sample), one after the other, without overlap.

    Raises:
        AudioFileError: as `read`; NaN, Inf and a truncated stream show only where they stand.
    """
    with _open(path) as file:
        yield from _decode(file, path, start=0, n_samples=None, block_samples=block_samples)


class _Decoder(soundfile.SoundFile):
    """A SoundFile that does not seek after each read of an endless stream, where libsndfile fails to."""

    def seekable(self) -> bool:
        """Whether soundfile may seek by itself."""
        return self.frames < UNKNOWN_LENGTH and bool(super().seekable())


def _open(path: str | Path) -> soundfile.SoundFile:
    """Open a file for reading; wording for everything that can be wrong before the first sample."""
    name = printable(path)
    path = Path(path)
    try:
        if not path.exists():
            raise AudioFileError(describe(f"{name}: no such file"))
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise AudioFileError(describe(f"{name}: cannot be read", expected="an audio file", got=kind))
        if path.stat().st_size == 0:
            raise AudioFileError(describe(f"{name}: the file is empty", expected="audio", got="0 bytes"))
        with path.open("rb"):
            pass  # libsndfile words every refusal as "System error"; the operating system says which
        # Bytes, because a name need not be text in any encoding.
        with without_remarks():
            file = _Decoder(os.fsencode(path) if os.name == "posix" else str(path))
    except OSError as error:
        raise AudioFileError(describe(f"{name}: cannot be read", got=error.strerror or str(error))) from None
    except soundfile.LibsndfileError as error:
        raise AudioFileError(
            describe(f"{name}: not an audio file that can be read", got=_reason(error))
        ) from None
    try:
        _check_header(file, path, name)
    except BaseException:
        file.close()
        raise
    return file


def _check_header(file: soundfile.SoundFile, path: Path, name: str) -> None:
    """Refuse what libsndfile opens and nobody should hear."""
    if file.format == "RAW":
        # By the suffix alone libsndfile takes any bytes named .au, .snd or .vox for headerless speech.
        raise AudioFileError(describe(f"{name}: not an audio file that can be read", got="no known header"))
    if file.samplerate <= 0:
        raise AudioFileError(describe(f"{name}: the sample rate is {file.samplerate} Hz"))
    if file.frames <= 0 or file.channels <= 0:
        raise AudioFileError(describe(f"{name}: no samples (0 at {file.samplerate} Hz)"))
    missing = missing_data(path, file.format, file.extra_info, file.frames)
    if missing is not None:
        raise AudioFileError(
            describe(f"{name}: the file is truncated", expected=missing.expected, got=missing.got)
        )


def _reason(error: soundfile.LibsndfileError) -> str:
    """What libsndfile says, but for those that mislead: by then the file is known to exist."""
    words = str(error.error_string).rstrip(". ")
    return "no audio frames in it" if words.startswith("File does not exist") else words


def _info(file: soundfile.SoundFile) -> AudioInfo:
    return AudioInfo(file.samplerate, file.channels, file.frames, file.subtype, file.format)


def _decode(
    file: soundfile.SoundFile, path: str | Path, *, start: int, n_samples: int | None, block_samples: int
) -> Iterator[NDArray[np.float32]]:
    """Decode from `start` on, checking every block; `n_samples` None is to the end."""
    name = printable(path)
    declared = file.frames
    end = declared if n_samples is None else min(declared, start + n_samples)
    quiet = without_remarks if file.format == "MP3" else nullcontext
    position = start
    try:
        if start > 0:
            file.seek(start)
        while position < end:
            with quiet():
                samples = file.read(min(block_samples, end - position), dtype="float32", always_2d=True)
            if len(samples) == 0:
                break
            if not np.isfinite(samples).all():
                _refuse_non_finite(name, samples, position, file.samplerate)
            position += len(samples)
            yield np.ascontiguousarray(samples.T)  # (channel, sample)
    except soundfile.LibsndfileError as error:
        raise AudioFileError(
            describe(
                f"{name}: broken between {position / file.samplerate:.2f} s"
                f" and {min(end, position + block_samples) / file.samplerate:.2f} s",
                got=_reason(error),
            )
        ) from None
    slack = MP3_SLACK_SAMPLES if file.format == "MP3" else 0
    if declared < UNKNOWN_LENGTH and position < end - slack:
        raise AudioFileError(
            describe(f"{name}: the file is truncated", expected=f"{declared} samples", got=f"{position}")
        )
    if position == start:
        raise AudioFileError(describe(f"{name}: no samples (0 at {file.samplerate} Hz)"))


def _refuse_non_finite(name: str, samples: NDArray[np.float32], position: int, sample_rate: int) -> None:
    row, channel = np.argwhere(~np.isfinite(samples))[0]
    kind = "NaN" if np.isnan(samples[row, channel]) else "Inf"
    raise AudioFileError(
        describe(
            f"{name}: {kind} at sample {position + row} ({(position + row) / sample_rate:.3f} s)"
            f" of channel {channel + 1}",
            expected="finite samples",
            do="repair the file or cut that part out",
        )
    )
