"""Rows: values, reasons, failures, several sources, processes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from audiocx.data.batch import Example
from audiocx.data.test_set import TestSet
from audiocx.errors import ConfigError, DataError
from audiocx.evaluation.baselines import noisy
from audiocx.evaluation.pool import ScoringPool
from audiocx.evaluation.scoring import InformedSystem, Row, score
from audiocx.metrics.waveform import si_sdr_db, snr_db
from audiocx.signal.stft import STFT

MakeSet = Callable[..., TestSet]
METRICS = ["si_sdr_db", "snr_db"]


def smooth(mixture: torch.Tensor) -> torch.Tensor:
    """A poor man's enhancement: a moving average."""
    kernel = torch.ones(1, 1, 5) / 5
    return torch.nn.functional.conv1d(mixture.unsqueeze(0), kernel, padding=2)


class Perfect(InformedSystem):
    def estimate(self, example: Example) -> torch.Tensor:
        return example.target.clone()


def test_rows_hold_the_metrics_of_estimate_and_input(make_set: MakeSet) -> None:
    test_set = make_set()
    scores = score(test_set, {"noisy": noisy(1), "smooth": smooth}, stft=STFT(), metrics=METRICS)
    assert [(row.index, row.system) for row in scores.rows[:4]] == [
        (0, "noisy"),
        (0, "smooth"),
        (1, "noisy"),
        (1, "smooth"),
    ]
    assert scores.n_items == 8
    assert scores.test_fingerprint == "memory"
    assert (scores.n_threads, scores.n_scoring) == (torch.get_num_threads(), 0)
    for row in scores.of("smooth")[:6]:
        example = test_set[row.index]
        estimate = smooth(example.mixture)[0, 0]
        assert row.scores["si_sdr_db"] == pytest.approx(float(si_sdr_db(estimate, example.target[0, 0])))
        before = float(si_sdr_db(example.mixture[0], example.target[0, 0]))
        assert row.scores["input_si_sdr_db"] == pytest.approx(before)
        assert row.scores["si_sdr_improvement_db"] == pytest.approx(row.scores["si_sdr_db"] - before)
        assert row.scores["input_snr_db"] == pytest.approx(float(row.tags["snr_db"]), abs=0.01)
        assert "attenuation_db" not in row.scores
        assert row.clusters == example.clusters
    assert all(row.scores["si_sdr_improvement_db"] == 0.0 for row in scores.of("noisy")[:6])
    assert 0 < scores.real_time_factors["smooth"] < 1


def test_undefined_scores_have_reasons(make_set: MakeSet) -> None:
    scores = score(make_set(), {"smooth": smooth}, stft=STFT(), metrics=METRICS)
    clean, noise = scores.rows[6], scores.rows[7]
    assert 20 < clean.scores["si_sdr_db"] < math.inf
    assert clean.scores["input_si_sdr_db"] == math.inf
    assert math.isnan(clean.scores["si_sdr_improvement_db"])
    assert clean.reasons["si_sdr_improvement_db"] == "the input is clean"
    assert math.isnan(noise.scores["si_sdr_db"])
    assert noise.reasons["si_sdr_db"] == "silent target"
    # A moving average of 5 takes white noise down by 10 log10 5.
    assert noise.scores["attenuation_db"] == pytest.approx(10 * math.log10(5), abs=0.2)


def test_a_clean_input_is_not_improved_on_though_it_hisses(make_set: MakeSet) -> None:
    clean = score(make_set(n_noisy=0, hiss=1e-4), {"smooth": smooth}, stft=STFT(), metrics=METRICS).rows[0]
    assert 20 < clean.scores["input_si_sdr_db"] < 100
    assert math.isnan(clean.scores["si_sdr_improvement_db"])
    assert clean.reasons["si_sdr_improvement_db"] == "the input is clean"


def test_perfect_estimates_and_oracles_see_the_target(make_set: MakeSet) -> None:
    row = score(make_set(), {"perfect": Perfect()}, stft=STFT(), metrics=METRICS).rows[0]
    assert row.scores["si_sdr_db"] == math.inf
    assert row.scores["si_sdr_improvement_db"] == pytest.approx(100 - row.scores["input_si_sdr_db"])


def test_lower_is_better_for_errors(make_set: MakeSet) -> None:
    row = score(make_set(), {"perfect": Perfect()}, stft=STFT(), metrics=["phase_error_rad"]).rows[0]
    assert row.scores["phase_error_improvement_rad"] == pytest.approx(
        row.scores["input_phase_error_rad"], abs=1e-6
    )
    assert row.scores["phase_error_improvement_rad"] > 0.1


