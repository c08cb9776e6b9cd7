from __future__ import annotations

import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate

from audiocx.data.batch import Batch
from audiocx.data.corpus import Corpus
from audiocx.data.synthetic import SyntheticDataModule
from audiocx.errors import ConfigError, DataError
from audiocx.signal.stft import STFT

Make = Callable[..., SyntheticDataModule]
CONFIG = Path(__file__).parents[2] / "conf" / "data" / "synthetic.yaml"


def train_batches(data: SyntheticDataModule, count: int = 3) -> list[Batch]:
    return list(islice(data.train_dataloader(), count))


def same(first: Batch, second: Batch) -> bool:
    return (
        torch.equal(first.mixture, second.mixture)
        and torch.equal(first.target, second.target)
        and torch.equal(first.index, second.index)
        and (first.tags, first.clusters, first.names) == (second.tags, second.clusters, second.names)
    )


@pytest.mark.parametrize(
    ("num_workers", "start_method"),
    [
        pytest.param(1, "fork", marks=pytest.mark.skipif(sys.platform == "win32", reason="no fork")),
        pytest.param(2, "fork", marks=pytest.mark.skipif(sys.platform == "win32", reason="no fork")),
        (1, "spawn"),
    ],
)
def test_an_example_does_not_depend_on_workers(synthetic: Make, num_workers: int, start_method: str) -> None:
    expected = train_batches(synthetic(num_workers=0))
    got = train_batches(synthetic(num_workers=num_workers, start_method=start_method))
    assert all(same(one, other) for one, other in zip(expected, got, strict=True))
    assert start_method in multiprocessing.get_all_start_methods()


def test_an_example_is_a_function_of_seed_and_index(synthetic: Make) -> None:
    examples = synthetic(seed=3).make_train()
    examples[11]
    again = synthetic(seed=3).make_train()
    assert torch.equal(examples[5].mixture, again[5].mixture)
    assert not torch.equal(examples[5].mixture, examples[6].mixture)
    assert not torch.equal(examples[5].mixture, synthetic(seed=4).make_train()[5].mixture)


def test_batches_are_what_the_contract_says(synthetic: Make) -> None:
    batch = train_batches(synthetic(), 1)[0]
    assert batch.mixture.shape == (4, 1, 32000)
    assert batch.target.shape == (4, 1, 1, 32000)
    assert batch.mixture.dtype == batch.target.dtype == torch.float32
    assert batch.index.tolist() == [0, 1, 2, 3]
    assert all(tags["kind"] == "dry" and tags.keys() >= {"snr_db", "noise_class"} for tags in batch.tags)
    assert all(clusters.keys() == {"talker", "noise"} for clusters in batch.clusters)


