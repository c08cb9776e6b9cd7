"""The synthetic corpus on disk: rendered once, then read as memory-mapped 16-bit samples."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocx.data.activity import (
    FRAME_SECONDS,
    Waveform,
    active_frames,
    counts_before,
    frame_powers,
    spoken_starts,
)
from audiocx.data.cache import cache_folder, hash_of
from audiocx.data.settings import check_least
from audiocx.data.voices import choose_engine

log = logging.getLogger(__name__)

VERSION = 4
"""Part of the hash: raised whenever the same settings would give other samples."""


@dataclass(frozen=True)
class CorpusSettings:
    """What the synthetic corpus holds; other settings are another corpus in another cache folder.

    Attributes:
        voices: `auto`, `espeak` or `harmonic`.
        train_voices: talkers of the training part.
        valid_voices: talkers of the validation part, at most 6.
        test_voices: talkers of the test part, at most 16.
        voice_seconds: speech of each training voice; validation and test voices have half.
        noise_recordings: recordings of each noise family for training; a quarter for validation and test.
        noise_seconds: length of each noise recording.

    Raises:
        ConfigError: a number is too small.
    """

    voices: str = "auto"
    train_voices: int = 72
    valid_voices: int = 6
    test_voices: int = 16
    voice_seconds: float = 30.0
    noise_recordings: int = 24
    noise_seconds: float = 8.0

    def __post_init__(self) -> None:
        counts = ("train_voices", "valid_voices", "test_voices", "noise_recordings")
        for name in (*counts, "voice_seconds", "noise_seconds"):
            check_least(1 if name in counts else 0.1, f"corpus.{name}", getattr(self, name))

    def voice_count(self, part: str) -> int:
        """Talkers of a part."""
        return {"train": self.train_voices, "valid": self.valid_voices, "test": self.test_voices}[part]

    def seconds(self, part: str) -> float:
        """Speech of each voice of a part."""
        return self.voice_seconds if part == "train" else self.voice_seconds / 2

    def recordings(self, part: str) -> int:
        """Recordings of each noise family of a part."""
        return self.noise_recordings if part == "train" else max(1, self.noise_recordings // 4)


class Corpus:
    """Voices and noises of one rendered corpus, opened where they are used.

    Pickling passes the folder alone, so a worker process maps the files itself.

    Attributes:
        folder: where it lies.
        facts: what `corpus.json` says: settings, engine, voices, noises, hashes.
        sample_rate: in Hz.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        self.sample_rate = int(self.facts["sample_rate"])
        self._arrays: dict[str, NDArray[np.int16]] = {}
        self._activity: dict[tuple[str, int], NDArray[np.int64]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Corpus.__init__(self, state["folder"])

    def voices(self, part: str) -> list[dict[str, Any]]:
        """Talkers of a part: `name`, `language`, `variant`, `start`, `n_samples`."""
        return list(self.facts["voices"][part])

    def noises(self, part: str) -> list[dict[str, Any]]:
        """Noise recordings of a part: `name`, `family`, `seen`."""
        return list(self.facts["noises"][part])

    def _array(self, name: str) -> NDArray[np.int16]:
        if name not in self._arrays:
            self._arrays[name] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return self._arrays[name]

    def speech(self, part: str, voice: int, start: int, n_samples: int) -> Waveform:
        """Read a piece of a voice (sample,) float32; zeros where the voice is shorter."""
        facts = self.facts["voices"][part][voice]
        stop = min(start + n_samples, facts["n_samples"])
        piece = self._array(f"speech_{part}")[facts["start"] + start : facts["start"] + stop]
        return _to_float(piece, n_samples)

    def noise(self, part: str, recording: int, start: int, n_samples: int) -> Waveform:
        """Read a piece of a noise (sample,) float32; a recording that is too short goes round."""
        row = self._array(f"noise_{part}")[recording]
        if start + n_samples <= row.shape[0]:
            return _to_float(row[start : start + n_samples], n_samples)
        return _to_float(np.take(row, range(start, start + n_samples), mode="wrap"), n_samples)

    def noise_samples(self, part: str) -> int:
        """Length of every noise recording of a part."""
        return int(self._array(f"noise_{part}").shape[1])

    def spoken_starts(self, part: str, voice: int, n_samples: int) -> NDArray[np.int64]:
        """Starts, in samples, of the pieces in which somebody speaks often enough, else of the most active ones.

        Args:
            part: `train`, `valid` or `test`.
            voice: number of the voice in its part.
            n_samples: length of the piece.
        """
        frame = max(1, round(FRAME_SECONDS * self.sample_rate))
        return spoken_starts(self._counts(part, voice), n_samples // frame) * frame

    def _counts(self, part: str, voice: int) -> NDArray[np.int64]:
        """Cumulative number of active frames of a voice, beginning with 0."""
        key = (part, voice)
        if key not in self._activity:
            facts = self.facts["voices"][part][voice]
            waveform = self.speech(part, voice, 0, facts["n_samples"])
            active = active_frames(frame_powers(waveform, self.sample_rate))
            self._activity[key] = counts_before(active)
        return self._activity[key]


def _to_float(samples: NDArray[np.int16], n_samples: int) -> Waveform:
    piece = np.zeros(n_samples, dtype=np.float32)
    piece[: samples.shape[0]] = samples
    piece *= np.float32(1 / 32768)
    return piece


def corpus_folder(settings: CorpusSettings, sample_rate: int, cache_dir: str | Path | None) -> Path:
    """Where a corpus of these settings lies, or would lie.

    Raises:
        ConfigError: the settings do not fit.
    """
    engine = choose_engine(settings.voices)
    key = hash_of(
        {
            "version": VERSION,
            "sample_rate": sample_rate,
            "engine": engine,
            **asdict(settings),
            "voices": engine,
        }
    )
    return cache_folder(cache_dir) / "synthetic" / key
