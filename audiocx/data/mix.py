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
from audiocx.data.examples import FixedMixes, MixMaker, MixSettings, TrainingMixes
from audiocx.data.guard import contents_of, contents_of_test, refuse_leaks
from audiocx.data.module import SpectralDataModule
from audiocx.data.randomness import Stream
from audiocx.data.ready import ReadyTestSet
from audiocx.data.sounds import Sounds, open_sounds
from audiocx.data.synthetic import as_range
from audiocx.data.table import (
    KINDS,
    PARTS,
    Row,
    Table,
    assign_parts,
    check_files,
    keep_rows,
    read_splits,
    read_table,
)
from audiocx.data.test_set import TestSet
from audiocx.data.where import columns_of, row_filter
from audiocx.errors import ConfigError, DataError, describe, nearest
from audiocx.signal.stft import STFT

log = logging.getLogger(__name__)

ITEM_SECONDS = 4.0
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
            if not 0 <= value <= 1:
                raise ConfigError(describe(f"data.{name} does not fit", expected="0 to 1", got=value))
        if noise_only_probability + clean_probability > 1:
            raise ConfigError(describe("data.noise_only_probability and clean_probability pass 1 together"))
        for name, count in (("valid_items", valid_items), ("test_items", test_items)):
            if count < 1:
                raise ConfigError(describe(f"data.{name} does not fit", expected="at least 1", got=count))
        self.settings = MixSettings(
            snr_db=as_range("snr_db", snr_db),
            level_dbfs=as_range("level_dbfs", level_dbfs),
            **probabilities,
        )
        self.sources = {"speech": speech, "noise": noise} | ({} if rir is None else {"rir": rir})
        self.splits = splits
        self.where = _where_by_kind(where)
        self.pools = [pools] if isinstance(pools, str) else list(pools)
        self.valid_items = valid_items
        self.test_items = test_items
        self.augmenter = Augmenter(augmentation or {})
        self.cache = cache_folder(cache_dir)
        self.cache_gigabytes = cache_gigabytes
        self._tables: dict[str, Table] = {}
        self._sounds: dict[str, Sounds] = {}
        self._how: dict[str, str] = {}
        self._is_guarded = False

    def prepare_data(self) -> None:
        """Read the tables and decode the files, once on each machine."""
        self._open()

    def setup(self, stage: str | None = None) -> None:
        """Open everything, and check that nothing stands in two parts.

        Raises:
            DataError: something does, or a part is empty.
        """
        super().setup(stage)
        self._open()
        if not self._is_guarded:
            tables = list(self._tables.values())
            parts = contents_of(tables, [self._sounds[table.kind] for table in tables])
            if self.test is not None and isinstance(ready := self.test_set(), ReadyTestSet):
                # A ready set may be made of the tables' test part: only the other two are held against it.
                test = contents_of_test(ready, tables)
                for part in parts[:2]:
                    refuse_leaks([part, test])
            refuse_leaks(parts)
            self._is_guarded = True

    def _open(self) -> None:
        """Read the tables and open their stores.

        Raises:
            DataError: a table, or a file that it names, is not as it should be.
            ConfigError: `where` does not fit.
        """
        if self._sounds:
            return
        everything = {kind: read_table(source, kind) for kind, source in self.sources.items()}
        tables = self._parts(self._filtered(everything))
        for kind, table in tables.items():
            check_files(table)
            needed = ["train"] if kind == "rir" else ["train", "valid"] + ["test"] * (self.test is None)
            for part in needed:
                if not table.of(part):
                    raise DataError(
                        describe(
                            f"data.{kind}={self.sources[kind]}: no rows for {part} ({self._how[kind]})",
                            expected="rows of train and valid, and of test where data.test is not given",
                            got=", ".join(f"{part} {len(table.of(part))}" for part in PARTS),
                            do="set the column split, or data.splits=FILE",
                        )
                    )
        sounds = {
            kind: open_sounds(
                [row.path for row in everything[kind].rows],
                [row.path for row in table.rows],
                self.sample_rate,
                "random" if kind == "rir" else self.channel,
                self.cache,
                self.cache_gigabytes,
            )
            for kind, table in tables.items()
        }
        self._tables, self._sounds = tables, sounds

    def _filtered(self, tables: dict[str, Table]) -> dict[str, Table]:
        """Keep the rows that `where` asks for."""
        filtered = dict(tables)
        for key, text in self.where.items():
            option = "data.where" if key == "all" else f"data.where.{key}"
            if key == "all":
                named = columns_of(text, option)
                kinds = [kind for kind, table in tables.items() if named <= set(table.columns)]
                if not kinds:
                    known = {column for table in tables.values() for column in table.columns}
                    wrong = sorted(named - known)
                    if wrong:
                        raise ConfigError(
                            describe(f"{option}: no column `{wrong[0]}`", do=nearest(wrong[0], known))
                        )
                    raise ConfigError(
                        describe(
                            f"{option}: no table has all of {', '.join(sorted(named))}",
                            do="set data.where.speech, data.where.noise, data.where.rir",
                        )
                    )
            elif key in tables:
                kinds = [key]
            else:
                raise ConfigError(describe(f"{option} is set without data.{key}"))
            for kind in kinds:
                table = filtered[kind]
                wanted = row_filter(text, table.columns, option)
                rows = [row for row in table.rows if wanted(row.facts)]
                filtered[kind] = keep_rows(table, rows, f"{option} takes none: {text}")
        return filtered

    def _parts(self, tables: dict[str, Table]) -> dict[str, Table]:
        splits = [] if self.splits is None else read_splits(self.splits)
        parted = {}
        for kind, table in tables.items():
            parted[kind], self._how[kind] = assign_parts(table, splits)
        if splits and not any(how.startswith("splits") for how in self._how.values()):
            raise DataError(describe(f"data.splits={self.splits}: names nothing that is in the tables"))
        return parted

    def _rows(self, kind: str, part: str) -> list[Row]:
        self._open()
        return self._tables[kind].of(part)

    def _maker(self, part: str, seconds: float) -> MixMaker:
        speech = Speech(self._sounds_of("speech"), self._rows("speech", part), self.pools)
        noise = Noise(self._sounds_of("noise"), self._rows("noise", part))
        for kind, is_empty in (("speech", not speech.talkers), ("noise", not noise.classes)):
            if is_empty:
                raise DataError(
                    describe(
                        f"data.{kind}={self.sources[kind]}: nothing but silence, or nothing at all, for {part}"
                    )
                )
        rooms = None
        if "rir" in self.sources and self.settings.reverberation_probability > 0:
            rooms = Rooms(self._sounds_of("rir"), self._rows("rir", part))
            if not rooms.rooms:
                log.warning("data.rir=%s: no responses for %s: it is dry", self.sources["rir"], part)
                rooms = None
        n_samples = max(1, round(seconds * self.sample_rate))
        return MixMaker(speech, noise, rooms, n_samples, self.settings, part)

    def _sounds_of(self, kind: str) -> Sounds:
        self._open()
        return self._sounds[kind]

    def make_train(self) -> Dataset[Example]:
        """Return the endless training examples."""
        return TrainingMixes(self._maker("train", self.segment_seconds), self.seed, self.augmenter)

    def make_valid(self) -> Dataset[Example]:
        """Return the validation items."""
        maker = self._maker("valid", ITEM_SECONDS)
        return FixedMixes(maker, self.valid_items, Stream.VALID, self._content("valid"))

    def make_test(self) -> TestSet:
        """Return the items of the tables' own test part."""
        maker = self._maker("test", ITEM_SECONDS)
        n_alone = int(TEST_ALONE_SHARE * self.test_items)
        return FixedMixes(maker, self.test_items, Stream.TEST, self._content("test"), n_alone)

    def _content(self, *parts: str) -> str:
        """Hash the sounds of parts, their facts and how they are mixed, wherever the files lie."""
        self._open()
        rows = []
        for kind, table in self._tables.items():
            store = self._sounds[kind]
            for part in parts:
                for row in table.of(part):
                    sound = store.sounds[store.numbers[str(row.path)]]
                    rows.append([kind, part, sound.sha256, row.facts])
        settings = [
            self.settings.snr_db, self.settings.level_dbfs, self.settings.reverberation_probability,
            self.settings.second_noise_probability, self.settings.noise_only_probability,
            self.settings.clean_probability, self.pools, self.channel, self.sample_rate, self.valid_items,
            self.test_items,
        ]  # fmt: skip
        return hash_of([rows, settings])

    def fingerprint(self) -> str:
        """Return a hash of all sounds, of their rows, and of how they are mixed; the seed is not part of it."""
        return hash_of([self._content(*PARTS), self.segment_seconds, self.augmenter.describe()])

    def describe(self) -> dict[str, Any]:
        """Return sizes by part, the share of narrow-band speech, and how the parts were decided."""
        self._open()
        facts: dict[str, Any] = {}
        for kind, table in self._tables.items():
            store = self._sounds[kind]
            for part in PARTS:
                rows = table.of(part)
                sounds = [store.sounds[store.numbers[str(row.path)]] for row in rows]
                counts: dict[str, Any] = {"files": len(rows)}
                if kind == "rir":
                    counts["rooms"] = len({row.facts["room"] for row in rows})
                else:
                    minutes = sum(sound.n_samples for sound in sounds) / self.sample_rate / 60
                    counts["minutes"] = round(minutes, 1)
                    counts["recordings"] = len({row.facts["recording"] for row in rows})
                    named = "speaker" if kind == "speech" else "class"
                    name = "talkers" if kind == "speech" else "classes"
                    counts[name] = len({(row.facts.get("corpus"), row.facts[named]) for row in rows})
                    counts["narrow_band"] = sum(sound.is_narrow for sound in sounds)
                    counts["silent"] = sum(sound.active_power <= 0 for sound in sounds)
                facts.setdefault(kind, {})[part] = counts
        facts["parts_by"] = dict(self._how)
        facts["augmentation"] = self.augmenter.describe()
        facts["streamed"] = [kind for kind, store in self._sounds.items() if store.is_streamed]
        return facts


def _where_by_kind(where: str | Mapping[str, str | None] | None) -> dict[str, str]:
    """Bring the setting to one form: expressions by table, `all` for those that have the columns.

    Raises:
        ConfigError: an unknown table, or no text.
    """
    if where is None:
        return {}
    given = {"all": where} if not isinstance(where, Mapping) else where
    found = {}
    for key, text in given.items():
        if key not in (*KINDS, "all"):
            raise ConfigError(describe(f"data.where.{key}: no such table", do=nearest(key, KINDS)))
        if text is None:
            continue
        if not isinstance(text, str):
            raise ConfigError(
                describe("data.where is no expression", expected='text, as quality == "good"', got=text)
            )
        found[key] = text
    return found