def test_several_sources_are_scored_in_the_given_order_and_averaged(make_set: MakeSet) -> None:
    test_set = make_set(n_sources=2)

    class Swapped(InformedSystem):
        def estimate(self, example: Example) -> torch.Tensor:
            return example.target.flip(0)

    class Uneven(InformedSystem):
        def estimate(self, example: Example) -> torch.Tensor:
            return torch.stack([example.mixture, example.target[1] + 0.1 * example.target[1].abs()])

    scores = score(test_set, {"swapped": Swapped(), "uneven": Uneven()}, stft=STFT(), metrics=METRICS)
    assert scores.of("swapped")[0].scores["snr_db"] < 1
    row, example = scores.of("uneven")[0], test_set[0]
    estimates = Uneven().estimate(example)
    each = [float(snr_db(estimates[source, 0], example.target[source, 0])) for source in range(2)]
    assert row.scores["snr_db"] == pytest.approx(sum(each) / 2)
    assert scores.of("uneven")[7].reasons["snr_db"] == "source 1: silent target"


def test_failures_are_rows_and_the_rest_goes_on(make_set: MakeSet) -> None:
    def fails_on_loud(mixture: torch.Tensor) -> torch.Tensor:
        if float(mixture.abs().max()) > 0.5:
            raise RuntimeError("out\nof memory")
        return mixture.unsqueeze(0)

    def not_a_number(mixture: torch.Tensor) -> torch.Tensor:
        return mixture.unsqueeze(0) * float("nan")

    def too_short(mixture: torch.Tensor) -> torch.Tensor:
        return mixture.unsqueeze(0)[..., :-1]

    systems = {"good": smooth, "loud": fails_on_loud, "nan": not_a_number, "short": too_short}
    scores = score(make_set(broken=2), systems, stft=STFT(), metrics=METRICS)
    assert len(scores.rows) == 8 * 4
    assert {row.failure for row in scores.rows if row.index == 2} == {"item-2: truncated"}
    assert [row.index for row in scores.of("good") if row.failure] == [2]
    assert "NaN" in scores.of("nan")[0].failure
    assert "(1, 1, 16000), got (1, 1, 15999)" in scores.of("short")[0].failure
    loud = [row.failure for row in scores.of("loud") if row.failure and row.index != 2]
    assert loud
    assert set(loud) == {"RuntimeError: out of memory"}
    assert not any(row.scores for row in scores.failures)


def test_processes_give_what_one_gives(make_set: MakeSet) -> None:
    test_set = make_set(n_noisy=3, hiss=1e-4)
    metrics = ["si_sdr_db", "sdr_db", "phase_error_rad"]
    at_once = score(test_set, {"smooth": smooth}, stft=STFT(), metrics=metrics, n_processes=0)
    spawned = score(test_set, {"smooth": smooth}, stft=STFT(), metrics=metrics, n_processes=2)
    assert (spawned.n_threads, spawned.n_scoring) == (1, 2)
    assert spawned.rows[3].reasons["si_sdr_improvement_db"] == "the input is clean"
    for one, other in zip(at_once.rows, spawned.rows, strict=True):
        # Children work with one thread each, which adds in another order.
        assert one.scores == pytest.approx(other.scores, nan_ok=True, abs=1e-5)
        assert one.reasons == other.reasons


def test_where_no_process_can_start_scoring_goes_on(
    make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScoringPool, "_starts", lambda self: False)
    scores = score(make_set(), {"smooth": smooth}, stft=STFT(), metrics=METRICS, n_processes=2)
    assert not scores.failures
    assert scores.n_scoring == 0


def test_interrupted_scoring_keeps_what_is_finished(make_set: MakeSet) -> None:
    calls = []

    def interrupted(mixture: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return mixture.unsqueeze(0)

    finished: list[Row] = []
    with pytest.raises(KeyboardInterrupt):
        score(make_set(), {"one": interrupted}, stft=STFT(), metrics=METRICS, finished=finished)
    assert [row.index for row in finished] == [0, 1, 2]


def test_errors(make_set: MakeSet) -> None:
    with pytest.raises(DataError, match="8000 Hz"):
        score(make_set(), {"noisy": noisy(1)}, stft=STFT(sample_rate=8000))
    with pytest.raises(ConfigError, match="did you mean"):
        score(make_set(), {"noisy": noisy(1)}, stft=STFT(), metrics=["si_sdr"])
    empty = make_set(n_noisy=-2)
    with pytest.raises(DataError, match="no items"):
        score(empty, {"noisy": noisy(1)}, stft=STFT())
