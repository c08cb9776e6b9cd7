"""A ready test set: a folder of mixtures and targets, with an `index.csv` of tags where there is one."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from audiocx.audio.files import read
from audiocx.audio.find import audio_suffixes
from audiocx.audio.resampling import resample
from audiocx.data.batch import Example
from audiocx.data.cache import hash_of, hash_of_file
from audiocx.data.pairs import Pair, find_layout, find_pairs
from audiocx.data.randomness import Stream, generator
from audiocx.data.recording import choose_channel, probe_pair
from audiocx.data.table import read_csv
from audiocx.data.test_set import TestSet
from audiocx.errors import AudioFileError, DataError, describe

log = logging.getLogger(__name__)

DEFAULT_KIND = {1: "noisy"}
"""What an item is called that no row of an `index.csv` speaks of; with several sources it is `mixture`."""

TALKER_COLUMNS = ("speaker", "talker")
NOISE_COLUMNS = ("noise",)
ROOM_COLUMNS = ("room", "rir")


class ReadyTestSet(TestSet):
    """Items of a folder; one whose files do not fit fails when it is fetched, and alone.

    Args:
        folder: holds `noisy/` and `clean/`, or `mixture/` and `speaker_1/`, `speaker_2/`, …
        sample_rate: to which files are resampled, in Hz.
        channel: `first`, `mean` or `random`.
        names: the items to take; None is all.

    Raises:
        DataError: no such folder, neither layout, no audio, or an `index.csv` that cannot be matched.
    """

    def __init__(
        self, folder: Path, sample_rate: int, channel: str = "first", names: Collection[str] | None = None
    ) -> None:
        layout = find_layout(folder)
        self.folder = folder
        self.sample_rate = sample_rate
        self.channel = channel
        self.n_sources = len(layout.sources)
        self.pairs = [pair for pair in find_pairs(layout) if names is None or pair.name in names]
        self.rows = read_index(folder / "index.csv", {layout.mixture, *layout.sources})
        present = {pair.name for pair in self.pairs}
        if self.rows and names is None:
            missing = sum(name not in self.rows for name in present)
            unknown = sum(name not in present for name in self.rows)
            if missing or unknown:
                log.warning(
                    "%s: %d of %d items have no row (their kind is `%s`), %d rows have no item",
                    folder / "index.csv",
                    missing,
                    len(present),
                    self._default_kind,
                    unknown,
                )

    @property
    def _default_kind(self) -> str:
        return DEFAULT_KIND.get(self.n_sources, "mixture")

    def __len__(self) -> int:
        """Return the number of items, broken ones included."""
        return len(self.pairs)

    def name(self, index: int) -> str:
        """Return an item's path below its folder, without suffix."""
        return self.pairs[index].name

    def __getitem__(self, index: int) -> Example:
        """Read an item.

        Raises:
            AudioFileError: a file is missing, broken, no audio, or their lengths differ.
        """
        pair = self.pairs[index]
        if pair.problem:
            raise AudioFileError(pair.problem)
        probe_pair(pair.mixture, pair.sources)
        turn = int(generator(0, index, Stream.CHANNEL).integers(2**31))
        waveforms = [self._read(path, turn) for path in (pair.mixture, *pair.sources)]
        n_samples = min(waveform.shape[1] for waveform in waveforms)
        stacked = np.stack([waveform[:, :n_samples] for waveform in waveforms])
        clusters, tags = clusters_and_tags(self.rows.get(pair.name, {}))
        tags.setdefault("kind", self._default_kind)
        return Example(
            mixture=torch.from_numpy(stacked[0]),
            target=torch.from_numpy(stacked[1:]),
            index=index,
            name=pair.name,
            clusters=clusters,
            tags=tags,
        )

    def _read(self, path: Path, turn: int) -> np.ndarray:
        waveform, rate = read(path)
        return resample(choose_channel(waveform, self.channel, turn), rate, self.sample_rate)

    def fingerprint(self) -> str:
        """Return a hash of the files' bytes and of how they are read, wherever the folder lies."""
        return hash_of([fingerprint_of(self.pairs), self.rows, self.sample_rate, self.channel])


def fingerprint_of(pairs: list[Pair]) -> str:
    """Hash the names and bytes of pairs."""
    content = []
    for pair in pairs:
        files = [path for path in (pair.mixture, *pair.sources) if path.is_file()]
        content.append([pair.name, [hash_of_file(path) for path in files]])
    return hash_of(content)


def read_index(file: Path, folders: set[str]) -> dict[str, dict[str, str]]:
    """Read the rows of an `index.csv` by item name; empty where there is no such file.

    Rows are matched by `name` (as `007.flac`) or `path` (as `noisy/007.flac`), without suffix and without the
    name of one of the layout's folders in front.

    Raises:
        DataError: the file cannot be read, has neither column, or names an item twice.
    """
    if not file.is_file():
        return {}
    columns, lines = read_csv(file)
    column = next((key for key in ("name", "path") if key in columns), None)
    if column is None:
        raise DataError(
            describe(
                f"{file}: rows cannot be matched to files",
                expected="a column `name` or `path`",
                got=", ".join(columns) or "no header",
            )
        )
    rows: dict[str, dict[str, str]] = {}
    for line in lines:
        name = item_name(line[column], folders)
        if not name:
            continue
        if name in rows:
            raise DataError(describe(f"{file}: two rows for `{name}`", do="keep one"))
        rows[name] = {key: value for key, value in line.items() if key not in ("", "name", "path") and value}
    return rows


def item_name(text: str, folders: set[str]) -> str:
    """Reduce a file's name or path, as tables write it, to the name of its item."""
    path = PurePosixPath(text.strip().replace("\\", "/"))
    if path.suffix.lower() in audio_suffixes():
        path = path.with_suffix("")
    parts = path.parts
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] in folders else parts)


def clusters_and_tags(row: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Split a row into what statistics treat as random and what scores are grouped by.

    Several talkers (`speaker_1`, `speaker_2`) make one cluster of both names, in alphabetical order.
    """
    clusters: dict[str, str] = {}
    talkers = [row[key] for key in TALKER_COLUMNS if key in row][:1]
    talkers += sorted(value for key, value in row.items() if key.startswith("speaker_"))
    if talkers:
        clusters["talker"] = "+".join(talkers)
    for cluster, columns in (("noise", NOISE_COLUMNS), ("room", ROOM_COLUMNS)):
        found = [row[key] for key in columns if key in row]
        if found:
            clusters[cluster] = found[0]
    tags = dict(row)
    for key in ("snr_db", "ratio_db"):
        if key in tags:
            tags[key] = _shortest_number(tags[key])
    return clusters, tags


def _shortest_number(text: str) -> str:
    """Write `-5.0` as `-5`, so that sets written by different programs group alike; other text stays."""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text
