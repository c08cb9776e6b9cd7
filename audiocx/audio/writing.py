"""Audio files out: streamed, never half-written, never clipped in silence.

The whole output waits as float32 in a nameless temporary file beside the target (in memory while it is
short), because only at its end are its peak and its size known. Then it is written under a temporary name and
renamed.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import tempfile
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocx.audio.files import printable
from audiocx.errors import AudioFileError, describe

IN_MEMORY_BYTES = 1 << 24
"""Outputs shorter than this touch the disk once."""

COPY_SAMPLES = 1 << 18
"""Samples, over all channels, that are converted at a time."""

WAV_BYTES = (1 << 32) - (1 << 16)
"""What a WAV file can hold, less room for its header; beyond it RF64 takes its place under the same name."""

TEMPORARY_PREFIX = ".audiocx-"

NOT_STORED = "not all samples could be stored; is the disk full?"


@dataclass(frozen=True)
class _Form:
    """How a subtype is written: an integer of `bits` within `container`, or floats (`bits` 0)."""

    bits: int
    container: type[np.generic]
    bytes: int


_FORMS = {
    "PCM_U8": _Form(8, np.int16, 1),
    "PCM_16": _Form(16, np.int16, 2),
    "PCM_24": _Form(24, np.int32, 3),
    "PCM_32": _Form(32, np.int32, 4),
    "FLOAT": _Form(0, np.float32, 4),
    "DOUBLE": _Form(0, np.float32, 8),
    "ULAW": _Form(16, np.int16, 1),
    "ALAW": _Form(16, np.int16, 1),
}


_AS_FINE = {"ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32", "DWVW_24": "PCM_24"}
"""Forms that WAV lacks and that hold more than 16 bits."""


def wav_subtype(subtype: str) -> str:
    """The subtype for a WAV file made from a file of this subtype.

    The same where WAV has it and keeps every length to the sample, else the PCM that is as fine: `PCM_16` for
    most, such as Vorbis, MP3 and ADPCM.
    """
    return subtype if subtype in _FORMS else _AS_FINE.get(subtype, "PCM_16")


def clips(subtype: str) -> bool:
    """Whether samples beyond full scale cannot be written in this subtype."""
    return _FORMS[subtype].bits > 0


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and those around it.

    Returns:
        The ones that were not there, the innermost first, for `remove_empty`.

    Raises:
        OSError: it cannot be made; then none is left behind.
    """
    missing = []
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        missing.append(place)
        place = place.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        remove_empty(missing)
        raise
    return missing


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove the folders that are empty, in this order; the others stay."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@dataclass(frozen=True)
class Written:
    """What became of an output.

    Attributes:
        path: the file.
        n_samples: samples of each channel.
        peak: largest magnitude of the output before any rescaling.
        gain_db: by how much it was rescaled so as not to clip; 0 where it was not.
    """

    path: Path
    n_samples: int
    peak: float
    gain_db: float


