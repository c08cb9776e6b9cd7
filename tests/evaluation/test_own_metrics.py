"""What is no metric is refused before anything is scored."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.evaluation import own_metrics
from audiocx.evaluation.own_metrics import check_metrics
from audiocx.metrics.table import WORDS


def _given(monkeypatch: pytest.MonkeyPatch, function: Callable[..., object]) -> None:
    monkeypatch.setattr(own_metrics, "mine", function, raising=False)
    check_metrics(["si_sdr_db", f"{own_metrics.__name__}.mine"])


def test_metrics_of_ones_own_are_tried_and_words_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []

    def mine(estimate: torch.Tensor, target: torch.Tensor, sample_rate: int) -> float:
        lengths.append((estimate.shape, target.shape, sample_rate))
        return math.nan

    _given(monkeypatch, mine)
    assert lengths == [((16000,), (16000,), 16000)]
    # Import paths of the package's own are words, too.
    monkeypatch.setattr("audiocx.metrics.waveform.snr_db", lambda: 1 / 0)
    check_metrics([*WORDS, "audiocx.metrics.waveform.si_sdr_db"][-3:])
    check_metrics(["snr_db"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda estimate: 1.0, "TypeError"),
        (lambda estimate, target: estimate, "fails on a second of noise"),
        (lambda estimate, target: "good", "a function of .* that gives a number"),
        (lambda estimate, target: None, "TypeError"),
        (lambda estimate, target, weights: 1.0, "weights"),
    ],
)
def test_what_gives_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, function: Callable[..., object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _given(monkeypatch, function)


def test_any_function_is_not_a_metric() -> None:
    with pytest.raises(ConfigError, match=r"`os\.path\.join` fails on a second of noise"):
        check_metrics(["os.path.join"])
