from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocx.data.folder import FolderDataModule
from audiocx.data.guard import FileNames
from audiocx.data.mix import MixDataModule
from audiocx.data.mix_sources import MixSources
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

    def make(self, test: Path | None = None) -> MixDataModule:
        for kind, rows in self.rows.items():
            (self.root / kind).mkdir(exist_ok=True)
            table(self.root / kind, rows)
        sources = {kind: str(self.root / kind) for kind in self.rows}
        cache, ready = str(self.sounds / "cache"), None if test is None else str(test)
        return MixDataModule(STFT(), 0, **sources, num_workers=0, cache_dir=cache, test=ready)

    def setup(self, test: Path | None = None) -> MixDataModule:
        data = self.make(test)
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


@pytest.mark.parametrize(
    ("speech", "other", "what"),
    [
        ({"speaker": "ann"}, {"speaker": "ann"}, "speaker `c/ann`"),
        ({"recording": "r"}, {"recording": "r"}, "recording `r`"),
        ({"group": "g"}, {"group": "g"}, "group `g`"),
    ],
)
@pytest.mark.parametrize("kind", ["noise", "rir"])
def test_tables_are_compared_with_one_another(
    recordings: Recordings, kind: str, speech: dict[str, str], other: dict[str, str], what: str
) -> None:
    for row in recordings.rows["noise"]:
        row |= {"speaker": "", "corpus": ""}
    recordings.setup()
    recordings.rows["speech"][0] |= speech
    recordings.rows[kind][2] |= other
    if (kind, *other) == ("rir", "speaker"):  # nobody speaks in a response
        recordings.setup()
        return
    with pytest.raises(DataError, match=rf"^{what} in train and in test; .* got speech .* and {kind} "):
        recordings.setup()


def test_names_of_files_are_compared_within_a_table_alone(recordings: Recordings) -> None:
    for kind, order in (("speech", (0, 1, 2)), ("noise", (1, 2, 0))):
        (recordings.root / kind).mkdir()
        for name, part in enumerate(order):
            row = recordings.rows[kind][part]
            shutil.copy(row["path"], recordings.root / kind / f"{name}.wav")
            row |= {"path": f"{name}.wav", "recording": ""}
    assert recordings.setup().describe()["noise"]["train"]["recordings"] == 1


def test_who_is_tested_does_not_depend_on_where(tmp_path: Path) -> None:
    """A model trained on good rows alone must not have heard those on whom it is judged with all rows."""
    rows: list[dict[str, object]] = []
    for number in range(30):
        write(tmp_path / f"{number}.wav", speechlike(number, 0.03, RATE), RATE)
        quality = "good" if number % 3 else "fair"
        # A talker who is left out names what the other two stand together with.
        names = {"speaker": f"s{number:02d}", "group": f"g{number // 3}"}
        rows.append({"path": f"{number}.wav", "quality": quality} | names)
    places = {"speech": str(table(tmp_path, rows))}

    def parts(where: str | None) -> dict[str, str]:
        sources = MixSources(places, None, where, RATE, "first", tmp_path / "cache", None, needs_test=True)
        return {row.facts["speaker"]: part for part in PARTS for row in sources.rows("speech", part)}

    whole, good = parts(None), parts('Quality == "good"')
    assert len(good) == 20
    assert good.items() <= whole.items()


@pytest.mark.parametrize("column", ["recording", "group"])
def test_recordings_and_groups_are_the_same_in_every_corpus(recordings: Recordings, column: str) -> None:
    recordings.rows["speech"][0] |= {column: "one", "corpus": "a"}
    recordings.rows["speech"][2] |= {column: "one", "corpus": "b"}
    with pytest.raises(DataError, match=f"speech {column} `one` in train and in test"):
        recordings.setup()


def test_speakers_are_those_of_a_corpus(recordings: Recordings) -> None:
    for row in recordings.rows["noise"]:
        row["speaker"] = ""
    recordings.rows["speech"][0] |= {"speaker": "007", "corpus": "a"}
    recordings.rows["speech"][2] |= {"speaker": "007", "corpus": "b"}
    assert recordings.setup().describe()["speech"]["test"]["talkers"] == 1


def test_the_own_test_set_is_guarded_without_setup(recordings: Recordings) -> None:
    recordings.rows["speech"][2]["speaker"] = "s-train"
    with pytest.raises(DataError, match="speaker `c/s-train` in train and in test"):
        recordings.make().test_set()


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
        ("noise", "noise-test+noise-train", "noise recording `noise-train`"),
        ("noise", "train.wav", "noise recording `noise-train`"),
        ("noise", "noise-test+noise/train.wav", "noise recording `noise-train`"),
        (" Speaker", "s-train", "speech speaker `c/s-train`"),
        ("SPEAKER_1", "s-valid", "speech speaker `c/s-valid`"),
        ("recording", "speech-train", "speech recording `speech-train`"),
        ("rir", "train.wav", "rir room `room-train`"),
        ("rir", "train", "rir room `room-train`"),
        ("room", "room-valid", "rir room `room-valid`"),
    ],
)
def test_a_ready_test_set_is_compared(
    recordings: Recordings, tmp_path: Path, column: str, value: str, what: str
) -> None:
    with pytest.raises(DataError, match=f"{what} in (train|valid) and in .*ready"):
        recordings.setup(ready(tmp_path / "ready", **{column: value}))


def test_a_recording_may_have_a_plus_in_its_name(recordings: Recordings, tmp_path: Path) -> None:
    recordings.rows["noise"][0]["recording"] = "rain+wind"
    with pytest.raises(DataError, match=r"noise recording `rain\+wind` in train and in .*ready"):
        recordings.setup(ready(tmp_path / "ready", noise="rain+wind"))