class AudioWriter:
    """Write a WAV file of any length, block by block, in bounded memory.

    Use it in a `with` statement and call `commit` at its end: the file appears whole under its name then, and
    only then. Whatever else ends the block, an error or Ctrl-C, leaves nothing behind, nor folders made for it.

    Args:
        path: the file to make; its folder is made where there is none. An existing file is replaced at the
            end.
        sample_rate: in Hz.
        n_channels: number of channels.
        subtype: one that `wav_subtype` returns.

    Raises:
        AudioFileError: on entry, the folder or file cannot be made.
    """

    def __init__(self, path: str | Path, sample_rate: int, n_channels: int, subtype: str = "PCM_16") -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.n_channels = n_channels
        self.subtype = subtype
        self._n_samples = 0
        self._peak = 0.0
        self._form = _FORMS[subtype]
        self._made: list[Path] = []
        self._temporary = self.path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}.part")
        self._samples: tempfile.SpooledTemporaryFile[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            max_size=IN_MEMORY_BYTES, dir=str(self.path.parent)
        )

    def __enter__(self) -> AudioWriter:
        try:
            self._made = make_folders(self.path.parent)
            # Said now rather than after an hour of work: a name too long, or a folder of that name.
            if self.path.exists() and stat.S_ISDIR(self.path.stat().st_mode):
                raise IsADirectoryError(errno.EISDIR, "a folder has that name")
            # Only to see that it can be; a process that is killed meanwhile leaves nothing.
            self._temporary.touch(exist_ok=False)
            self._temporary.unlink()
        except OSError as error:
            remove_empty(self._made)
            raise self._unwritable(error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk refuses the last buffer once more
            self._samples.close()
        with suppress(OSError):
            self._temporary.unlink()
        remove_empty(self._made)  # where the file was made, they are not empty

    def write(self, waveform: NDArray[np.float32]) -> None:
        """Append samples, float32 (channel, sample).

        Raises:
            AudioFileError: the disk is full or refuses.
        """
        if waveform.shape[-1] == 0:
            return
        self._peak = max(self._peak, float(np.abs(waveform).max()))
        try:
            self._samples.write(np.ascontiguousarray(waveform.T, dtype=np.float32).tobytes())
        except OSError as error:
            raise self._unwritable(error) from None
        self._n_samples += waveform.shape[-1]

    def commit(self) -> Written:
        """Make the file under its name, rescaled where an integer form would clip.

        Raises:
            AudioFileError: the file cannot be written.
        """
        gain = self._gain()
        try:
            self._convert(gain)
            self._temporary.replace(self.path)
        except OSError as error:
            raise self._unwritable(error) from None
        except (soundfile.LibsndfileError, AssertionError):
            # soundfile asserts that libsndfile took every sample.
            raise self._unwritable(OSError(errno.ENOSPC, NOT_STORED)) from None
        return Written(self.path, self._n_samples, self._peak, 0.0 if gain == 1.0 else 20 * math.log10(gain))

    def _gain(self) -> float:
        """1, or what brings a peak beyond full scale to the largest sample of an integer form."""
        if self._form.bits == 0 or self._peak <= 1.0:
            return 1.0
        return (1.0 - 2.0 ** (1 - self._form.bits)) / self._peak

    def _convert(self, gain: float) -> None:
        n_bytes = self._n_samples * self.n_channels * self._form.bytes
        self._samples.seek(0)
        with soundfile.SoundFile(
            os.fsencode(self._temporary) if os.name == "posix" else str(self._temporary),
            "w",
            samplerate=self.sample_rate,
            channels=self.n_channels,
            subtype=self.subtype,
            format="WAV" if n_bytes < WAV_BYTES else "RF64",
        ) as file:
            n_rows = max(1, COPY_SAMPLES // self.n_channels)
            while chunk := self._samples.read(n_rows * self.n_channels * 4):
                samples = np.frombuffer(chunk, np.float32).reshape(-1, self.n_channels)
                file.write(self._quantized(samples, gain))
        if (
            self._temporary.stat().st_size < n_bytes
        ):  # what the assertion says, where Python runs without them
            raise OSError(errno.ENOSPC, NOT_STORED)

    def _quantized(self, samples: NDArray[np.float32], gain: float) -> NDArray[Any]:
        """Round to the form's own steps.

        libsndfile would scale by 2**(bits - 1) - 1 what it reads by 2**(bits - 1): a sample that no model
        touched would not come back as itself.
        """
        if self._form.bits == 0:
            return samples
        full_scale = 2.0 ** (self._form.bits - 1)
        steps = np.rint(samples.astype(np.float64) * (gain * full_scale)).clip(-full_scale, full_scale - 1)
        spare_bits = 8 * np.dtype(self._form.container).itemsize - self._form.bits
        return (steps * 2.0**spare_bits).astype(self._form.container)

    def _unwritable(self, error: OSError) -> AudioFileError:
        return AudioFileError(
            describe(f"{printable(self.path)}: cannot be written", got=error.strerror or str(error))
        )
