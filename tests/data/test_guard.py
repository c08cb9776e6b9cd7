from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocx.data.folder import FolderDataModule
from audiocx.data.mix import MixDataModule
from audiocx.errors import DataError
from audiocx.signal.stft import STFT

from .conftest import speechlike, write

RATE = 16000


class Recordings:
    """Tables that a test can spoil before it opens them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, list[dict[str, str]]] = {"speech": [], "noise": [], "rir": []}
        for place, part in enumerate(("train", "valid", "test")):
            for number, kind in enumerate(self.rows):
                path = f"{part}.wav"
                write(root / kind / path, speechlike(10 * place + number, 0.3, RATE), RATE)
                row = {"path": path, "split": part, "recording": f"{kind}-{part}", "group": f"g-{kind}-{part}",
                       "author": "one", "speaker": f"s-{part}", "room": f"room-{part}", "corpus": "c"}  # fmt: skip
                self.rows[kind].append(row)

    def setup(self, test: Path | None = None) -> None:
        for kind, rows in self.rows.items():
            with (self.root / kind / "index.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        data = MixDataModule(
            STFT(), 0, **{kind: str(self.root / kind) for kind in self.rows}, num_workers=0,
            cache_dir=str(self.root / "cache"), test=None if test is None else str(test),
        )  # fmt: skip
        data.prepare_data()
        data.setup("fit")


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path)


def test_an_author_may_stand_in_two_parts(recordings: Recordings) -> None:
    recordings.setup()


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("speech", "speaker", "pool-9"),
        ("speech", "recording", "r"),
        ("speech", "group", "g"),
        ("noise", "recording", "r"),
        ("noise", "group", "g"),
        ("rir", "room", "kitchen"),
    ],
)
@pytest.mark.parametrize("parts", [(0, 1), (0, 2), (1, 2)])
def test_a_name_in_two_parts_is_refused(
    recordings: Recordings, kind: str, column: str, value: str, parts: tuple[int, int]
) -> None:
    for part in parts:
        recordings.rows[kind][part][column] = value
    names = [("train", "valid", "test")[part] for part in parts]
    with pytest.raises(
        DataError, match=rf"{kind} {column} `.*{value}` in {names[0]} and in {names[1]}"
    ) as caught:
        recordings.setup()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_same_sound_under_two_names_is_refused(recordings: Recordings) -> None:
    samples = np.rint(speechlike(77, 0.3, RATE)[0] * 32768).astype(np.int16)
    soundfile.write(recordings.root / "speech" / "train.wav", samples, RATE)
    soundfile.write(recordings.root / "speech" / "other.flac", samples, RATE)
    recordings.rows["speech"][2]["path"] = "other.flac"
    with pytest.raises(DataError, match=r"train\.wav in train and .*other\.flac in test are the same sound"):
        recordings.setup()


def test_silence_is_nobodys(recordings: Recordings) -> None:
    for part in ("train", "test"):
        path = f"silent-{part}.wav"
        write(recordings.root / "noise" / path, np.zeros((1, 500), np.float32), RATE)
        own = {"path": path, "split": part, "recording": path, "group": path, "speaker": path}
        recordings.rows["noise"].append(recordings.rows["noise"][0] | own)
    recordings.setup()


def ready(folder: Path, **columns: str) -> Path:
    write(folder / "noisy" / "0.wav", speechlike(500, 0.3, RATE), RATE)
    write(folder / "clean" / "0.wav", speechlike(501, 0.3, RATE), RATE)
    (folder / "index.csv").write_text(
        ",".join(["name", *columns]) + "\n" + ",".join(["0.wav", *columns.values()]) + "\n"
    )
    return folder


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("speaker", "s-train", "speech speaker `c/s-train`"),
        ("speaker_2", "s-valid", "speech speaker `c/s-valid`"),
        ("noise", "noise-train", "noise recording `noise-train`"),
        ("rir", "train.wav", "rir room `room-train`"),
        ("room", "room-valid", "rir room `room-valid`"),
    ],
)
def test_a_ready_test_set_is_compared(
    recordings: Recordings, tmp_path: Path, column: str, value: str, what: str
) -> None:
    with pytest.raises(DataError, match=f"{what} in (train|valid) and in .*ready"):
        recordings.setup(ready(tmp_path / "ready", **{column: value}))


def test_a_ready_test_set_may_be_made_of_the_test_part(recordings: Recordings, tmp_path: Path) -> None:
    folder = ready(tmp_path / "ready", speaker="s-test", noise="noise-test", rir="test.wav")
    shutil.copy(recordings.root / "speech" / "test.wav", folder / "clean" / "0.wav")
    recordings.setup(folder)
    shutil.copy(recordings.root / "speech" / "valid.wav", folder / "clean" / "0.wav")
    with pytest.raises(DataError, match=r"valid\.wav in valid and .*0\.wav in .*ready are the same sound"):
        recordings.setup(folder)


def open_folder(root: Path, cache: Path, test: Path | None = None) -> None:
    name = None if test is None else str(test)
    data = FolderDataModule(STFT(), 0, str(root), num_workers=0, cache_dir=str(cache), test=name)
    data.prepare_data()
    data.setup("fit")


def test_folders_of_pairs_are_compared_too(pairs: Callable[..., Path], tmp_path: Path) -> None:
    root = pairs("set/train", count=2, seconds=0.4).parent
    for part in ("valid", "test"):
        pairs(f"set/{part}", count=2, seconds=0.4)
    silence = np.zeros((1, 6400), np.float32)
    for part in ("train", "valid", "test"):
        write(root / part / "clean" / "001.wav", silence, RATE)  # noise alone: its target is everybody's
    open_folder(root, tmp_path / "cache")
    shutil.copy(root / "train" / "clean" / "000.wav", root / "test" / "clean" / "000.wav")
    with pytest.raises(
        DataError, match=r"train/000 in train and .*clean/000\.wav in .*test are the same sound"
    ):
        open_folder(root, tmp_path / "cache")
    other = pairs("other", count=1, seconds=0.4)
    open_folder(root, tmp_path / "cache", other)
    for folder, name in ((root / "train", "ann"), (root / "valid", "bob"), (other, "ann")):
        (folder / "index.csv").write_text(f"name,speaker\n000.wav,{name}\n")
    with pytest.raises(DataError, match=r"speech speaker `ann` in train and in .*other"):
        open_folder(root, tmp_path / "cache", other)