def test_files_are_found_by_the_end_of_their_path() -> None:
    files = FileNames([("kitchen/1.wav", "kitchen"), ("hall/1.wav", "hall"), ("2.flac", "two")])
    assert files.named("1") == files.named("1.wav") == {"kitchen", "hall"}  # it may be either
    assert files.named("kitchen/1") == files.named("rooms\\kitchen\\1.ogg") == {"kitchen"}
    assert files.named("elsewhere/1.wav") == set()
    assert files.named("anywhere/2.wav") == {"two"}
    assert files.named("") == set()


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_a_response_whose_name_several_rooms_share(
    recordings: Recordings, tmp_path: Path, order: tuple[int, int, int]
) -> None:
    for row in recordings.rows["rir"]:
        shutil.copytree(recordings.sounds / "rir", tmp_path / "rir" / row["room"])
        row["path"] = f"{row['room']}/{row['split']}.wav"
        (tmp_path / "rir" / row["path"]).rename(tmp_path / "rir" / row["room"] / "1.wav")
        row["path"] = f"{row['room']}/1.wav"
    recordings.rows["rir"] = [recordings.rows["rir"][place] for place in order]
    with pytest.raises(DataError, match="rir room `room-train` in train"):
        recordings.setup(ready(tmp_path / "ready", rir="1"))
    recordings.setup(ready(tmp_path / "ready", rir="room-test/1.wav"))


@pytest.mark.parametrize(
    ("rate", "subtype", "suffix"),
    [(RATE, "PCM_16", "flac"), (RATE, "PCM_24", "wav"), (44100, "PCM_16", "flac")],
)
def test_a_ready_item_in_another_container_is_the_same_sound(
    recordings: Recordings, tmp_path: Path, rate: int, subtype: str, suffix: str
) -> None:
    steps = np.rint(speechlike(78, 0.3, rate)[0] * 32768).astype(np.int16)
    trained = tmp_path / "trained.wav"
    soundfile.write(trained, steps, rate)
    recordings.rows["speech"][0]["path"] = str(trained)
    folder = ready(tmp_path / "ready")
    recordings.setup(folder)
    (folder / "clean" / "0.wav").unlink()
    wider = steps.astype(np.int32) << 16
    soundfile.write(folder / "clean" / f"0.{suffix}", wider, rate, subtype=subtype)
    with pytest.raises(
        DataError, match=rf"trained\.wav in train and .*0\.{suffix} in .*ready are the same sound"
    ):
        recordings.setup(folder)


@pytest.mark.parametrize("change", ["16 bit", "gain", "ogg", "mp3"])
def test_a_ready_item_that_is_a_near_copy_is_the_same_sound(
    recordings: Recordings, tmp_path: Path, change: str
) -> None:
    folder = ready(tmp_path / "ready")
    # Softer towards high frequencies, as real sounds are: a lossy codec makes another sound of white noise.
    samples = np.convolve(speechlike(80, 0.6, RATE)[0], np.hanning(18) / 4, "same")
    path = write(tmp_path / "valid.wav", samples[None].astype(np.float32), RATE)
    recordings.rows["noise"][1]["path"] = str(path)
    suffix = {"16 bit": "flac", "gain": "wav"}.get(change, change)
    (folder / "noisy" / "0.wav").unlink()
    soundfile.write(folder / "noisy" / f"0.{suffix}", samples * (0.3 if change == "gain" else 1), RATE)
    with pytest.raises(
        DataError, match=rf"valid\.wav in valid and .*0\.{suffix} in .*ready are the same sound"
    ):
        recordings.setup(folder)


def test_sounds_of_one_envelope_are_not_copies(recordings: Recordings, tmp_path: Path) -> None:
    folder = ready(tmp_path / "ready")
    time = np.arange(round(0.3 * RATE)) / RATE
    for hertz, path in ((200, recordings.root / "tone.wav"), (300, folder / "noisy" / "0.wav")):
        write(path, (0.1 * np.sin(2 * np.pi * hertz * time))[None].astype(np.float32), RATE)
    recordings.rows["noise"][0]["path"] = str(recordings.root / "tone.wav")
    assert len(recordings.setup(folder).test_set()) == 1


def test_a_broken_ready_item_is_no_leak_and_stops_nothing(recordings: Recordings, tmp_path: Path) -> None:
    folder = ready(tmp_path / "ready")
    (folder / "clean" / "0.wav").write_text("no sound")
    assert len(recordings.setup(folder).test_set()) == 1


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
    samples, rate = soundfile.read(root / "valid" / "clean" / "000.wav")
    steps = np.rint(samples * 32768).astype(np.int16)
    soundfile.write(root / "valid" / "clean" / "000.wav", steps, rate)
    (root / "test" / "clean" / "000.wav").unlink()
    soundfile.write(root / "test" / "clean" / "000.flac", steps, rate)
    with pytest.raises(DataError, match=r"valid/000 in valid and .*000\.flac in .*test are the same sound"):
        open_folder(root, tmp_path / "cache")
    (root / "test" / "clean" / "000.flac").unlink()
    write(root / "test" / "clean" / "000.wav", speechlike(990, 0.4, RATE), RATE)
    other = pairs("other", count=1, seconds=0.4)
    open_folder(root, tmp_path / "cache", other)
    for folder, name in ((root / "train", "ann"), (root / "valid", "bob"), (other, "ann")):
        (folder / "index.csv").write_text(f"name,speaker\n000.wav,{name}\n")
    with pytest.raises(DataError, match=r"speech speaker `ann` in train and in .*other"):
        open_folder(root, tmp_path / "cache", other)
