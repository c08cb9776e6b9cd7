"""A tiny corpus, rendered once for all tests of the room, and a writer of folders of pairs."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocx.data.corpus import Corpus, CorpusSettings
from audiocx.data.mix import MixDataModule
from audiocx.data.rendering import render_corpus
from audiocx.data.synthetic import SyntheticDataModule
from audiocx.signal.stft import STFT

RATE = 16000
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


def table(folder: Path, rows: list[dict[str, object]]) -> Path:
    """Write an index.csv with all columns that rows have."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def coloured(seed: int, seconds: float) -> np.ndarray:
    return (0.05 * np.random.default_rng(seed).standard_normal((1, round(seconds * RATE)))).astype(np.float32)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech of two corpora and a pool, noise of three classes and two lengths, two rooms; all parts."""
    root = tmp_path_factory.mktemp("recordings")
    speech, noise, rir = [], [], []
    talkers = [("big", "a", 3.0), ("big", "b", 1.5), ("small", "c", 1.0), ("small", "pool-x", 0.3)]
    for place, part in enumerate(("train", "valid", "test")):
        for number, (corpus, name, seconds) in enumerate(talkers):
            for piece in range(2):
                path = f"{part}-{name}-{piece}.wav"
                seed = 100 * place + 10 * number + piece
                write(root / "speech" / path, (1 + 4 * piece) * speechlike(seed, seconds, RATE), RATE)
                speech.append(
                    {"path": path, "split": part, "corpus": corpus, "speaker": f"{name}-{part}",
                     "quality": "good" if piece == 0 else "fair", "recording": path}
                )  # fmt: skip
        for number, (name, seconds) in enumerate((("rain", 4.0), ("wind", 1.0), ("bark", 0.1))):
            path = f"{part}-{name}.wav"
            write(root / "noise" / path, coloured(1000 + 100 * place + number, seconds), RATE)
            noise.append({"path": path, "split": part, "class": name, "author": "one"})
        taps = 0.1 * coloured(2000 + place, 0.2) * np.exp(-np.arange(3200) / 800)
        taps[0, 32] = 0.5
        write(root / "rir" / f"{part}.wav", taps.astype(np.float32), RATE)
        rir.append({"path": f"{part}.wav", "split": part, "room": f"room-{part}"})
    for kind, rows in (("speech", speech), ("noise", noise), ("rir", rir)):
        table(root / kind, rows)
    return root


@pytest.fixture(scope="session")
def mix_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mix_cache")


@pytest.fixture
def mix(recordings: Path, mix_cache: Path) -> Callable[..., MixDataModule]:
    def make(seed: int = 0, **settings: object) -> MixDataModule:
        chosen: dict[str, object] = {
            **{kind: str(recordings / kind) for kind in ("speech", "noise", "rir")},
            "batch_size": 4, "segment_seconds": 0.5, "num_workers": 0, "cache_dir": str(mix_cache),
            "valid_items": 8, "test_items": 40,
        }  # fmt: skip
        return MixDataModule(STFT(), seed, **(chosen | settings))  # type: ignore[arg-type]

    return make
