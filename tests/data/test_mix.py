from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from audiocx.data.activity import active_frames, active_power, frame_powers
from audiocx.data.augment_channel import Gain
from audiocx.data.batch import Batch
from audiocx.data.mix import MixDataModule
from audiocx.data.mixing import mean_power
from audiocx.errors import ConfigError, DataError
from audiocx.signal.stft import STFT

from .conftest import coloured, speechlike, table, write

RATE = 16000
CONF = Path(__file__).parents[2] / "conf"
AUGMENTATIONS = ("speed", "equaliser", "gain", "band_limit", "generated_noise", "clipping", "codec")
Make = Callable[..., MixDataModule]


def db(ratio: float) -> float:
    return 10 * np.log10(ratio)


def waves(example: object) -> tuple[np.ndarray, np.ndarray]:
    return example.mixture[0].numpy(), example.target[0, 0].numpy()  # type: ignore[attr-defined]


def test_ratio_and_level_are_those_drawn(mix: Make) -> None:
    examples = mix(rir=None, snr_db=(-6.0, 16.0), level_dbfs=(-40.0, -30.0)).make_train()
    ratios = []
    for index in range(60):
        example = examples[index]
        mixture, target = waves(example)
        ratios.append(db(active_power(target, RATE) / mean_power(mixture - target)))
        assert ratios[-1] == pytest.approx(float(example.tags["snr_db"]), abs=0.02)
        assert -40.01 <= db(mean_power(mixture)) <= -29.99
        assert active_frames(frame_powers(target, RATE)).mean() >= 0.25  # somebody speaks
    assert min(ratios) < -3
    assert max(ratios) > 13


def test_a_talker_in_a_room_is_wanted_up_to_50_ms(mix: Make, recordings: Path) -> None:
    """Mixture and target are those of one dry piece, convolved here by definition."""
    where = {"speech": 'speaker == "a-train" or split != "train"'}
    data = mix(reverberation_probability=1.0, snr_db=(80.0, 80.0), where=where)
    example = data.make_train()[3]
    mixture, target = waves(example)
    assert example.tags["kind"] == "reverberant"
    assert example.clusters["room"] == "room-train"
    taps, _ = soundfile.read(recordings / "rir" / "train.wav")
    early = np.where(np.arange(len(taps)) <= 32 + 800, taps, 0)
    best = -np.inf
    for piece in (0, 1):
        speech, _ = soundfile.read(recordings / "speech" / f"train-a-{piece}.wav")
        wanted = np.convolve(speech, early)[32 : 32 + len(speech)]
        for start in range(0, len(speech) - 8000 + 1, 160):
            cut = wanted[start : start + 8000]
            gain = cut @ target / (cut @ cut)
            error = np.square(gain * cut - target).mean() / np.square(target).mean()
            if -db(error) > best:
                best = -db(error)
                heard = gain * np.convolve(speech, taps)[32 : 32 + len(speech)][start : start + 8000]
    assert best > 60
    assert db(mean_power(mixture) / np.square(heard - mixture).mean()) > 50  # what is left is noise at -80 dB
    assert np.square(heard - target).mean() > 1e-4 * np.square(target).mean()


def test_an_example_is_a_function_of_seed_and_index(mix: Make) -> None:
    one, again, other = mix().make_train(), mix().make_train(), mix(seed=1).make_train()
    later = [one[index] for index in (7, 3, 7)]
    for index, example in zip((7, 3, 7), later, strict=True):
        assert torch.equal(again[index].mixture, example.mixture)
        assert torch.equal(again[index].target, example.target)
        assert again[index].tags == example.tags
    assert not torch.equal(other[7].mixture, later[0].mixture)


def _batches(data: MixDataModule, count: int) -> list[Batch]:
    return list(islice(data.train_dataloader(), count))


@pytest.mark.parametrize(
    "settings",
    [{"num_workers": 2}, pytest.param({"num_workers": 2, "start_method": "spawn"}, marks=pytest.mark.slow)],
)
def test_an_example_does_not_depend_on_workers(mix: Make, settings: dict[str, object]) -> None:
    for one, other in zip(_batches(mix(), 3), _batches(mix(**settings), 3), strict=True):
        assert torch.equal(one.mixture, other.mixture)
        assert torch.equal(one.target, other.target)
        assert one.clusters == other.clusters


def test_streamed_examples_are_those_of_the_cache(mix: Make) -> None:
    stored, streamed = mix().make_train(), mix(cache_gigabytes=0.0).make_train()
    for index in range(4):
        torch.testing.assert_close(stored[index].mixture, streamed[index].mixture, atol=5e-5, rtol=0)


