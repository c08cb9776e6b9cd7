"""One's own ready pairs (`data=folder data.root=DIR`): folders of mixtures beside their targets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from audiocx.data.batch import Example
from audiocx.data.cache import cache_folder, hash_of
from audiocx.data.folder_pieces import FixedPieces, PairReader, TrainingPieces
from audiocx.data.guard import contents_of_pairs, contents_of_test, refuse_leaks
from audiocx.data.module import ITEM_SECONDS, SpectralDataModule
from audiocx.data.pairs import Pair, find_layout, find_pairs, first_problem
from audiocx.data.ready import ReadyTestSet, clusters_and_tags, read_index
from audiocx.data.settings import check_least
from audiocx.data.survey import OpenedPair, Survey
from audiocx.data.test_set import TestSet
from audiocx.errors import DataError, describe
from audiocx.signal.stft import STFT

log = logging.getLogger(__name__)

VALID_SHARE = 0.1
"""Share of the training pairs that is held out where there is no `valid` folder."""


class FolderDataModule(SpectralDataModule):
    """Ready pairs in `root/train`, `root/valid`, `root/test`.

    Each holds `noisy/` and `clean/`, or `mixture/` and `speaker_1/`, `speaker_2/`, …. Files of any rate and
    channel count: they are resampled once into the cache. Everything wrong with training data is found before
    training. Without `valid`, a tenth of the training pairs is held out by a hash of their names; without
    `test`, the validation pairs are scored, in full length. The log says so.

    Args:
        stft: the Separator's STFT; its rate is that of the examples.
        seed: of the training examples.
        root: the folder.
        batch_size: examples in a batch.
        segment_seconds: length of a training example.
        valid_items: at most so many validation pairs are used, spread over the folder.
        channel: which channel is taken: `first`, `mean`, or `random`, drawn for each example.
        num_workers: background processes that read.
        start_method: how they start.
        cache_dir: where resampled copies are kept; null is the user's cache folder.
        test: folder of a ready test set to take in place of `root/test`.

    Raises:
        ConfigError: a setting does not fit.
        DataError: the folder has no such layout.
    """

    def __init__(
        self,
        stft: STFT,
        seed: int,
        root: str,
        batch_size: int = 8,
        segment_seconds: float = 2.0,
        valid_items: int = 48,
        channel: str = "first",
        num_workers: int = 1,
        start_method: str | None = None,
        cache_dir: str | None = None,
        test: str | None = None,
    ) -> None:
        super().__init__(stft, seed, batch_size, segment_seconds, num_workers, start_method, test, channel)
        check_least(1, "valid_items", valid_items)
        self.root = Path(root).expanduser()
        self.valid_items = valid_items
        self.cache = cache_folder(cache_dir)
        self._parts: dict[str, list[OpenedPair]] = {}
        self._is_guarded = False
        self.n_sources = len(find_layout(self._first_part()).sources)

    def _first_part(self) -> Path:
        """The folder whose layout is that of all; `train`, or `test` where there is nothing to train on."""
        if not self.root.is_dir():
            raise DataError(
                describe(f"{self.root}: no such folder", do="set data.root to the folder of pairs")
            )
        for part in ("train", "valid", "test"):
            if (self.root / part).is_dir():
                return self.root / part
        raise DataError(
            describe(
                f"{self.root}: neither train/ nor test/ in it",
                expected="train/noisy, train/clean and so on below data.root",
                do="for a test set without these folders use data.test",
            )
        )

    def prepare_data(self) -> None:
        """Open all files, once on each machine; copies and facts are kept in the cache."""
        self._open()

    def setup(self, stage: str | None = None) -> None:
        """Open the files, and check that the parts go together and share nothing.

        Raises:
            DataError: they do not, or something stands in two of them.
        """
        super().setup(stage)
        if stage in (None, "fit", "validate"):
            self._open()
            self._refuse_leaks()

    def _refuse_leaks(self) -> None:
        """Stop where a file, or a speaker, recording or room that an `index.csv` names, is in two parts.

        Where the validation pairs were held out of the training folder, only files are compared there: they were
        parted by talker, and may share a noise.
        """
        if self._is_guarded:
            return
        parts = []
        has_valid = (self.root / "valid").is_dir()
        for part, pairs in self._open().items():
            rows = self._rows_of(part) if part == "train" or has_valid else {}
            parts.append(contents_of_pairs(part, pairs, rows))
        if self.test is not None or (self.root / "test").is_dir():
            test = self.test_set()
            if isinstance(test, ReadyTestSet):
                parts.append(contents_of_test(test, []))
        refuse_leaks(parts)
        self._is_guarded = True

    def _open(self) -> dict[str, list[OpenedPair]]:
        """Open the training and validation pairs.

        Raises:
            DataError: anything is wrong with any of them.
        """
        if self._parts:
            return self._parts
        listed = self._list_pairs()
        survey = Survey(self.root, self.sample_rate, self.cache)
        opened = {part: survey.open_pairs(pairs) for part, pairs in listed.items()}
        for part, pairs in opened.items():
            sources = [facts for pair in pairs for facts in pair.facts]
            for count, what in (
                (sum(facts.is_narrow for facts in sources), "have nothing above 4 kHz"),
                (sum(facts.is_silent for facts in sources), "are silent"),
            ):
                if count:
                    log.warning("%s: %d of %d sources %s", self.root / part, count, len(sources), what)
        self._parts = opened
        return opened

    def _list_pairs(self) -> dict[str, list[Pair]]:
        """List the pairs of `train` and `valid`, checked for partners."""
        train = self._pairs_of("train")
        if (self.root / "valid").is_dir():
            valid = self._pairs_of("valid")
        else:
            held_out = self._held_out(train)
            valid = [pair for pair in train if pair.name in held_out]
            train = [pair for pair in train if pair.name not in held_out] or train
            log.warning(
                "%s: no valid/ folder; %d of %d training pairs, chosen by a hash of their names, are held out",
                self.root,
                len(valid),
                len(valid) + len(train),
            )
        step = max(1, -(-len(valid) // self.valid_items))
        return {"train": train, "valid": valid[::step]}

    def _rows_of(self, part: str) -> dict[str, dict[str, str]]:
        """Rows of a part's `index.csv`, by pair; none where there is no such file."""
        layout = find_layout(self.root / part)
        return read_index(self.root / part / "index.csv", {layout.mixture, *layout.sources})

    def _held_out(self, pairs: Sequence[Pair]) -> set[str]:
        """Choose training pairs for validation, all of a talker's or none where an `index.csv` names talkers."""
        rows = self._rows_of("train")
        talkers = {name: clusters_and_tags(row)[0].get("talker", "") for name, row in rows.items()}
        return held_out_names([pair.name for pair in pairs], talkers)

    def _pairs_of(self, part: str) -> list[Pair]:
        layout = find_layout(self.root / part)
        if len(layout.sources) != self.n_sources:
            raise DataError(
                describe(
                    f"{layout.folder}: another number of sources than in {self._first_part()}",
                    expected=self.n_sources,
                    got=len(layout.sources),
                )
            )
        pairs = find_pairs(layout)
        problem = first_problem(pairs)
        if problem:
            raise DataError(problem)
        return pairs

    def make_train(self) -> Dataset[Example]:
        """Return the endless training pieces."""
        n_samples = max(1, round(self.segment_seconds * self.sample_rate))
        return TrainingPieces(PairReader(self._open()["train"], n_samples, self.channel), self.seed)

    def make_valid(self) -> Dataset[Example]:
        """Return one piece of 4 s of each validation pair."""
        n_samples = round(ITEM_SECONDS * self.sample_rate)
        return FixedPieces(PairReader(self._open()["valid"], n_samples, self.channel))

    def make_test(self) -> TestSet:
        """Return the items of `test`, or the validation pairs in full length where there is no such folder."""
        for part in ("test", "valid"):
            if (self.root / part).is_dir():
                if part == "valid":
                    log.warning("%s: no test/ folder; the validation pairs are scored", self.root)
                return ReadyTestSet(self.root / part, self.sample_rate, self.channel)
        names = self._held_out(self._pairs_of("train"))
        log.warning("%s: no test/ folder; the %d held-out pairs are scored", self.root, len(names))
        return ReadyTestSet(self.root / "train", self.sample_rate, self.channel, names)

    def fingerprint(self) -> str:
        """Return a hash of the bytes of the training and validation files, and of how they are read."""
        content = {part: [pair.content for pair in pairs] for part, pairs in self._open().items()}
        return hash_of([content, self.sample_rate, self.segment_seconds, self.channel])

    def describe(self) -> dict[str, Any]:
        """Return sizes, and how many sources have nothing above 4 kHz or are silent."""
        parts = self._open()
        minutes = {
            part: round(sum(pair.n_samples for pair in pairs) / self.sample_rate / 60, 1)
            for part, pairs in parts.items()
        }
        every = [facts for pairs in parts.values() for pair in pairs for facts in pair.facts]
        return {
            "pairs": {part: len(pairs) for part, pairs in parts.items()},
            "minutes": minutes,
            "sources": self.n_sources,
            "narrow_band_sources": sum(facts.is_narrow for facts in every),
            "silent_sources": sum(facts.is_silent for facts in every),
        }


def held_out_names(names: Sequence[str], talkers: Mapping[str, str] | None = None) -> set[str]:
    """Choose a tenth of some names, at least one, by a hash of each: new files change no old file's side much.

    Args:
        names: of pairs.
        talkers: by name, where known: names of one talker stay together, unless there is one talker only.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        talker = (talkers or {}).get(name)
        groups.setdefault(f"talker {talker}" if talker else name, []).append(name)
    if len(groups) == 1:
        groups = {name: [name] for name in names}
    wanted = max(1, round(VALID_SHARE * len(names)))
    chosen: set[str] = set()
    for key in sorted(groups, key=lambda key: hash_of(key)):
        if len(chosen) < wanted:
            chosen |= set(groups[key])
    return chosen
