"""Synthetic speech and noise (`data=synthetic`): rendered once, mixed on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from audiocx.data.batch import Example
from audiocx.data.cache import hash_of
from audiocx.data.corpus import Corpus, CorpusSettings
from audiocx.data.module import ITEM_SECONDS, SpectralDataModule
from audiocx.data.randomness import Stream
from audiocx.data.rendering import render_corpus
from audiocx.data.settings import as_range
from audiocx.data.synthetic_mixtures import MixtureMaker, PlannedMixtures, TrainingMixtures, plan_items
from audiocx.data.test_set import TestSet
from audiocx.signal.stft import STFT

VALID_ITEMS, TEST_NOISY_ITEMS, TEST_CLEAN_ITEMS, TEST_NOISE_ITEMS = 24, 80, 4, 4


class SyntheticDataModule(SpectralDataModule):
    """The synthetic corpus as training, validation and test data.

    Args:
        stft: the Separator's STFT; its rate is the corpus's rate.
        seed: of the training examples.
        corpus: what is rendered.
        batch_size: examples in a batch.
        segment_seconds: length of a training example.
        snr_db: range of the training ratio in dB, drawn uniformly.
        level_dbfs: range of the mixture's level in dB of full scale, drawn uniformly.
        noise_families: noise families of all three parts; null trains on all that are for training and tests on
            these and on those kept for the test.
        num_workers: background processes that mix.
        start_method: how they start.
        cache_dir: where the corpus is kept; null is the user's cache folder.
        test: folder of a ready test set to take in place of the synthetic one.
        channel: which channel of its files is taken.

    Raises:
        ConfigError: a setting does not fit.
    """

    def __init__(
        self,
        stft: STFT,
        seed: int,
        corpus: CorpusSettings | None = None,
        batch_size: int = 8,
        segment_seconds: float = 2.0,
        snr_db: tuple[float, float] = (-5.0, 10.0),
        level_dbfs: tuple[float, float] = (-35.0, -15.0),
        noise_families: Sequence[str] | None = None,
        num_workers: int = 1,
        start_method: str | None = None,
        cache_dir: str | None = None,
        test: str | None = None,
        channel: str = "first",
    ) -> None:
        super().__init__(stft, seed, batch_size, segment_seconds, num_workers, start_method, test, channel)
        self.settings = CorpusSettings() if corpus is None else corpus
        self.snr_db = as_range("snr_db", snr_db)
        self.level_dbfs = as_range("level_dbfs", level_dbfs)
        self.noise_families = None if noise_families is None else list(noise_families)
        self.cache_dir = cache_dir
        self._corpus: Corpus | None = None

    @property
    def corpus(self) -> Corpus:
        """The corpus, rendered when it is first needed."""
        if self._corpus is None:
            self._corpus = Corpus(render_corpus(self.settings, self.sample_rate, self.cache_dir))
        return self._corpus

    def prepare_data(self) -> None:
        """Render the corpus, once on each machine."""
        render_corpus(self.settings, self.sample_rate, self.cache_dir)

    def _maker(self, part: str, seconds: float) -> MixtureMaker:
        n_samples = max(1, round(seconds * self.sample_rate))
        return MixtureMaker(self.corpus, part, n_samples, self.level_dbfs, self.noise_families)

    def make_train(self) -> Dataset[Example]:
        """Return the endless training examples."""
        return TrainingMixtures(self._maker("train", self.segment_seconds), self.seed, self.snr_db)

    def make_valid(self) -> Dataset[Example]:
        """Return the validation items, of voices never trained on."""
        maker = self._maker("valid", ITEM_SECONDS)
        return PlannedMixtures(
            maker, plan_items(maker, Stream.VALID, VALID_ITEMS, 0, 0), Stream.VALID, self._content()
        )

    def make_test(self) -> TestSet:
        """Return the test items, of voices and partly of noise families never trained on."""
        maker = self._maker("test", ITEM_SECONDS)
        plan = plan_items(maker, Stream.TEST, TEST_NOISY_ITEMS, TEST_CLEAN_ITEMS, TEST_NOISE_ITEMS)
        return PlannedMixtures(maker, plan, Stream.TEST, self._content())

    def _content(self) -> str:
        return hash_of([self.corpus.facts["sha256"], self.corpus.facts["voices"], self.level_dbfs])

    def fingerprint(self) -> str:
        """Return a hash of the corpus's bytes and of how it is mixed; the seed is not part of it."""
        return hash_of([self._content(), self.segment_seconds, self.snr_db, self.noise_families])

    def describe(self) -> dict[str, Any]:
        """Return the corpus's sizes."""
        facts = self.corpus.facts
        parts = facts["voices"]
        return {
            "engine": facts["engine"],
            "voices": {part: len(voices) for part, voices in parts.items()},
            "speech_minutes": {
                part: round(sum(voice["n_samples"] for voice in voices) / self.sample_rate / 60, 1)
                for part, voices in parts.items()
            },
            "noise_families": {
                part: len({noise["family"] for noise in rows}) for part, rows in facts["noises"].items()
            },
            "noise_minutes": {
                part: round(len(rows) * self.corpus.noise_samples(part) / self.sample_rate / 60, 1)
                for part, rows in facts["noises"].items()
            },
        }