def test_draws_are_by_root_of_seconds_then_talker(mix: Make) -> None:
    maker = mix().make_train().maker  # type: ignore[attr-defined]
    random = np.random.default_rng(0)
    count = 4000
    drawn = Counter(maker.speech.facts[maker.speech.draw(random)]["speaker"] for _ in range(count))
    big, small = np.sqrt(2 * 3.0 + 2 * 1.5), np.sqrt(2 * 1.0 + 2 * 0.3)
    for corpus, names in ((big, ("a", "b")), (small, ("c", "pool-x"))):
        for name in names:  # evenly within a corpus, though one has twice the seconds of the other
            expected = corpus / (big + small) / 2
            assert drawn[f"{name}-train"] / count == pytest.approx(expected, abs=0.03)
    classes = Counter(maker.noise.facts[maker.noise.draw(random)]["class"] for _ in range(count))
    total = sum(np.sqrt(seconds) for seconds in (4.0, 1.0, 0.1))
    for name, seconds in (("rain", 4.0), ("wind", 1.0), ("bark", 0.1)):
        assert classes[name] / count == pytest.approx(np.sqrt(seconds) / total, abs=0.03)


def test_pieces_of_one_person_follow_one_another_and_of_a_pool_do_not(mix: Make) -> None:
    speech = mix().make_train().maker.speech  # type: ignore[attr-defined]
    random = np.random.default_rng(0)
    by_path = {facts["path"]: number for number, facts in speech.facts.items()}
    for name, can_change in (("c", True), ("pool-x", False)):
        first = by_path[f"train-{name}-0.wav"]
        drawn = {speech.facts[speech.another(random, first)]["path"] for _ in range(10)}
        assert drawn == {f"train-{name}-1.wav" if can_change else f"train-{name}-0.wav"}


def test_probabilities_choose_the_kind(mix: Make) -> None:
    examples = mix(
        noise_only_probability=0.3, clean_probability=0.2, second_noise_probability=0.5
    ).make_train()
    kinds: Counter[str] = Counter()
    seconds = 0
    for index in range(200):
        example = examples[index]
        kind = example.tags["kind"]
        kinds[kind] += 1
        seconds += "+" in example.clusters.get("noise", "")
        mixture, target = waves(example)
        # Not above the level that was drawn, and below it only where the peak would pass full scale.
        level = db(mean_power(mixture))
        assert -36.01 <= level <= -15.99 or np.abs(mixture).max() == pytest.approx(0.99, rel=1e-4)
        if kind == "noise":
            assert not target.any()
            assert "talker" not in example.clusters
        if kind == "clean":
            assert "noise" not in example.clusters
        assert np.isfinite(mixture).all()
        assert mixture.any()
    assert kinds["noise"] / 200 == pytest.approx(0.3, abs=0.08)
    assert kinds["clean"] / 200 == pytest.approx(0.2, abs=0.08)
    assert kinds["reverberant"] / (kinds["reverberant"] + kinds["dry"]) == pytest.approx(0.3, abs=0.1)
    assert seconds / (200 - kinds["clean"]) == pytest.approx(0.5, abs=0.1)


def test_effects_are_repeated_and_longer_noises_go_round(mix: Make) -> None:
    maker = mix(segment_seconds=4.5).make_train().maker  # type: ignore[attr-defined]
    by_class = {facts["class"]: number for number, facts in maker.noise.facts.items()}
    bark, _ = maker.noises(np.random.default_rng(0), by_class["bark"], second=False)
    sounding = frame_powers(bark, RATE) > 1e-6
    onsets = np.flatnonzero(sounding[1:] & ~sounding[:-1])
    assert len(onsets) > 8
    assert 0.2 < sounding.mean() < 0.9
    assert len(set(np.diff(onsets))) > 3  # at random places
    rain, _ = maker.noises(np.random.default_rng(0), by_class["rain"], second=False)
    powers = frame_powers(rain, RATE)
    assert powers.min() > 0.3 * powers.mean()  # neither gap nor dip where it goes round
    for waveform in (bark, rain):
        assert mean_power(waveform) == pytest.approx(1, rel=1e-3)


