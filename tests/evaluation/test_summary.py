"""Summaries: which items count, groups, undefined scores, paired differences."""

from __future__ import annotations

import json
import math

import pytest

from audiocx.evaluation.facts import ModelFacts, Origin
from audiocx.evaluation.scoring import Row, Scores
from audiocx.evaluation.statistics import Interval, cluster_interval
from audiocx.evaluation.summary import Difference, noisy_rows, paired_differences, summarise


def _row(system: str, index: int, kind: str, snr: str | None, value: float, **more: float) -> Row:
    scores = {"si_sdr_db": value, "input_si_sdr_db": 1.0, "si_sdr_improvement_db": value - 1.0, **more}
    tags = {"kind": kind, "noise_class": ("rain", "wind")[index % 2]}
    if snr is not None:
        tags["snr_db"] = snr
    clusters = {"talker": f"t{index % 3}", "noise": f"n{index % 4}"}
    return Row(system, index, str(index), clusters, tags, scores)


def _scores(*rows: Row) -> Scores:
    systems = list(dict.fromkeys(row.system for row in rows))
    n_items = len({row.index for row in rows})
    return Scores(list(rows), systems, ["si_sdr_db"], n_items, {"a": 0.02}, "f00d")


def _ten(system: str, offset: float = 0.0) -> list[Row]:
    return [_row(system, index, "dry", ("-5", "10", "0")[index % 3], index + offset) for index in range(10)]


def test_headline_leaves_out_clean_and_noise() -> None:
    rows = [
        *_ten("a"),
        _row("a", 10, "clean", None, math.inf),
        _row("a", 11, "noise", None, math.nan, attenuation_db=12.0),
    ]
    summary = summarise(_scores(*rows), "a")
    assert summary.files == 12
    assert summary.headline.files == 10
    assert summary.headline.metrics["si_sdr_db"].mean == 4.5
    expected = cluster_interval(list(range(10)), [row.clusters for row in rows[:10]])
    assert summary.headline.metrics["si_sdr_db"] == expected
    assert list(summary.by_kind) == ["clean", "dry", "noise"]
    assert summary.by_kind["clean"].metrics["si_sdr_db"].mean == 100.0
    assert summary.by_kind["noise"].metrics["attenuation_db"].mean == 12.0
    assert "attenuation_db" not in summary.by_kind["dry"].metrics
    assert list(summary.by_input_snr_db) == ["-5", "0", "10"]
    assert {name: group.files for name, group in summary.by_noise_class.items()} == {"rain": 5, "wind": 5}


def test_where_nothing_is_noisy_everything_counts() -> None:
    clean, dry, unread = _row("a", 0, "clean", None, 3.0), _row("a", 1, "dry", "5", 3.0), Row("a", 2, "2")
    unread.failure = "truncated"
    assert noisy_rows([clean, unread]) == [clean]
    # A system that fails on all that is noisy is not measured by clean items.
    dry.failure = "out of memory"
    assert noisy_rows([clean, dry]) == []


def test_many_ratios_are_put_into_ranges() -> None:
    rows = [_row("a", index, "dry", f"{-5 + 1.1 * index:g}", 1.0) for index in range(12)]
    summary = summarise(_scores(*rows), "a")
    assert list(summary.by_input_snr_db) == ["-5 to 0", "0 to 5", "5 to 10"]
    assert sum(group.files for group in summary.by_input_snr_db.values()) == 12


def test_undefined_scores_are_counted_and_left_out() -> None:
    rows = _ten("a")
    rows[3].scores["si_sdr_db"] = math.nan
    rows[3].reasons["si_sdr_db"] = "silent target"
    rows[4].scores["si_sdr_db"] = math.inf
    rows[5].failure = "truncated"
    summary = summarise(_scores(*rows), "a")
    assert summary.failed == 1
    assert summary.undefined == {"si_sdr_db": {"silent target": 1}}
    interval = summary.headline.metrics["si_sdr_db"]
    assert interval.n == 8
    assert interval.mean == pytest.approx((0 + 1 + 2 + 100 + 6 + 7 + 8 + 9) / 8)


def test_json_has_the_keys_of_the_design_and_no_nan() -> None:
    rows = [_row("a", 0, "dry", "5", 2.0)]
    facts = ModelFacts(100, 2000, Origin("runs/a", "abcd", 7, "beef"))
    content = summarise(_scores(*rows), "a", facts=facts).as_json()
    json.dumps(content, allow_nan=False)
    assert list(content) == [
        "files",
        "failed",
        "metrics",
        "by_kind",
        "by_noise_class",
        "by_input_snr_db",
        "model",
        "data_fingerprint",
        "test_fingerprint",
    ]
    assert content["metrics"]["si_sdr_db"] == {"mean": 2.0, "low": None, "high": None, "n": 1}
    assert content["model"] == {
        "parameters_real": 100,
        "macs_per_second": 2000,
        "real_time_factor": 0.02,
        "threads": 1,
        "checkpoint": "runs/a",
        "weights": "abcd",
        "step": 7,
    }
    assert content["by_input_snr_db"]["5"]["files"] == 1
    assert content["data_fingerprint"] == "beef"
    assert content["test_fingerprint"] == "f00d"
    unknown = summarise(_scores(*rows), "a", facts=ModelFacts(100, 2000)).as_json()
    assert unknown["data_fingerprint"] is None
    assert "step" not in unknown["model"]


def test_differences_are_paired() -> None:
    first, second = _ten("a", offset=0.5), _ten("b")
    second[2].failure = "truncated"
    first[4].scores["si_sdr_db"] = math.nan
    (difference,) = paired_differences(_scores(*first, *second), [("a", "b")])
    assert (difference.first, difference.second) == ("a", "b")
    # The same for every item: what the items are like does not widen the interval.
    assert difference.interval.mean == pytest.approx(0.5)
    assert difference.interval.half_width == pytest.approx(0.0, abs=1e-9)
    assert difference.interval.n == 8
    assert difference.verdict == "better"
    (reverse,) = paired_differences(_scores(*first, *second), [("b", "a")])
    assert reverse.verdict == "worse"


def test_of_errors_less_is_better() -> None:
    more, less = Interval(0.2, 0.1, 0.3, 9), Interval(-0.2, -0.3, -0.1, 9)
    verdicts = [Difference("a", "b", "phase_error_rad", interval).verdict for interval in (more, less)]
    assert verdicts == ["worse", "better"]
    assert Difference("a", "b", "phase_error_rad", Interval(0.2, -0.1, 0.5, 9)).verdict == ""


def test_equal_systems_differ_in_nothing() -> None:
    rows = [*_ten("a"), *_ten("b"), *_ten("c")]
    differences = paired_differences(_scores(*rows), [("a", "b"), ("b", "c")])
    assert [(each.first, each.second) for each in differences] == [("a", "b"), ("b", "c")]
    assert all(each.verdict == "" for each in differences)
