"""Words to metrics, what a metric may ask for, names of improvements."""

from __future__ import annotations

import math
import pickle
import sys

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.metrics.perception import Score
from audiocx.metrics.table import WORDS, find_metrics, improvement_name, lower_is_better, missing_packages
from audiocx.metrics.waveform import si_sdr_db
from audiocx.signal.stft import STFT


def _pair() -> tuple[torch.Tensor, torch.Tensor]:
    target, noise = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    return target + 0.3 * noise, target


def asks_for_everything(
    estimate: torch.Tensor, target: torch.Tensor, *, mixture: torch.Tensor, sample_rate: int, stft: STFT
) -> Score:
    """A metric of one's own, found by its import path."""
    return Score(sample_rate + stft.n_fft + float(mixture.sum()))


def test_every_word_gives_a_score_or_a_reason() -> None:
    estimate, target = _pair()
    metrics = find_metrics(list(WORDS))
    assert [metric.name for metric in metrics] == list(WORDS)
    for metric in metrics:
        score = metric(estimate, target, mixture=estimate, stft=STFT())
        assert math.isfinite(score.value) != bool(score.reason)


def test_value_and_silence() -> None:
    estimate, target = _pair()
    (metric,) = find_metrics(["si_sdr_db"])
    assert metric(estimate, target, mixture=estimate, stft=STFT()).value == float(si_sdr_db(estimate, target))
    silent = metric(estimate, 0 * target, mixture=estimate, stft=STFT())
    assert math.isnan(silent.value)
    assert silent.reason == "silent target"


def test_own_metric_by_import_path(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "own_metrics.py").write_text(
        "def level_db(estimate, target, *, mixture, sample_rate, stft):\n"
        "    return float(mixture.sum()) + sample_rate + stft.n_fft\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (metric,) = find_metrics(["own_metrics.level_db"])
    assert metric.name == "level_db"
    metric = pickle.loads(pickle.dumps(metric))
    assert metric(torch.zeros(4), torch.ones(4), mixture=torch.ones(4), stft=STFT()).value == 4 + 16000 + 512
    sys.modules.pop("own_metrics")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["si_sdr"], "did you mean `si_sdr_db`"),
        (["nowhere.metric"], "cannot import"),
        (["audiocx.metrics.waveform.N_TAPS"], "not a function"),
        (["si_sdr_db", "audiocx.metrics.waveform.si_sdr_db"], "two are called"),
    ],
)
def test_wrong_words(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_metrics(words)


def test_names() -> None:
    assert improvement_name("si_sdr_db") == "si_sdr_improvement_db"
    assert improvement_name("phase_error_rad") == "phase_error_improvement_rad"
    assert improvement_name("pesq_wb") == "pesq_wb_improvement"
    assert improvement_name("stoi") == "stoi_improvement"
    assert lower_is_better("phase_error_rad")
    assert not lower_is_better("stoi")


def test_missing_packages_are_named_in_one_line(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    metrics = find_metrics(["si_sdr_db", "pesq_wb", "stoi"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = missing_packages(metrics)
    assert "audiocx[metrics]" in line
    assert "pesq_wb" in line
    assert "stoi" not in line
    assert "\n" not in line
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert missing_packages(metrics) == ""