def test_a_quiet_stretch_of_noise_is_not_turned_up(mix: Make, tmp_path: Path) -> None:
    bark = np.zeros((1, 10 * RATE), np.float32)
    bark[:, 40000:50000] = coloured(0, 10000 / RATE)
    write(tmp_path / "bark.wav", bark + 1e-5, RATE)
    rows = [{"path": "bark.wav", "split": "train"}]
    for part in ("valid", "test"):
        write(tmp_path / f"{part}.wav", coloured(len(part), 1.0), RATE)
        rows.append({"path": f"{part}.wav", "split": part})
    maker = mix(noise=str(table(tmp_path, rows)), rir=None).make_train().maker  # type: ignore[attr-defined]
    for seed in range(20):
        noise, _ = maker.noises(np.random.default_rng(seed), 0, second=False)
        assert np.square(noise).max() > 10  # a stretch of hiss alone would be flat


def test_pieces_of_speech_fall_where_somebody_speaks(mix: Make, tmp_path: Path) -> None:
    rows = []
    for place, part in enumerate(("train", "valid", "test")):
        speech = np.zeros((1, 6 * RATE), np.float32)
        speech[:, 2 * RATE : 3 * RATE] = speechlike(place, 1.0, RATE)
        write(tmp_path / f"{part}.wav", speech, RATE)
        rows.append({"path": f"{part}.wav", "split": part})
    examples = mix(speech=str(table(tmp_path, rows)), rir=None).make_train()
    shares = [float((waves(examples[index])[1] != 0).mean()) for index in range(40)]
    assert min(shares) > 0.38
    assert len(set(shares)) > 5


def test_validation_and_test_are_the_same_for_every_run(mix: Make) -> None:
    one, other = mix(), mix(seed=5, snr_db=(0.0, 1.0))
    for first, second in zip(one.val_dataloader(), other.val_dataloader(), strict=True):
        assert torch.equal(first.mixture, second.mixture)
        assert first.mixture.shape == (4, 1, 64000)
    items = one.test_set()
    kinds = Counter(items[index].tags["kind"] for index in range(len(items)))
    assert kinds["clean"] == kinds["noise"] == 2
    assert kinds["reverberant"] == 9
    assert len({items[index].tags.get("snr_db") for index in range(20)}) == 5
    talkers = Counter(items[index].clusters.get("talker") for index in range(36))
    assert set(talkers) == {"a-test", "b-test", "c-test", "pool-x-test"}
    assert set(talkers.values()) == {9}


def test_items_like_those_of_validation_are_of_the_part_that_is_asked_for(mix: Make) -> None:
    data = mix()
    asked, valid = data.make_like_valid("train", 6), data.make_valid()
    again = data.make_like_valid("valid", len(valid))
    assert len(asked) == 6
    assert all(asked[index].clusters["talker"].endswith("-train") for index in range(6))
    assert {asked[index].tags["snr_db"] for index in range(5)} == {
        valid[index].tags["snr_db"] for index in range(5)
    }
    assert torch.equal(again[2].mixture, valid[2].mixture)


def test_the_fingerprint_is_that_of_sounds_rows_and_settings(
    mix: Make, recordings: Path, tmp_path: Path
) -> None:
    first = mix().fingerprint()
    assert mix(seed=3).fingerprint() == first
    copied = shutil.copytree(recordings, tmp_path / "elsewhere")
    moved = {kind: str(copied / kind) for kind in ("speech", "noise", "rir")}
    assert mix(**moved).fingerprint() == first
    others = [
        mix(snr_db=(0.0, 5.0)),
        mix(rir=None),
        mix(where={"speech": 'quality == "good"'}),
        mix(channel="mean"),
        mix(segment_seconds=0.6),
        mix(augmentation={"gain": Gain(0.1)}),
        mix(augmentation={"gain": Gain(0.2)}),
    ]
    write(copied / "noise" / "train-rain.wav", coloured(77, 4.0), RATE)
    others.append(mix(**moved))
    assert len({first, *(other.fingerprint() for other in others)}) == 9


