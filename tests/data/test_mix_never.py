"""What must never stand in one example of `data=mix`: one recording twice, a silent channel, a silent talker."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocx.data.activity import active_frames, frame_powers
from audiocx.data.augment_channel import Speed
from audiocx.data.batch import Example
from audiocx.data.mix import MixDataModule
from audiocx.data.mixing import mean_power
from audiocx.errors import DataError

from .conftest import coloured, speechlike, table, write

RATE = 16000
PARTS = ("train", "valid", "test")
Make = Callable[..., MixDataModule]


def test_speech_and_noise_are_never_of_one_recording(mix: Make, recordings: Path, tmp_path: Path) -> None:
    rows = [{"path": str(recordings / "noise" / f"{part}-rain.wav"), "split": part, "recording": f"{part}-a-0.wav"}
            for part in ("train", "valid", "test")]  # fmt: skip
    rows += [row | {"path": str(row["path"]).replace("-rain", "-wind"), "recording": ""} for row in rows]
    (tmp_path / "noise").mkdir()
    data = mix(noise=str(table(tmp_path / "noise", rows)), rir=None)
    maker = data.make_train().maker  # type: ignore[attr-defined]
    random = np.random.default_rng(0)
    by_chance = Counter(maker.noise.facts[maker.noise.draw(random)]["recording"] for _ in range(100))
    assert by_chance["train-a-0.wav"] > 50
    examples = data.make_train()
    met = {
        (e.clusters["talker"], e.clusters["noise"].split("+")[0])
        for e in map(examples.__getitem__, range(60))
    }
    assert ("b-train", "train-a-0.wav") in met
    alone = [
        maker.noise.facts[maker.noise.draw(random, not_of={"train-a-0.wav"})]["recording"] for _ in range(200)
    ]
    assert "train-a-0.wav" not in alone


@pytest.fixture
def shared(recordings: Path, tmp_path: Path) -> Path:
    """A table of noise in which rain and wind are of the recording of all speech, and bark is not."""
    rows = [
        {"path": str(recordings / "noise" / f"{part}-{name}.wav"), "split": part, "class": name,
         "recording": f"{part}-session" if name != "bark" else ""}
        for part in PARTS
        for name in ("rain", "wind", "bark")
    ]  # fmt: skip
    (tmp_path / "noise").mkdir()
    return table(tmp_path / "noise", rows)


def speech_of_one_recording(recordings: Path, folder: Path) -> Path:
    with (recordings / "speech" / "index.csv").open(encoding="utf-8") as file:
        rows = [
            row | {"path": str(recordings / "speech" / row["path"]), "recording": f"{row['split']}-session"}
            for row in csv.DictReader(file)
        ]
    folder.mkdir()
    return table(folder, rows)


def noises_of(example: Example) -> list[str]:
    return example.clusters["noise"].split("+") if "noise" in example.clusters else []


def test_neither_a_second_noise_nor_a_fixed_item_is_of_the_recording_of_its_speech(
    mix: Make, recordings: Path, shared: Path, tmp_path: Path
) -> None:
    speech = speech_of_one_recording(recordings, tmp_path / "speech")
    data = mix(speech=str(speech), noise=str(shared), rir=None, second_noise_probability=1.0)
    train, valid, test = data.make_train(), data.make_valid(), data.make_test()
    examples = [train[n] for n in range(15)] + [valid[n] for n in range(8)] + [test[n] for n in range(20)]
    for example in examples:
        assert [name.endswith("-session") for name in noises_of(example)] == [False]
    alone = test[len(test) - 1 - 2]  # noise alone may be of any
    assert alone.tags["kind"] == "noise"


def test_a_joined_piece_brings_all_its_recordings(mix: Make) -> None:
    data = mix(segment_seconds=3.0, rir=None)
    maker = data.make_train().maker  # type: ignore[attr-defined]
    number = next(n for n, facts in maker.speech.facts.items() if facts["path"] == "train-c-0.wav")
    talker = maker.talker(np.random.default_rng(0), number, in_room=False)
    assert talker.recordings == {"train-c-0.wav", "train-c-1.wav"}


def test_noise_of_the_recording_of_all_speech_is_refused(
    mix: Make, recordings: Path, shared: Path, tmp_path: Path
) -> None:
    speech = speech_of_one_recording(recordings, tmp_path / "speech")
    data = mix(speech=str(speech), noise=str(shared), rir=None, where={"noise": "class != 'bark'"})
    with pytest.raises(
        DataError, match="all noise for train is of the recording of its speech: train-session"
    ):
        data.make_train()[0]


def test_files_that_share_a_name_by_chance_may_meet(mix: Make, tmp_path: Path) -> None:
    for number, part in enumerate(PARTS):
        write(tmp_path / "speech" / part / "1.wav", speechlike(number, 1.0, RATE), RATE)
        write(tmp_path / "noise" / part / "1.wav", coloured(number, 1.0), RATE)
    data = mix(speech=str(tmp_path / "speech"), noise=str(tmp_path / "noise"), rir=None,
               second_noise_probability=1.0)  # fmt: skip
    assert len(noises_of(data.make_train()[0])) == 1  # there is no second one


def test_a_second_noise_is_softer_by_0_to_10_db(mix: Make) -> None:
    maker = mix(segment_seconds=0.3).make_train().maker  # type: ignore[attr-defined]
    number = next(n for n, facts in maker.noise.facts.items() if facts["class"] == "rain")
    levels = []
    for seed in range(40):
        one, files = maker.noises(np.random.default_rng(seed), number, second=False)
        two, both = maker.noises(np.random.default_rng(seed), number, second=True)
        assert (files, len(both)) == ([number], 2)
        levels.append(10 * np.log10(mean_power(two - one) / mean_power(one)))
    assert -10.01 <= min(levels) < -8
    assert -2 < max(levels) <= 0.01


@pytest.mark.parametrize("kind", ["speech", "noise", "rir"])
def test_a_dead_channel_is_never_drawn(mix: Make, recordings: Path, tmp_path: Path, kind: str) -> None:
    with (recordings / kind / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        waveform, _ = soundfile.read(recordings / kind / row["path"], dtype="float32")
        two = np.stack([np.zeros_like(waveform), waveform])
        write(tmp_path / kind / row["path"], two[: 1 if row["path"] == "train-c-0.wav" else 2], RATE)
    data = mix(channel="random", reverberation_probability=1.0, **{kind: str(table(tmp_path / kind, rows))})
    examples = data.make_train()
    for index in range(20):
        example = examples[index]
        assert np.isfinite(example.mixture.numpy()).all()
        assert active_frames(frame_powers(example.target[0, 0].numpy(), RATE)).mean() > 0.25
    silent = {"speech": 1, "noise": 0}
    if kind in silent:
        assert data.describe()[kind]["train"]["silent"] == silent[kind]


def test_a_channel_is_cut_where_it_speaks_itself(mix: Make, tmp_path: Path) -> None:
    """Two people on two channels, one after the other: the piece of each is where that one speaks."""
    rows = []
    for place, part in enumerate(PARTS):
        speech = np.zeros((2, 6 * RATE), np.float32)
        speech[0, RATE : 2 * RATE] = speechlike(place, 1.0, RATE)
        speech[1, 4 * RATE : 5 * RATE] = 0.1 * speechlike(9 + place, 1.0, RATE)
        write(tmp_path / f"{part}.wav", speech, RATE)
        rows.append({"path": f"{part}.wav", "split": part})
    data = mix(speech=str(table(tmp_path, rows)), rir=None, channel="random", snr_db=(0.0, 0.0))
    maker = data.make_train().maker  # type: ignore[attr-defined]
    for seed in range(12):
        speech = maker.talker(np.random.default_rng(seed), 0, in_room=False).speech
        assert float((speech != 0).mean()) > 0.38


def test_a_faster_talker_is_not_silent(mix: Make, tmp_path: Path) -> None:
    """A word of 0.1 s in 6 s: whoever cuts its piece off afterwards loses it."""
    rows = []
    for place, part in enumerate(PARTS):
        speech = np.zeros((1, 6 * RATE), np.float32)
        speech[:, 3 * RATE : 3 * RATE + 1600] = speechlike(place, 0.1, RATE) + 0.05
        write(tmp_path / f"{part}.wav", speech, RATE)
        rows.append({"path": f"{part}.wav", "split": part})
    examples = mix(
        speech=str(table(tmp_path, rows)),
        rir=None,
        segment_seconds=1.0,
        augmentation={"speed": Speed(1.0, factor=(0.7, 1.4))},
    ).make_train()
    for index in range(60):
        assert examples[index].target.any()


def test_an_augmentation_leaves_the_examples_alone_that_it_does_not_act_on(mix: Make) -> None:
    plain = mix(segment_seconds=1.0).make_train()
    rare = mix(segment_seconds=1.0, augmentation={"speed": Speed(0.2)}).make_train()
    same = [bool((plain[index].mixture == rare[index].mixture).all()) for index in range(40)]
    assert 0.6 < np.mean(same) < 0.95
