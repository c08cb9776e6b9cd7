"""The examples of `data=synthetic`: endless ones to train on, planned ones to validate and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from audiocx.data.activity import Waveform
from audiocx.data.batch import Example
from audiocx.data.cache import hash_of
from audiocx.data.corpus import Corpus
from audiocx.data.mixing import mix, set_level
from audiocx.data.randomness import FIXED_SEED, Stream, generator
from audiocx.data.test_set import TestSet
from audiocx.errors import ConfigError, describe, nearest

TEST_SNRS_DB = (-5.0, 0.0, 5.0, 10.0)


class MixtureMaker:
    """Makes one example of a voice, a noise and a ratio, from a corpus opened in this process.

    Args:
        corpus: where the sounds are.
        part: `train`, `valid` or `test`.
        n_samples: length of every example.
        level_dbfs: range of the mixture's level in dB of full scale.
        families: noise families to draw from; None takes all that the part has.

    Raises:
        ConfigError: a family is not in this part of the corpus.
    """

    def __init__(
        self,
        corpus: Corpus,
        part: str,
        n_samples: int,
        level_dbfs: tuple[float, float],
        families: Sequence[str] | None = None,
    ) -> None:
        self.corpus = corpus
        self.part = part
        self.n_samples = n_samples
        self.level_dbfs = level_dbfs
        self.families: dict[str, list[int]] = {}
        for number, recording in enumerate(corpus.noises(part)):
            self.families.setdefault(recording["family"], []).append(number)
        if families is not None:
            for family in families:
                if family not in self.families:
                    raise ConfigError(
                        describe(
                            f"data.noise_families: no family `{family}` in the {part} part",
                            do=nearest(family, self.families),
                        )
                    )
            self.families = {family: self.families[family] for family in families}

    def speech(self, random: np.random.Generator, voice: int) -> Waveform:
        """Draw a piece of a voice in which somebody speaks (sample,)."""
        starts = self.corpus.spoken_starts(self.part, voice, self.n_samples)
        return self.corpus.speech(self.part, voice, int(starts[random.integers(len(starts))]), self.n_samples)

    def noise(self, random: np.random.Generator, recording: int) -> Waveform:
        """Draw a piece of a noise recording (sample,)."""
        spare = self.corpus.noise_samples(self.part) - self.n_samples
        start = int(random.integers(spare + 1)) if spare > 0 else 0
        return self.corpus.noise(self.part, recording, start, self.n_samples)

    def make(
        self,
        random: np.random.Generator,
        index: int,
        kind: str,
        voice: int | None,
        recording: int | None,
        snr_db: float,
    ) -> Example:
        """Mix one example.

        Args:
            random: where the choices come from.
            index: its number.
            kind: `dry`, `clean` (no noise) or `noise` (no speech; the target is zero).
            voice: number of the voice, unless `kind` is `noise`.
            recording: number of the noise recording, unless `kind` is `clean`.
            snr_db: ratio of a `dry` one.
        """
        level_dbfs = random.uniform(*self.level_dbfs)
        clusters, tags = {}, {"kind": kind}
        speech = noise = np.zeros(self.n_samples, dtype=np.float32)
        if voice is not None:
            speech = self.speech(random, voice)
            clusters["talker"] = self.corpus.voices(self.part)[voice]["name"]
        if recording is not None:
            noise = self.noise(random, recording)
            facts = self.corpus.noises(self.part)[recording]
            clusters["noise"] = facts["name"]
            tags |= {"noise_class": facts["family"], "noise_seen": "seen" if facts["seen"] else "unseen"}
        if voice is not None and recording is not None:
            mixture, target = mix(speech, noise, snr_db, level_dbfs, self.corpus.sample_rate)
            tags["snr_db"] = f"{snr_db:g}"
        else:
            mixture, target = set_level(speech + noise, speech, level_dbfs)
        return Example(
            mixture=torch.from_numpy(mixture)[None],
            target=torch.from_numpy(target)[None, None],
            index=index,
            name=f"{self.part}-{index:03d}",
            clusters=clusters,
            tags=tags,
        )


class TrainingMixtures(Dataset[Example]):
    """Endless training examples: a pure function of (seed, index)."""

    def __init__(self, maker: MixtureMaker, seed: int, snr_db: tuple[float, float]) -> None:
        self.maker = maker
        self.seed = seed
        self.snr_db = snr_db
        self.n_voices = len(maker.corpus.voices(maker.part))
        self.family_names = sorted(maker.families)

    def __getitem__(self, index: int) -> Example:
        """Draw a voice evenly, a noise by family and recording evenly, and a ratio uniformly."""
        random = generator(self.seed, index, Stream.TRAIN)
        voice = int(random.integers(self.n_voices))
        recordings = self.maker.families[self.family_names[int(random.integers(len(self.family_names)))]]
        recording = recordings[int(random.integers(len(recordings)))]
        return self.maker.make(random, index, "dry", voice, recording, random.uniform(*self.snr_db))


class PlannedMixtures(Dataset[Example], TestSet):
    """Fixed items, each with its kind, voice, noise recording and ratio written in a plan."""

    n_sources = 1

    def __init__(
        self,
        maker: MixtureMaker,
        plan: list[tuple[str, int | None, int | None, float]],
        stream: Stream,
        content: str,
    ) -> None:
        self.maker = maker
        self.plan = plan
        self.stream = stream
        self.content = content
        self.sample_rate = maker.corpus.sample_rate

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.plan)

    def __getitem__(self, index: int) -> Example:
        """Make an item."""
        if not 0 <= index < len(self.plan):
            raise IndexError(index)
        kind, voice, recording, snr_db = self.plan[index]
        random = generator(FIXED_SEED, index, self.stream)
        return self.maker.make(random, index, kind, voice, recording, snr_db)

    def name(self, index: int) -> str:
        """Return what an item is called."""
        return f"{self.maker.part}-{index:03d}"

    def fingerprint(self) -> str:
        """Return a hash of the plan and of the corpus it draws from."""
        return hash_of({"plan": self.plan, "n_samples": self.maker.n_samples, "content": self.content})


def plan_items(
    maker: MixtureMaker, stream: Stream, n_noisy: int, n_clean: int, n_noise: int
) -> list[tuple[str, int | None, int | None, float]]:
    """Plan fixed items in which voices, ratios and noise families meet in equal parts.

    Voices and ratios go round together so that each voice meets every ratio; noise families, where some were
    never heard in training, are half of these and half of the others, in a fixed random order.
    """
    random = generator(FIXED_SEED, 0, Stream.TEST_PLAN if stream == Stream.TEST else Stream.VALID)
    n_voices = len(maker.corpus.voices(maker.part))
    heard = {facts["family"] for facts in maker.corpus.noises(maker.part) if facts["seen"]}
    seen = sorted(heard & set(maker.families))
    unseen = sorted(set(maker.families) - heard)
    halves = [seen, unseen] if unseen else [seen, seen]
    # Every family equally often within its half, in an order that knows nothing of voices and ratios.
    orders = [
        random.permutation([half[turn % len(half)] for turn in range(-(-n_noisy // 2) + 2)])
        for half in halves
    ]
    used: dict[str, int] = {}

    def recording(family: str) -> int:
        turn = used.get(family, 0)
        used[family] = turn + 1
        return maker.families[family][turn % len(maker.families[family])]

    plan: list[tuple[str, int | None, int | None, float]] = []
    turns = [0, 0]
    for item in range(n_noisy):
        row, voice = divmod(item, n_voices)
        half = (voice // len(TEST_SNRS_DB) + row) % 2
        family = str(orders[half][turns[half] % len(orders[half])])
        turns[half] += 1
        snr_db = TEST_SNRS_DB[(voice + row) % len(TEST_SNRS_DB)]
        plan.append(("dry", voice, recording(family), snr_db))
    plan += [("clean", 5 * item % n_voices, None, 0.0) for item in range(n_clean)]
    both = [family for pair in zip(seen, unseen or seen, strict=False) for family in pair]
    plan += [("noise", None, recording(both[item % len(both)]), 0.0) for item in range(n_noise)]
    return plan
