"""Intervals: what they do to known inputs, and how often they hold the truth."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from audiocx.evaluation.statistics import Interval, cluster_interval


def _layout(n_talkers: int, n_noises: int, n_items: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Talkers in turn, noises in turn but shuffled in every round."""
    generator = np.random.default_rng(seed)
    talkers = np.resize(np.arange(n_talkers), n_items)
    rounds = [generator.permutation(n_noises) for _ in range(-(-n_items // n_noises))]
    return talkers, np.concatenate(rounds)[:n_items]


def _clusters(talkers: np.ndarray, noises: np.ndarray) -> list[dict[str, str]]:
    return [{"talker": f"t{t}", "noise": f"n{n}"} for t, n in zip(talkers, noises, strict=True)]


def _coverage(
    layout: tuple[np.ndarray, np.ndarray], variances: tuple[float, float, float], n_trials: int, n_draws: int
) -> float:
    """Share of trials whose interval holds the true mean, zero, of a crossed random-effects model."""
    talkers, noises = layout
    clusters = _clusters(talkers, noises)
    generator = np.random.default_rng(1)
    of_talkers, of_noises, of_items = np.sqrt(variances)
    held = 0
    for _ in range(n_trials):
        values = of_talkers * generator.standard_normal(talkers.max() + 1)[talkers]
        values += of_noises * generator.standard_normal(noises.max() + 1)[noises]
        values += of_items * generator.standard_normal(len(talkers))
        interval = cluster_interval(values, clusters, n_draws=n_draws)
        held += interval.low <= 0 <= interval.high
    return held / n_trials


def _in_turn(n_talkers: int, n_noises: int, n_items: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Talkers and noises both in turn, every tenth item left out: a clean one, or noise alone."""
    items = np.array([index for index in range(n_items) if index % 10 != 9])
    return items % n_talkers, items % n_noises


LAYOUTS = {
    "27 x 48": _layout(27, 48, 108),
    "27 x 48 in turn": _in_turn(27, 48),
    "10 x 48": _layout(10, 48, 108),
    "10 x 20": _layout(10, 20, 100),
    "5 x 48": _layout(5, 48, 108),
    "5 x 10": _layout(5, 10, 50),
}

# Of talkers, noises and items.
SPLITS = [
    (1.0, 1.0, 1.0),
    (1.0, 1.0, 3.0),
    (2.0, 1.0, 1.0),
    (1.0, 2.0, 1.0),
    (0.3, 0.5, 1.0),
    (1.0, 1.0, 0.1),
    (0.1, 1.0, 1.0),
    (1.0, 0.1, 1.0),
]


@pytest.mark.parametrize("name", ["27 x 48", "10 x 20", "5 x 10"])
def test_intervals_cover(name: str) -> None:
    # 300 trials tell 0.95 from 0.90; the slow test below has more.
    coverage = _coverage(LAYOUTS[name], (1.0, 1.0, 1.0), 300, 500)
    assert 0.92 <= coverage <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("variances", SPLITS, ids=str)
@pytest.mark.parametrize("name", LAYOUTS)
def test_intervals_cover_in_many_trials(name: str, variances: tuple[float, float, float]) -> None:
    coverage = _coverage(LAYOUTS[name], variances, 2000, 1000)
    print(f"coverage {name} {variances}: {coverage:.4f}")  # pytest -s shows the table
    assert 0.93 <= coverage <= 0.98


def test_equal_to_students_interval_without_clusters_in_size() -> None:
    values = np.random.default_rng(0).standard_normal(60)
    interval = cluster_interval(values, [{}] * 60)
    half = 2.0010 * values.std(ddof=1) / math.sqrt(60)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.half_width == pytest.approx(half, rel=0.1)


def test_items_that_share_talkers_say_less() -> None:
    generator = np.random.default_rng(0)
    talkers, noises = _layout(8, 40, 80)
    values = generator.standard_normal(8)[talkers] + 0.3 * generator.standard_normal(80)
    alone = cluster_interval(values, [{}] * 80)
    shared = cluster_interval(values, _clusters(talkers, noises))
    assert shared.half_width > 2 * alone.half_width


def test_shift_scale_and_seed() -> None:
    values = np.random.default_rng(0).standard_normal(100)
    clusters = _clusters(*_layout(10, 20, 100))
    first, again = cluster_interval(values, clusters), cluster_interval(values, clusters)
    assert first == again
    moved = cluster_interval(3.0 - 2.0 * values, clusters)
    assert moved.mean == pytest.approx(3.0 - 2.0 * first.mean)
    assert moved.low == pytest.approx(3.0 - 2.0 * first.high)
    other = cluster_interval(values, clusters, seed=1)
    assert other != first
    assert other.half_width == pytest.approx(first.half_width, rel=0.1)


def test_the_order_of_items_does_not_count() -> None:
    values = np.random.default_rng(0).standard_normal(100)
    talkers, noises = _layout(10, 20, 100)
    clusters = _clusters(talkers, noises)
    order = np.random.default_rng(1).permutation(100)
    shuffled = cluster_interval(values[order], [clusters[index] for index in order])
    assert shuffled.half_width == pytest.approx(cluster_interval(values, clusters).half_width, rel=1e-9)


def test_undefined_values_are_left_out() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    clusters = _clusters(*_layout(10, 10, 50))
    holes = values.copy()
    holes[[3, 7]] = math.nan
    kept = [index for index in range(50) if index not in (3, 7)]
    interval = cluster_interval(holes, clusters)
    assert interval.n == 48
    assert interval == cluster_interval(values[kept], [clusters[index] for index in kept])


@pytest.mark.filterwarnings("error")
def test_too_little_for_an_interval() -> None:
    assert cluster_interval([], []).n == 0
    assert math.isnan(cluster_interval([math.nan], [{}]).mean)
    for talkers in ("a", "a+b"):
        single = cluster_interval([2.0], [{"talker": talkers}])
        assert (single.mean, single.n) == (2.0, 1)
        assert math.isnan(single.low)


def test_a_single_talker_is_held_fixed() -> None:
    values = np.random.default_rng(0).standard_normal(40)
    noises = [{"noise": f"n{index % 10}"} for index in range(40)]
    conditional = [{**names, "talker": "only"} for names in noises]
    assert cluster_interval(values, conditional) == cluster_interval(values, noises)


def test_few_clusters_take_students_quantile() -> None:
    # Two talkers, in which nothing else varies: one degree of freedom.
    interval = cluster_interval([1.0, 1.0, 3.0, 3.0], [{"talker": name} for name in "aabb"])
    assert interval.mean == 2.0
    assert interval.half_width == pytest.approx(12.7062 * 1.0, rel=1e-4)


def test_clusters_are_counted_among_items_with_a_value() -> None:
    clusters = [
        {"talker": "a+b", "noise": "x"},
        {"talker": "b"},
        {"talker": "c"},
        {"talker": "d", "noise": "y"},
    ]
    interval = cluster_interval([1.0, 2.0, math.nan, 3.0], clusters)
    assert interval.clusters == {"talker": 3, "noise": 2}
    assert interval.fewest_clusters == 2
    # One that is held fixed is still the only one of its kind; where nothing is known, items are counted.
    assert cluster_interval([1.0, 2.0], [{"noise": "x"}, {"noise": "x"}]).fewest_clusters == 1
    assert cluster_interval([1.0, 2.0, 3.0], [{}, {}, {}]).fewest_clusters == 3


def test_equal_values_have_no_width() -> None:
    interval = cluster_interval([1.5] * 30, _clusters(*_layout(6, 10, 30)))
    assert (interval.low, interval.high) == (1.5, 1.5)


def test_several_talkers_of_an_item() -> None:
    """An item of two talkers is tied to the items of both."""
    generator = np.random.default_rng(0)
    pairs = [generator.choice(12, 2, replace=False) for _ in range(60)]
    voices = generator.standard_normal(12)
    values = [voices[pair].mean() + 0.1 * generator.standard_normal() for pair in pairs]
    tied = [{"talker": f"v{a}+v{b}"} for a, b in pairs]
    swapped = [{"talker": f"v{b}+v{a}"} for a, b in pairs]
    interval = cluster_interval(values, tied)
    assert interval == cluster_interval(values, swapped)
    assert interval.half_width > 1.5 * cluster_interval(values, [{}] * 60).half_width


def test_other_keys_are_one_more_factor() -> None:
    values = np.repeat(np.random.default_rng(0).standard_normal(5), 20)
    clusters = [{"talker": f"t{index % 20}", "seed": str(index // 20)} for index in range(100)]
    without = cluster_interval(values, clusters)
    with_seeds = cluster_interval(values, clusters, keys=("talker", "noise", "seed"))
    assert with_seeds.half_width > 2 * without.half_width


@pytest.mark.long  # a time, which other work on the machine changes
def test_a_hundred_items_are_quick() -> None:
    values = np.random.default_rng(0).standard_normal((5, 108))
    clusters = _clusters(*_layout(27, 48, 108, seed=7))
    seconds = []
    for row in values:
        begin = time.perf_counter()
        assert isinstance(cluster_interval(row, clusters), Interval)
        seconds.append(time.perf_counter() - begin)
    assert seconds[0] < 0.3  # with the draws; 0.04 s on an idle core
    assert min(seconds) < 0.1
