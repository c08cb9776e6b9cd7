from __future__ import annotations

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

from .conftest import RATE, speechlike, table, write

PARTS = ("train", "valid", "test")


class Recordings:
    """Tables that a test can spoil before it opens them."""

    def __init__(self, root: Path, sounds: Path) -> None:
        self.root = root
        self.sounds = sounds
        self.rows: dict[str, list[dict[str, str]]] = {"speech": [], "noise": [], "rir": []}
        for kind, rows in self.rows.items():
            for part in PARTS:
                path = str(sounds / kind / f"{part}.wav")
                rows.append(
                    {"path": path, "split": part, "recording": f"{kind}-{part}", "group": f"g-{kind}-{part}",
                     "author": "one", "speaker": f"s-{part}", "room": f"room-{part}", "corpus": "c"}
                )  # fmt: skip

    def setup(self, test: Path | None = None) -> MixDataModule:
        for kind, rows in self.rows.items():
            (self.root / kind).mkdir(exist_ok=True)
            table(self.root / kind, rows)
        sources = {kind: str(self.root / kind) for kind in self.rows}
        cache, ready = str(self.sounds / "cache"), None if test is None else str(test)
        data = MixDataModule(STFT(), 0, **sources, num_workers=0, cache_dir=cache, test=ready)
        data.prepare_data()
        data.setup("fit")
        return data


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("guarded")
    for place, part in enumerate(PARTS):
        for number, kind in enumerate(("speech", "noise", "rir")):
            write(root / kind / f"{part}.wav", speechlike(10 * place + number, 0.3, RATE), RATE)
    return root


@pytest.fixture
def recordings(tmp_path: Path, sounds: Path) -> Recordings:
    return Recordings(tmp_path, sounds)


def test_an_author_may_stand_in_two_parts(recordings: Recordings) -> None:
    facts = recordings.setup().describe()
    assert [facts["noise"][part]["files"] for part in PARTS] == [1, 1, 1]


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
    for place, name in ((0, "one.wav"), (2, "other.flac")):
        soundfile.write(recordings.root / name, samples, RATE)
        recordings.rows["speech"][place]["path"] = str(recordings.root / name)
    with pytest.raises(DataError, match=r"one\.wav in train and .*other\.flac in test are the same sound"):
        recordings.setup()


def test_silence_is_nobodys(recordings: Recordings) -> None:
    for part in ("train", "test"):
        path = str(recordings.root / f"silent-{part}.wav")
        write(Path(path), np.zeros((1, 500), np.float32), RATE)
        own = {"path": path, "split": part, "recording": path, "group": path, "speaker": path}
        recordings.rows["noise"].append(recordings.rows["noise"][0] | own)
    assert recordings.setup().describe()["noise"]["train"]["silent"] == 1


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
    shutil.copy(recordings.sounds / "speech" / "test.wav", folder / "clean" / "0.wav")
    assert recordings.setup(folder).test_set().name(0) == "0"
    shutil.copy(recordings.sounds / "speech" / "valid.wav", folder / "clean" / "0.wav")
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
