"""Rendering the synthetic corpus: all voices and noises, in a fixed order, into one folder."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from audiocx.data import noises
from audiocx.data.activity import Waveform
from audiocx.data.cache import hash_of_file, make_folder
from audiocx.data.corpus import VERSION, CorpusSettings, corpus_folder
from audiocx.data.parts import PARTS
from audiocx.data.progress import progress_bar
from audiocx.data.randomness import Stream, generator
from audiocx.data.voices import Voice, choose_engine, plan_voices, render_voices

log = logging.getLogger(__name__)


def render_corpus(settings: CorpusSettings, sample_rate: int, cache_dir: str | Path | None = None) -> Path:
    """Render a corpus unless it is there, and return its folder.

    Args:
        settings: what it holds.
        sample_rate: in Hz.
        cache_dir: the user's cache folder, if another than the usual.

    Raises:
        ConfigError: the settings do not fit.
        OutputError: the cache folder cannot be written.
        DataError: espeak-ng failed.
    """
    folder = corpus_folder(settings, sample_rate, cache_dir)
    engine = choose_engine(settings.voices)
    if engine == "harmonic" and settings.voices == "auto":
        log.warning(
            'espeakng-loader is not installed (pip install "audiocx[demo]"): harmonic voices speak instead'
        )
    if not folder.is_dir():
        log.info("rendering the synthetic corpus into %s, once", folder)
    make_folder(folder, lambda temporary: _render(temporary, settings, engine, sample_rate))
    return folder


def _render(folder: Path, settings: CorpusSettings, engine: str, sample_rate: int) -> None:
    """Render all voices in one fixed order, then the noises, and write what was made."""
    plans = [voice for part in PARTS for voice in plan_voices(part, settings.voice_count(part))]
    recordings = {part: _plan_noises(part, settings.recordings(part)) for part in PARTS}
    n_samples = round(settings.noise_seconds * sample_rate)
    facts: dict[str, Any] = {
        "version": VERSION,
        "engine": engine,
        "sample_rate": sample_rate,
        "settings": asdict(settings),
        "voices": {part: [] for part in PARTS},
        "noises": {},
    }
    speech: dict[str, list[Waveform]] = {part: [] for part in PARTS}
    seconds = {part: settings.seconds(part) for part in PARTS}
    # Voices come from a process of their own; the noises that need none are made while they are awaited.
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        with progress_bar() as progress:
            noise_task = progress.add_task("noises", total=sum(len(rows) for rows in recordings.values()))
            sounds = {
                row.name: pool.submit(_noise, row, n_samples, sample_rate, [])
                for rows in recordings.values()
                for row in rows
                if row.family != "babble"
            }
            voice_task = progress.add_task("voices", total=len(plans))
            for voice, waveform in render_voices(plans, seconds, engine, sample_rate):
                start = sum(len(other) for other in speech[voice.part])
                facts["voices"][voice.part].append(_voice_facts(voice, start, len(waveform)))
                speech[voice.part].append(waveform)
                progress.advance(voice_task)
            for part, rows in recordings.items():
                made = np.empty((len(rows), n_samples), dtype=np.int16)
                for place, row in enumerate(rows):
                    if row.name in sounds:
                        made[place] = sounds[row.name].result()
                    else:
                        made[place] = _noise(row, n_samples, sample_rate, speech["train"])
                    progress.advance(noise_task)
                np.save(folder / f"noise_{part}.npy", made)
    finally:
        pool.shutdown(cancel_futures=True)
    for part, rows in recordings.items():
        facts["noises"][part] = [
            {"name": row.name, "family": row.family, "seen": row.family not in noises.UNSEEN} for row in rows
        ]
        np.save(folder / f"speech_{part}.npy", np.concatenate([_to_int16(wave) for wave in speech[part]]))
    facts["sha256"] = {path.name: hash_of_file(path) for path in sorted(folder.glob("*.npy"))}
    (folder / "corpus.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")


def _voice_facts(voice: Voice, start: int, n_samples: int) -> dict[str, Any]:
    return {
        "name": voice.name,
        "language": voice.language,
        "variant": voice.variant,
        "start": start,
        "n_samples": n_samples,
    }


@dataclass(frozen=True)
class _Recording:
    """A noise recording to make: its family, its name, and the key of its random numbers."""

    family: str
    name: str
    number: int


def _plan_noises(part: str, n_recordings: int) -> list[_Recording]:
    """List the noise recordings of a part; families are numbered so that a new one changes no other."""
    families = ["babble", *noises.SEEN] + ([*noises.UNSEEN] if part == "test" else [])
    return [
        _Recording(family, f"{part}-{family}-{count}", crc32(f"{part}/{family}".encode()) * 2**16 + count)
        for family in sorted(families)
        for count in range(n_recordings)
    ]


def _noise(row: _Recording, n_samples: int, sample_rate: int, voices: list[Waveform]) -> NDArray[np.int16]:
    random = generator(0, row.number, Stream.NOISE)
    return _to_int16(noises.render(row.family, random, n_samples, sample_rate, voices))


def _to_int16(waveform: Waveform) -> NDArray[np.int16]:
    """Round a waveform to 16 bits; what passes full scale is cut."""
    return np.rint(np.clip(waveform, -1, 1) * 32767).astype(np.int16)