def measured_snr_db(mixture: np.ndarray, target: np.ndarray) -> float:
    frames = target[: len(target) // 160 * 160].reshape(-1, 160).astype(np.float64)
    powers = np.square(frames).mean(1)
    spoken = powers[powers >= powers.max() * 1e-4].mean()
    return float(10 * np.log10(spoken / np.square((mixture - target).astype(np.float64)).mean()))


def test_measured_snr_and_level_are_those_drawn(synthetic: Make) -> None:
    examples = synthetic(snr_db=(-5.0, 10.0), level_dbfs=(-35.0, -20.0)).make_train()
    ratios, levels = [], []
    for index in range(60):
        example = examples[index]
        mixture, target = example.mixture[0].numpy(), example.target[0, 0].numpy()
        ratios.append(float(example.tags["snr_db"]))
        assert measured_snr_db(mixture, target) == pytest.approx(ratios[-1], abs=0.02)
        levels.append(20 * np.log10(np.sqrt(np.square(mixture).mean())))
        assert np.abs(mixture).max() <= 0.9901
    assert -5 <= min(ratios) < -2
    assert 7 < max(ratios) <= 10
    assert max(levels) <= -20 + 1e-3
    assert np.sum(np.array(levels) < -35.01) <= 6  # only a peak can turn one down further


def test_nobody_is_ever_silent(synthetic: Make) -> None:
    for part in (synthetic(segment_seconds=1.0).make_train(), synthetic().make_valid()):
        for index in range(24):
            target = part[index].target[0, 0]
            frames = target[: len(target) // 160 * 160].view(-1, 160).square().mean(1)
            assert (frames >= frames.max() * 1e-4).float().mean() >= 0.35
            assert target.square().mean() > 1e-7


def test_voices_and_families_are_drawn_evenly(synthetic: Make, corpus: Corpus) -> None:
    examples = synthetic(segment_seconds=0.1).make_train()
    drawn = [examples[index] for index in range(400)]
    talkers = Counter(example.clusters["talker"] for example in drawn)
    classes = Counter(example.tags["noise_class"] for example in drawn)
    assert len(talkers) == len(corpus.voices("train"))
    assert min(talkers.values()) > 60
    assert len(classes) == len({noise["family"] for noise in corpus.noises("train")})
    assert min(classes.values()) > 15


def test_parts_share_no_talker_and_no_recording(synthetic: Make) -> None:
    data = synthetic()
    train, test = data.make_train(), data.test_set()
    seen = [train[index].clusters for index in range(60)]
    heard = [test[index].clusters for index in range(len(test))]
    valid = data.make_valid()
    chosen = [valid[index].clusters for index in range(len(valid))]  # type: ignore[arg-type]
    for key in ("talker", "noise"):
        parts = [{clusters[key] for clusters in part if key in clusters} for part in (seen, chosen, heard)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


def test_the_test_set_is_balanced(synthetic: Make) -> None:
    test = synthetic().test_set()
    items = [test[index] for index in range(len(test))]
    assert 80 <= len(items) <= 100
    kinds = Counter(item.tags["kind"] for item in items)
    assert kinds == {"dry": 80, "clean": 4, "noise": 4}
    dry = [item.tags for item in items if item.tags["kind"] == "dry"]
    assert {tags["snr_db"] for tags in dry} == {"-5", "0", "5", "10"}
    assert {tags["noise_seen"] for tags in dry} == {"seen", "unseen"}
    assert len({tags["noise_class"] for tags in dry}) == 16
    assert {item.mixture.shape for item in items} == {(1, 64000)}
    for item in items:
        assert bool(item.target.any()) == (item.tags["kind"] != "noise")
        assert torch.equal(item.mixture, item.target[0]) == (item.tags["kind"] == "clean")
        assert ("talker" in item.clusters, "noise" in item.clusters) == {
            "dry": (True, True), "clean": (True, False), "noise": (False, True)
        }[item.tags["kind"]]  # fmt: skip
    assert (
        [test.name(index) for index in (0, 87)] == ["test-000", "test-087"] == [items[0].name, items[87].name]
    )
    assert (test.sample_rate, test.n_sources) == (16000, 1)


def test_every_test_voice_meets_every_ratio_with_a_full_cast() -> None:
    from audiocx.data import synthetic_mixtures
    from audiocx.data.randomness import Stream

    class Cast:
        part = "test"
        families = {"a": [0, 1], "b": [2, 3], "c": [4, 5]}  # noqa: RUF012
        corpus = None

    class Facts:
        def voices(self, part: str) -> list[int]:
            return list(range(16))

        def noises(self, part: str) -> list[dict[str, object]]:
            return [{"family": name, "seen": name != "c"} for name in "abc"]

    Cast.corpus = Facts()  # type: ignore[assignment]
    plan = synthetic_mixtures.plan_items(Cast(), Stream.TEST, 80, 4, 4)  # type: ignore[arg-type]
    for voice in range(16):
        mine = [
            (snr_db, recording) for kind, who, recording, snr_db in plan if who == voice and kind == "dry"
        ]
        assert {snr_db for snr_db, _ in mine} == {-5.0, 0.0, 5.0, 10.0}
    unseen = Counter(
        (snr_db, recording in Cast.families["c"]) for kind, _, recording, snr_db in plan if kind == "dry"
    )
    assert set(unseen.values()) == {10}


def test_validation_and_test_do_not_depend_on_the_seed(synthetic: Make) -> None:
    one, other = synthetic(seed=1), synthetic(seed=2)
    assert torch.equal(one.test_set()[3].mixture, other.test_set()[3].mixture)
    assert torch.equal(one.make_valid()[3].mixture, other.make_valid()[3].mixture)
    assert one.fingerprint() == other.fingerprint()
    assert one.test_set().fingerprint() == other.test_set().fingerprint()


def test_the_fingerprint_knows_the_settings(synthetic: Make) -> None:
    prints = {
        synthetic(**change).fingerprint()
        for change in ({}, {"snr_db": (0.0, 10.0)}, {"segment_seconds": 1.0}, {"level_dbfs": (-30.0, -20.0)})
    }
    assert len(prints) == 4
    assert synthetic().fingerprint() in prints


def test_validation_loader_is_finite_and_in_order(synthetic: Make) -> None:
    batches = list(synthetic(batch_size=5).val_dataloader())
    assert [index for batch in batches for index in batch.index.tolist()] == list(range(24))


def test_description_is_plain(synthetic: Make) -> None:
    facts = synthetic().describe()
    assert yaml.safe_load(yaml.safe_dump(facts)) == facts
    assert facts["voices"] == {"train": 4, "valid": 2, "test": 3}
    assert facts["noise_families"] == {"train": 11, "valid": 11, "test": 16}


def test_yaml_names_this_module_and_only_known_keys(cache: Path, corpus: Corpus) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    config["corpus"] |= corpus.facts["settings"]
    config["cache_dir"] = str(cache)
    data = instantiate(config, stft=STFT(), seed=0)
    assert isinstance(data, SyntheticDataModule)
    assert data.corpus.folder == corpus.folder
    assert data.snr_db == (-5.0, 10.0)
    assert len(CONFIG.read_text().splitlines()) <= 40


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"snr_db": (10.0, -5.0)}, "snr_db"),
        ({"snr_db": (1.0,)}, "snr_db"),
        ({"level_dbfs": (-20.0, -30.0)}, "level_dbfs"),
        ({"batch_size": 0}, "batch_size"),
        ({"num_workers": -1}, "num_workers"),
        ({"segment_seconds": 0.0}, "segment_seconds"),
        ({"start_method": "teleport"}, "start_method"),
        ({"channel": "left"}, "channel"),
    ],
)
def test_settings_that_do_not_fit(synthetic: Make, settings: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        synthetic(**settings)


def test_a_ready_test_set_takes_the_place_of_the_own(synthetic: Make, pairs: Callable[..., Path]) -> None:
    data = synthetic(test=str(pairs("ready", count=2)))
    data.setup("fit")
    assert len(data.test_set()) == 2
    assert data.test_set()[0].tags["kind"] == "noisy"


def test_a_ready_test_set_is_checked_before_training(
    synthetic: Make, pairs: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no such folder"):
        synthetic(test=str(tmp_path / "nowhere")).setup("fit")
    with pytest.raises(DataError, match=r"number of sources.*expected 1, got 2"):
        synthetic(test=str(pairs("ready", count=1, speakers=2))).setup("fit")


def test_only_the_noise_families_asked_for(synthetic: Callable[..., SyntheticDataModule]) -> None:
    data = synthetic(noise_families=["hum", "rain"])
    train, items = data.make_train(), data.test_set()
    drawn = {train[index].tags["noise_class"] for index in range(30)}
    planned = {items[index].tags.get("noise_class") for index in range(len(items))}
    assert drawn == {"hum", "rain"}
    assert planned - {None} == {"hum", "rain"}
    assert data.fingerprint() != synthetic().fingerprint()
    with pytest.raises(ConfigError, match="did you mean `hum`"):
        synthetic(noise_families=["humm"]).make_train()