def test_describe_counts(mix: Make) -> None:
    data = mix()
    data.prepare_data()
    data.setup("fit")
    facts = data.describe()
    assert facts["speech"]["train"] == {
        "files": 8, "minutes": 0.2, "recordings": 8, "talkers": 4, "narrow_band": 0, "silent": 0,
    }  # fmt: skip
    assert facts["noise"]["valid"]["classes"] == 3
    assert facts["rir"]["test"] == {"files": 1, "rooms": 1}
    assert facts["streamed"] == []


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"reverberation_probability": 1.5}, ConfigError, r"data\.reverberation_probability"),
        ({"noise_only_probability": 0.7, "clean_probability": 0.7}, ConfigError, "pass 1 together"),
        ({"valid_items": 0}, ConfigError, "data.valid_items"),
        ({"snr_db": 3}, ConfigError, r"data\.snr_db is no range"),
        ({"snr_db": ["a", "b"]}, ConfigError, r"data\.snr_db is no range; .* two finite numbers, got \['a', 'b'\]"),
        ({"snr_db": "ab"}, ConfigError, r"data\.snr_db is no range"),
        ({"level_dbfs": -20}, ConfigError, r"for example data\.level_dbfs=\[-35,-15\]"),
        ({"level_dbfs": [-np.inf, -20]}, ConfigError, "finite numbers, got .-inf, -20."),
        ({"valid_items": 2.5}, ConfigError, "data.valid_items .* a whole number of at least 1, got 2.5"),
        ({"batch_size": 2.5}, ConfigError, "data.batch_size .* a whole number of at least 1, got 2.5"),
        ({"batch_size": True}, ConfigError, "data.batch_size does not fit"),
        ({"segment_seconds": np.nan}, ConfigError, "data.segment_seconds .* a number above 0, got nan"),
        ({"segment_seconds": "long"}, ConfigError, "data.segment_seconds .* a number above 0, got long"),
        ({"cache_gigabytes": "lots"}, ConfigError, "data.cache_gigabytes .* at least 0, got lots"),
        ({"cache_gigabytes": -1}, ConfigError, "data.cache_gigabytes .* at least 0, got -1"),
        ({"clean_probability": None}, ConfigError, "data.clean_probability .* 0 to 1, got null"),
        ({"pools": [1]}, ConfigError, r"data.pools .* a list of texts, got \[1\]"),
        ({"pools": None}, ConfigError, "data.pools .* a list of texts, got null"),
        ({"splits": 5}, ConfigError, "data.splits .* a path, got 5"),
        ({"test": 5}, ConfigError, "data.test .* a path, got 5"),
        ({"speech": 5}, ConfigError, "data.speech .* a path, got 5"),
        ({"noise": ["a"]}, ConfigError, "data.noise .* a path, got"),
        ({"where": {"nois": "x"}}, ConfigError, "did you mean `noise`"),
        ({"where": 5}, ConfigError, "data.where is no expression"),
        ({"speech": "missing"}, DataError, "data.speech=missing: no such file or folder"),
        ({"where": "qualty == 'good'"}, ConfigError, "no column `qualty`; did you mean `quality`"),
        ({"where": "quality == 'good' and room"}, ConfigError, "no table has all of quality, room"),
        ({"where": {"speech": "quality == 'best'"}}, DataError, "no rows left of 24"),
        ({"where": {"rir": "room"}, "rir": None}, ConfigError, r"data\.where\.rir is set without data\.rir"),
        ({"where": {"noise": "split != 'valid'"}}, DataError, "no rows for valid .column split.; .* valid 0"),
        ({"splits": "missing.csv"}, DataError, "data.splits=missing.csv: no such file"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(
    mix: Make, settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        mix(**settings).prepare_data()
    assert "\n" not in str(caught.value)


def test_rows_of_where_alone_are_heard(mix: Make) -> None:
    data = mix(where="quality == 'good'")
    assert data.describe()["speech"]["train"]["files"] == 4
    assert data.describe()["noise"]["train"]["files"] == 3  # that table has no such column


def test_folders_alone_are_enough(mix: Make, tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / "speech" / f"s{number}" / "a.wav", speechlike(number, 0.6, 8000), 8000)
        write(tmp_path / "noise" / f"n{number}.wav", coloured(50 + number, 0.6), RATE)
    data = mix(speech=str(tmp_path / "speech"), noise=str(tmp_path / "noise"), rir=None)
    data.prepare_data()
    data.setup("fit")
    facts = data.describe()
    assert [facts["speech"][part]["talkers"] for part in ("train", "valid", "test")] == [10, 1, 1]
    assert facts["speech"]["train"]["narrow_band"] == 10
    assert facts["parts_by"] == {"speech": "hash", "noise": "hash"}
    assert next(iter(data.train_dataloader())).mixture.shape == (4, 1, 8000)


def test_the_yaml_names_what_there_is(mix: Make, recordings: Path, mix_cache: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(
            "train",
            [
                "data=mix",
                *(f"data.{kind}={recordings / kind}" for kind in ("speech", "noise", "rir")),
                f"data.cache_dir={mix_cache}",
                "data.num_workers=0",
            ],
        ).data
    assert set(config.augmentation) == set(AUGMENTATIONS)
    data = instantiate(config, stft=STFT(), seed=0)
    assert next(iter(data.train_dataloader())).target.shape == (8, 1, 1, 32000)
