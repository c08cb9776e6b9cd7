"""A tiny corpus, rendered once for all tests of the room, and a writer of folders of pairs."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocx.data.corpus import Corpus, CorpusSettings
from audiocx.data.rendering import render_corpus
from audiocx.data.synthetic import SyntheticDataModule
from audiocx.signal.stft import STFT

TINY = CorpusSettings(
    train_voices=4, valid_voices=2, test_voices=3, voice_seconds=8.0, noise_recordings=4, noise_seconds=4.5
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def corpus(cache: Path) -> Corpus:
    return Corpus(render_corpus(TINY, 16000, cache))


@pytest.fixture
def synthetic(cache: Path, corpus: Corpus) -> Callable[..., SyntheticDataModule]:
    """Make a data module over the tiny corpus, with settings of choice."""

    def make(seed: int = 0, **settings: object) -> SyntheticDataModule:
        chosen: dict[str, object] = {"batch_size": 4, "num_workers": 0, "cache_dir": str(cache)} | settings
        return SyntheticDataModule(STFT(), seed, TINY, **chosen)  # type: ignore[arg-type]

    return make


def speechlike(seed: int, seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """Noise in syllables (channel, sample), up to the rate's full band."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    envelope = 0.02 + np.clip(np.sin(2 * np.pi * 2.3 * time + seed), 0, 1)
    return (0.1 * envelope * random.standard_normal((channels, len(time)))).astype(np.float32)


def write(path: Path, waveform: np.ndarray, rate: int) -> Path:
    """Write (channel, sample) as float where the format can, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if path.suffix == ".wav" else None
    soundfile.write(path, waveform.T, rate, subtype=subtype)
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of pairs: `count` items of noisy = clean + noise, and return it."""

    def make(
        folder: str = "set/train",
        count: int = 3,
        seconds: float = 1.5,
        rate: int = 16000,
        channels: int = 1,
        suffix: str = ".wav",
        speakers: int = 0,
    ) -> Path:
        root = tmp_path / folder
        first = zlib.crc32(folder.encode()) % 1000  # no two folders hold the same sounds
        for item in range(count):
            noise = 0.02 * np.random.default_rng(first + 100 + item).standard_normal(
                (channels, round(seconds * rate))
            )
            sources = [
                speechlike(first + 10 * item + n, seconds, rate, channels) for n in range(max(1, speakers))
            ]
            mixture = (np.sum(sources, axis=0) + noise).astype(np.float32)
            write(root / ("mixture" if speakers else "noisy") / f"{item:03d}{suffix}", mixture, rate)
            for number, source in enumerate(sources, start=1):
                name = f"speaker_{number}" if speakers else "clean"
                write(root / name / f"{item:03d}{suffix}", source, rate)
        return root

    return make
