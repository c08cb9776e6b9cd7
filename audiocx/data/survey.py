"""What ready pairs hold: every file opened, decoded once, and what it showed remembered until it changes.

Decoding everything once finds NaN and broken files before training, tells where somebody speaks, so that
crops fall there, and which sources have nothing above 4 kHz.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocx.audio.files import blocks
from audiocx.data.activity import FRAME_SECONDS, active_frames, frame_powers
from audiocx.data.cache import hash_of, hash_of_file
from audiocx.data.narrow_band import lacks_highs, summed_spectrum
from audiocx.data.pairs import Pair
from audiocx.data.progress import in_threads
from audiocx.data.recording import Recording, file_key, open_recording, probe_pair
from audiocx.data.sound_hashes import SampleHash

log = logging.getLogger(__name__)

VERSION = 2
"""Part of the name of what is kept: raised whenever more is asked of the same files."""
READ_SAMPLES = 1 << 20
"""Decoded at a time, so that a long recording takes no more memory than a short one."""


@dataclass(frozen=True)
class Facts:
    """What decoding a recording showed.

    Attributes:
        active: which frames of 10 ms are within 40 dB of the loudest one (frame,), any channel.
        is_narrow: there is nothing above 4 kHz, at a rate that could hold it.
        sha256: hash of the file's bytes.
        content: hash of its samples, the same whatever the container; empty for silence.
    """

    active: NDArray[np.bool_]
    is_narrow: bool
    sha256: str
    content: str

    @property
    def is_silent(self) -> bool:
        """Whether no frame is active."""
        return not bool(self.active.any())

    def to_plain(self) -> dict[str, Any]:
        """Return JSON values."""
        packed = base64.b64encode(np.packbits(self.active).tobytes()).decode()
        return {
            "active": packed,
            "n_frames": len(self.active),
            "is_narrow": self.is_narrow,
            "sha256": self.sha256,
            "content": self.content,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Facts:
        """Return facts from JSON values."""
        packed = np.frombuffer(base64.b64decode(plain["active"]), dtype=np.uint8)
        active = np.unpackbits(packed, count=plain["n_frames"]).astype(bool)
        return cls(active, bool(plain["is_narrow"]), str(plain["sha256"]), str(plain["content"]))


@dataclass(frozen=True)
class OpenedPair:
    """A pair whose files were opened and decoded.

    Attributes:
        name: as `Pair`.
        mixture: the mixture's recording.
        sources: the sources' recordings.
        facts: what the sources hold, one for each.
        content: hash of all its files.
        hashes: of each file that is not silent, by its bytes and by its samples.
    """

    name: str
    mixture: Recording
    sources: tuple[Recording, ...]
    facts: tuple[Facts, ...]
    content: str
    hashes: tuple[str, ...] = ()

    @property
    def n_samples(self) -> int:
        """Common length; files of different rates may differ by a sample."""
        return min(recording.n_samples for recording in (self.mixture, *self.sources))


def measure(recording: Recording) -> Facts:
    """Decode a recording in pieces and say what it holds.

    Raises:
        AudioFileError: it is broken, or holds NaN or Inf.
    """
    rate = recording.sample_rate
    frame = max(1, round(FRAME_SECONDS * rate))
    step = READ_SAMPLES // frame * frame
    powers: list[NDArray[np.float64]] = []
    spectrum = np.zeros(513)
    samples = SampleHash()
    for start in range(0, recording.n_samples, step):
        piece = recording.read(start, min(step, recording.n_samples - start))
        powers.append(np.max([frame_powers(channel, rate) for channel in piece], axis=0))
        spectrum += summed_spectrum(piece.mean(axis=0))
        if recording.copy is None:
            samples.push(piece)
    if recording.copy is not None:
        # A copy of another rate is resampled in a stream; the file's own samples are the same everywhere.
        for block in blocks(recording.path):
            samples.push(block)
    active = active_frames(np.concatenate(powers))
    is_narrow = bool(active.any()) and lacks_highs(spectrum, rate)
    return Facts(active, is_narrow, hash_of_file(recording.path), samples.finish())


class Survey:
    """Remembers facts by file in one JSON file of the cache.

    Args:
        folder: the data's folder; names the JSON file.
        sample_rate: at which files are read.
        cache: the cache folder.
    """

    def __init__(self, folder: Path, sample_rate: int, cache: Path) -> None:
        self.sample_rate = sample_rate
        self.cache = cache
        self.file = cache / "surveys" / f"{hash_of([str(folder.resolve()), sample_rate, VERSION])}.json"
        self.known: dict[str, Any] = {}
        if self.file.is_file():
            self.known = json.loads(self.file.read_text(encoding="utf-8"))

    def open_pairs(self, pairs: Sequence[Pair]) -> list[OpenedPair]:
        """Open pairs for training: headers first, since they are quick, then every sample.

        Raises:
            DataError: a pair is unequal, a file is broken, or holds NaN or Inf; names it.
        """
        infos = in_threads(pairs, lambda pair: probe_pair(pair.mixture, pair.sources), "reading headers")
        rows = list(zip(pairs, infos, strict=True))

        def open_pair(row: tuple[Pair, list[Any]]) -> OpenedPair:
            pair, (mixture_info, *source_infos) = row
            mixture = open_recording(pair.mixture, mixture_info, self.sample_rate, self.cache)
            sources = tuple(
                open_recording(path, info, self.sample_rate, self.cache)
                for path, info in zip(pair.sources, source_infos, strict=True)
            )
            facts = [self._facts(recording) for recording in (mixture, *sources)]
            content = hash_of([pair.name, [each.sha256 for each in facts]])
            heard = [each for each in facts if not each.is_silent]
            hashes = tuple(found for each in heard for found in (each.content, each.sha256) if found)
            return OpenedPair(pair.name, mixture, sources, tuple(facts[1:]), content, hashes)

        opened = in_threads(rows, open_pair, "reading files")
        self._save()
        return opened

    def _facts(self, recording: Recording) -> Facts:
        key = hash_of(file_key(recording.path))
        if key not in self.known:
            self.known[key] = measure(recording).to_plain()
        return Facts.from_plain(self.known[key])

    def _save(self) -> None:
        """Write what is known; a cache that cannot be written costs time, not the run."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=".survey.", dir=self.file.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self.known, file)
            Path(name).replace(self.file)
        except OSError as error:
            log.warning("%s: the survey of the data is not kept (%s)", self.file.parent, error.strerror)
