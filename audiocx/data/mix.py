"""One's own recordings, mixed on the fly (`data=mix data.speech=… data.noise=… data.rir=…`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from audiocx.data.augmentation import Augmentation, Augmenter
from audiocx.data.batch import Example
from audiocx.data.cache import cache_folder, hash_of
from audiocx.data.draws import Noise, Rooms, Speech
from audiocx.data.mix_examples import FixedMixes, TrainingMixes
from audiocx.data.mix_maker import MixMaker, MixSettings
from audiocx.data.mix_sources import MixSources
from audiocx.data.module import ITEM_SECONDS, SpectralDataModule
from audiocx.data.parts import PARTS
from audiocx.data.randomness import Stream
from audiocx.data.ready import ReadyTestSet
from audiocx.data.settings import as_range, as_texts, check_least, check_path, check_share
from audiocx.data.test_set import TestSet
from audiocx.errors import ConfigError, DataError, describe
from audiocx.signal.stft import STFT

log = logging.getLogger(__name__)

TEST_ALONE_SHARE = 0.05
"""Of the test items: clean speech, and noise alone, each."""


class MixDataModule(SpectralDataModule):
    """Speech, noise and room responses of one's own, mixed on the fly.

    Args:
        stft: the Separator's STFT; its rate is that of the examples.
        seed: of the training examples.
        speech: a folder or CSV of speech.
        noise: a folder or CSV of noise.
        rir: a folder or CSV of room responses; null leaves all speech dry.
        splits: a CSV with `split` and `path`, `speaker`, `recording`, `group` or `room`; null takes the tables'
            column `split`, else a hash.
        where: an expression that rows must fulfil, for the tables that have its columns; or one for each table.
        pools: patterns of speakers' names that stand for several unnamed people.
        batch_size: examples in a batch.
        segment_seconds: length of a training example.
        snr_db: range of the training ratio in dB: speech over its active frames to noise over the whole piece.
        level_dbfs: range of the mixture's level in dB of full scale.
        reverberation_probability: share of the talkers that stand in a room.
        second_noise_probability: share of the noises with a second, softer one.
        noise_only_probability: share of the examples without speech.
        clean_probability: share of the examples without noise.
        valid_items: number of validation items of 4 s.
        test_items: number of test items of 4 s.
        num_workers: background processes that mix.
        start_method: how they start.
        cache_dir: where decoded sound is kept; null is the user's cache folder.
        cache_gigabytes: at most so much for each table, else its files are read each time; null is half of the
            free space.
        test: folder of a ready test set to take in place of the tables' own test part.
        channel: which channel of a file is taken: `first`, `mean` or `random`; of responses always any.
        augmentation: variations of training examples by name, applied in this order.

    Raises:
        ConfigError: a setting does not fit.
    """

    def __init__(
        self,
        stft: STFT,
        seed: int,
        speech: str,
        noise: str,
        rir: str | None = None,
        splits: str | None = None,
        where: str | Mapping[str, str | None] | None = None,
        pools: Sequence[str] = ("pool-*",),
        batch_size: int = 8,
        segment_seconds: float = 2.0,
        snr_db: tuple[float, float] = (-6.0, 16.0),
        level_dbfs: tuple[float, float] = (-36.0, -16.0),
        reverberation_probability: float = 0.3,
        second_noise_probability: float = 0.2,
        noise_only_probability: float = 0.0,
        clean_probability: float = 0.0,
        valid_items: int = 60,
        test_items: int = 120,
        num_workers: int = 1,
        start_method: str | None = None,
        cache_dir: str | None = None,
        cache_gigabytes: float | None = None,
        test: str | None = None,
        channel: str = "first",
        augmentation: Mapping[str, Augmentation] | None = None,
    ) -> None:
        super().__init__(stft, seed, batch_size, segment_seconds, num_workers, start_method, test, channel)
        probabilities = {
            "reverberation_probability": reverberation_probability,
            "second_noise_probability": second_noise_probability,
            "noise_only_probability": noise_only_probability,
            "clean_probability": clean_probability,
        }
        for name, value in probabilities.items():
            check_share(name, value)
        if noise_only_probability + clean_probability > 1:
            raise ConfigError(describe("data.noise_only_probability and clean_probability pass 1 together"))
        paths = {"speech": speech, "noise": noise, "rir": rir, "splits": splits, "cache_dir": cache_dir}
        for name, path in paths.items():
            if path is not None or name in ("speech", "noise"):
                check_path(name, path)
        if cache_gigabytes is not None:
            check_least(0.0, "cache_gigabytes", cache_gigabytes)
        check_least(1, "valid_items", valid_items)
        check_least(1, "test_items", test_items)
        self.settings = MixSettings(
            snr_db=as_range("snr_db", snr_db),
            level_dbfs=as_range("level_dbfs", level_dbfs),
            **probabilities,
        )
        self.sources = MixSources(
            {"speech": speech, "noise": noise} | ({} if rir is None else {"rir": rir}),
            splits,
            where,
            self.sample_rate,
            channel,
            cache_folder(cache_dir),
            cache_gigabytes,
            needs_test=test is None,
        )
        self.pools = as_texts("pools", pools)
        self.valid_items = valid_items
        self.test_items = test_items
        self.augmenter = Augmenter(augmentation or {})
        self._is_guarded = False

    def prepare_data(self) -> None:
        """Read the tables and decode the files, once on each machine."""
        self.sources.open()

    def setup(self, stage: str | None = None) -> None:
        """Open everything, and check that nothing stands in two parts.

        Raises:
            DataError: something does, or a part is empty.
        """
        super().setup(stage)
        self._refuse_leaks()

    def _refuse_leaks(self) -> None:
        """Stop, once, where something stands in two parts.

        Raises:
            DataError: names what.
        """
        if not self._is_guarded:
            test = None if self.test is None else self.test_set()
            self.sources.refuse_leaks(test if isinstance(test, ReadyTestSet) else None)
            self._is_guarded = True

    def _maker(self, part: str, seconds: float) -> MixMaker:
        speech = Speech(self.sources.sounds("speech"), self.sources.rows("speech", part), self.pools)
        noise = Noise(self.sources.sounds("noise"), self.sources.rows("noise", part))
        for kind, is_empty in (("speech", not speech.talkers), ("noise", not noise.classes)):
            if is_empty:
                raise DataError(
                    describe(
                        f"data.{kind}={self.sources.places[kind]}: nothing but silence,"
                        f" or nothing at all, for {part}"
                    )
                )
        rooms = None
        if "rir" in self.sources.places and self.settings.reverberation_probability > 0:
            rooms = Rooms(self.sources.sounds("rir"), self.sources.rows("rir", part))
            if not rooms.rooms:
                log.warning("data.rir=%s: no responses for %s: it is dry", self.sources.places["rir"], part)
                rooms = None
        n_samples = max(1, round(seconds * self.sample_rate))
        return MixMaker(speech, noise, rooms, n_samples, self.settings, part)

    def make_train(self) -> Dataset[Example]:
        """Return the endless training examples."""
        return TrainingMixes(self._maker("train", self.segment_seconds), self.seed, self.augmenter)

    def make_valid(self) -> Dataset[Example]:
        """Return the validation items."""
        return self.make_like_valid("valid", self.valid_items)

    def make_like_valid(self, part: str, n_items: int) -> FixedMixes:
        """Return items of `train`, `valid` or `test`, made as the validation items are: gains can be compared."""
        return FixedMixes(self._maker(part, ITEM_SECONDS), n_items, Stream.VALID, self._content(part))

    def make_test(self) -> TestSet:
        """Return the items of the tables' own test part.

        Raises:
            DataError: something of it stands in another part; whoever scores it need not have called `setup`.
        """
        self._refuse_leaks()
        maker = self._maker("test", ITEM_SECONDS)
        n_alone = int(TEST_ALONE_SHARE * self.test_items)
        return FixedMixes(maker, self.test_items, Stream.TEST, self._content("test"), n_alone)

    def _content(self, *parts: str) -> str:
        """Hash the sounds of parts, their facts and how they are mixed, wherever the files lie."""
        settings = [
            self.settings.snr_db, self.settings.level_dbfs, self.settings.reverberation_probability,
            self.settings.second_noise_probability, self.settings.noise_only_probability,
            self.settings.clean_probability, self.pools, self.channel, self.sample_rate, self.valid_items,
            self.test_items,
        ]  # fmt: skip
        return hash_of([self.sources.content(*parts), settings])

    def fingerprint(self) -> str:
        """Return a hash of all sounds, of their rows, and of how they are mixed; the seed is not part of it."""
        return hash_of([self._content(*PARTS), self.segment_seconds, self.augmenter.describe()])

    def describe(self) -> dict[str, Any]:
        """Return sizes by part, how the parts were decided, and what augments the training examples."""
        return self.sources.describe() | {"augmentation": self.augmenter.describe()}
