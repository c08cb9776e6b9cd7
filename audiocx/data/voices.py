"""Who speaks in the synthetic corpus, and the two engines that render them: espeak-ng, and harmonic voices.

The parts share neither a language nor a variant (espeak-ng's word for another throat, as `f2` or `klatt4`),
so a test voice differs from all training voices in both. A third difference is drawn for each voice: its
samples are read at another rate, which moves pitch and formants together as the length of a vocal tract does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from audiocx.data import harmonic_voice, texts
from audiocx.data.activity import Waveform, active_power
from audiocx.data.parts import PARTS
from audiocx.data.randomness import Stream, generator
from audiocx.data.sound_parts import colour
from audiocx.errors import ConfigError, DataError, describe


def _words(text: str) -> list[str]:
    return text.split()


# espeak-ng voice names, each beginning with its language; accents of one language stay in one part.
LANGUAGES = {
    "train": _words("""
        en-us fr ru nl cmn en pt hu ar en-us-nyc sv ka it ta uk en-gb-scotland ro he lv bn ca bg en-gb-x-rp
        fa af en-029 sk te am fr-be is kk et yue pt-br hy sl mr az eo om lb be kn gd ku la tt ml cy
        mk ne ht ky tn pa gn ia tk haw an pap qu io ug ti kl sd
    """),
    "valid": _words("""
        da gu lt mt ko sq
    """),
    "test": _words("""
        de es nb pl fi el hi ja tr cs eu sw vi id ga hr
    """),
}
# Left out: whispers, croaks and demons, which are no likely talkers, and the siblings of a test variant.
VARIANTS = {
    "train": _words("""
        f1 m1 Annie m3 f3 klatt Alex aunty m4 Marco robosoft shelby m7 Diogo klatt2 Andy grandma Gene m8
        edward iven Jacky john klatt4 Reed adam paul robosoft3 Denis RicishayMax miguel iven3 Henrique
        boris ian klatt5 Lee marcelo announcer michel robosoft4 Michael gustave norbert benjamin pedro
        robosoft5 Storm iven2 rob Nguyen david klatt6 sandro robosoft6 robert Mike Tweaky ed zac
        robosoft7 AnxiousAndy edward2 RicishayMax2 iven4 Gene2 robosoft2 mike2 robosoft8 kaukovalta
    """),
    "valid": _words("""
        f5 m6 belinda quincy travis Hugo
    """),
    "test": _words("""
        f2 m2 linda antonio f4 m5 Alicia max steph2 caleb Andrea Mario anika grandpa pablo victor
    """),
}
ENGINES = ("auto", "espeak", "harmonic")
SENTENCE_SECONDS = 3.5
"""Shorter than sentences are on average; with one to spare, a voice rarely falls short of its seconds."""
SPEECH_LEVEL_DBFS = -26.0


@dataclass(frozen=True)
class Voice:
    """One talker.

    Attributes:
        part: `train`, `valid` or `test`.
        name: what clusters and tables call it.
        language: espeak-ng's voice name, language and accent.
        variant: espeak-ng's variant.
        pitch: base pitch, 0 to 99.
        melody: range of the pitch, 0 to 99.
        rate: words a minute.
        warp: factor on pitch and formants.
        number: position among all voices; the key of its random numbers.
    """

    part: str
    name: str
    language: str
    variant: str
    pitch: float
    melody: float
    rate: float
    warp: float
    number: int


def plan_voices(part: str, count: int) -> list[Voice]:
    """Choose the voices of a part; the first n of a longer plan are the plan of n.

    Raises:
        ConfigError: more voices than the part has languages (valid, test) or pairs of both (train).
    """
    languages, variants = LANGUAGES[part], VARIANTS[part]
    most = len(languages) if part != "train" else 2 * len(languages)
    if not 1 <= count <= most:
        raise ConfigError(
            describe(f"data.corpus.{part}_voices does not fit", expected=f"1 to {most}", got=count)
        )
    voices = []
    for place in range(count):
        number = 1000 * PARTS.index(part) + place
        random = generator(0, number, Stream.VOICE_PLAN)
        language = languages[place % len(languages)]
        # The second round of languages meets other variants than the first.
        variant = variants[(place + 7 * (place // len(languages))) % len(variants)]
        voices.append(
            Voice(
                part=part,
                name=f"{language}+{variant}",
                language=language,
                variant=variant,
                pitch=random.uniform(30, 70),
                melody=random.uniform(30, 90),
                rate=random.uniform(140, 210),
                warp=random.uniform(0.88, 1.14),
                number=number,
            )
        )
    return voices


def choose_engine(wanted: str) -> str:
    """Return `espeak` or `harmonic`; `auto` takes espeak-ng where the package `espeakng_loader` is installed.

    Raises:
        ConfigError: an unknown name, or `espeak` asked for and not installed.
    """
    if wanted not in ENGINES:
        raise ConfigError(
            describe("data.corpus.voices is not known", expected=" | ".join(ENGINES), got=wanted)
        )
    installed = importlib.util.find_spec("espeakng_loader") is not None
    if wanted == "espeak" and not installed:
        raise ConfigError(
            describe(
                "data.corpus.voices=espeak needs the package `espeakng-loader`",
                do='pip install "audiocx[demo]", or data.corpus.voices=harmonic',
            )
        )
    return "espeak" if installed and wanted != "harmonic" else "harmonic"


def render_voices(
    voices: list[Voice], seconds: dict[str, float], engine: str, sample_rate: int
) -> Iterator[tuple[Voice, Waveform]]:
    """Render voices one after another, in order.

    Args:
        voices: who speaks.
        seconds: how long, by part.
        engine: `espeak` or `harmonic`.
        sample_rate: of the result, in Hz.

    Yields:
        The voice and its waveform (sample,) float32.

    Raises:
        DataError: the espeak-ng process failed or does not know a voice.
    """
    counts = [int(np.ceil(seconds[voice.part] / SENTENCE_SECONDS)) + 1 for voice in voices]
    if engine == "espeak":
        rendered = _espeak_sentences(voices, counts, sample_rate)
    else:
        rendered = _harmonic_sentences(voices, counts, sample_rate)
    for voice, count in zip(voices, counts, strict=True):
        random = generator(1, voice.number, Stream.VOICE_TEXT)
        pieces = []
        for _ in range(count):
            pieces.append(_as_recorded(next(rendered), random, sample_rate))
            pieces.append(np.zeros(int(random.uniform(0.0, 0.4) * sample_rate), dtype=np.float32))
        yield voice, np.concatenate(pieces)[: round(seconds[voice.part] * sample_rate)]


def _as_recorded(sentence: Waveform, random: np.random.Generator, sample_rate: int) -> Waveform:
    """Give a sentence the colour of a microphone and a level of its own."""
    coloured = colour(sentence, random, sample_rate, spread_db=4.0)
    level_db = SPEECH_LEVEL_DBFS + random.uniform(-3, 3)
    gain = 10 ** (level_db / 20) / max(np.sqrt(active_power(coloured, sample_rate)), 1e-6)
    return coloured * np.float32(min(gain, 0.99 / max(float(np.abs(coloured).max()), 1e-6)))


def _sentence_plan(voice: Voice, count: int) -> list[dict[str, str | int]]:
    """Write what a voice says and how, sentence by sentence."""
    random = generator(0, voice.number, Stream.VOICE_TEXT)
    return [
        {
            "voice": f"{voice.language}+{voice.variant}",
            "text": texts.sentence(random, voice.language.split("-")[0]),
            "rate": int(np.clip(voice.rate * random.uniform(0.85, 1.18), 100, 280)),
            "pitch": int(np.clip(voice.pitch + random.uniform(-10, 10), 0, 99)),
            "range": int(np.clip(voice.melody + random.uniform(-15, 15), 0, 99)),
        }
        for _ in range(count)
    ]


def _espeak_sentences(voices: list[Voice], counts: list[int], sample_rate: int) -> Iterator[Waveform]:
    """Speak all sentences in one process, in order, and yield them at the wanted rate."""
    plans = [_sentence_plan(voice, count) for voice, count in zip(voices, counts, strict=True)]
    # The child must find the package where this process found it, installed or not.
    package_root = str(Path(__file__).parents[2])
    search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "audiocx.data.espeak"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": search_path},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin as stdin:
            stdin.write(json.dumps([sentence for plan in plans for sentence in plan]).encode())
        espeak_rate = int(process.stdout.readline() or 0)
        for voice, plan in zip(voices, plans, strict=True):
            for _ in plan:
                n_samples = int(process.stdout.readline() or 0)
                raw = process.stdout.read(2 * n_samples)
                if n_samples == 0 or len(raw) != 2 * n_samples:
                    raise DataError(
                        describe(
                            f"espeak-ng gave no speech for the voice `{voice.name}`",
                            do="reinstall espeakng-loader, or use data.corpus.voices=harmonic",
                        )
                    )
                samples = np.frombuffer(raw, dtype="<i2").astype(np.float32) / 32768
                yield soxr.resample(samples, espeak_rate * voice.warp, sample_rate)
    finally:
        process.stdout.close()
        process.kill()
        process.wait()


def _harmonic_sentences(voices: list[Voice], counts: list[int], sample_rate: int) -> Iterator[Waveform]:
    """Render harmonic voices, which need no package."""
    for voice, count in zip(voices, counts, strict=True):
        random = generator(0, voice.number, Stream.HARMONIC_VOICE)
        throat = harmonic_voice.Throat(
            f0_hz=100.0 * 2 ** ((voice.pitch - 30) / 33), melody=voice.melody / 100, warp=voice.warp
        )
        for _ in range(count):
            yield harmonic_voice.sentence(random, throat, voice.rate, sample_rate)
