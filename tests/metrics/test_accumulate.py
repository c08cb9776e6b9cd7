"""The accumulator: equal to the mean of an evaluation's scores over batches, with undefined items counted."""

from __future__ import annotations

import math

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.metrics.accumulate import MeanScore
from audiocx.metrics.table import WORDS, find_metrics
from audiocx.metrics.waveform import si_sdr_db, snr_db
from audiocx.signal.stft import STFT


def _batch(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    target, noise = torch.randn(2, n, 1, 1, 4000, generator=torch.Generator().manual_seed(seed))
    return target + 0.2 * noise, target


def test_two_batches_are_one() -> None:
    first, second = _batch(0, 3), _batch(1, 5)
    mean = MeanScore("si_sdr_db", stft=STFT())
    mean.update(*first)
    mean.update(*second)
    both = [torch.cat(pair) for pair in zip(first, second, strict=True)]
    assert float(mean.compute()) == pytest.approx(float(si_sdr_db(*both).mean()), abs=1e-5)


@pytest.mark.parametrize("word", WORDS)
def test_every_metric_has_it(word: str) -> None:
    target, noise = torch.randn(2, 2, 16000, generator=torch.Generator().manual_seed(0))
    estimate = target + 0.2 * noise
    mean = MeanScore(word, stft=STFT())
    mean.update(estimate, target)
    (metric,) = find_metrics([word])
    scores = [metric(*pair, mixture=pair[0], stft=STFT()) for pair in zip(estimate, target, strict=True)]
    defined = [score.value for score in scores if not score.reason]
    assert int(mean.count) == len(defined)
    assert int(mean.n_undefined) == 2 - len(defined)
    if defined:
        assert float(mean.compute()) == pytest.approx(sum(defined) / len(defined), abs=1e-5)


def test_undefined_are_counted_and_left_out_and_perfect_are_100_db() -> None:
    estimate, target = _batch(0, 3)
    target[0] = 0.0
    estimate[1] = target[1]
    mean = MeanScore("snr_db", stft=STFT())
    mean.update(estimate, target)
    assert int(mean.n_undefined) == 1
    expected = (100.0 + float(snr_db(estimate[2], target[2]))) / 2
    assert float(mean.compute()) == pytest.approx(expected, abs=1e-4)
    mean.reset()
    assert int(mean.n_undefined) == 0


def test_improvement_over_a_mixture_that_all_sources_share() -> None:
    estimate, target = _batch(0, 4)
    mixture = target[:, 0] + torch.randn(4, 1, 4000, generator=torch.Generator().manual_seed(9))
    mean = MeanScore("si_sdr_db", stft=STFT(), improvement=True)
    mean.update(estimate, target, mixture=mixture.unsqueeze(1))
    expected = (si_sdr_db(estimate[:, 0], target[:, 0]) - si_sdr_db(mixture, target[:, 0])).mean()
    assert float(mean.compute()) == pytest.approx(float(expected), abs=1e-5)
    with pytest.raises(ConfigError, match="needs the mixture"):
        mean.update(estimate, target)


def test_improvements_of_errors_point_upwards_and_clean_inputs_are_left_out() -> None:
    estimate, target = _batch(0, 2)
    worse = target + 5 * (estimate - target)
    worse[1] = target[1]
    mean = MeanScore("phase_error_rad", stft=STFT(), improvement=True)
    mean.update(estimate[:1], target[:1], mixture=worse[:1])
    assert float(mean.compute()) > 0.1
    mean = MeanScore("si_sdr_db", stft=STFT(), improvement=True)
    mean.update(estimate, target, mixture=worse)
    assert (int(mean.count), int(mean.n_undefined)) == (1, 1)


def test_processes_add_up(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """What torchmetrics does between processes: gather every state, and reduce it as it was declared."""
    parts = [_batch(0, 3), _batch(1, 5)]
    means = [MeanScore("si_sdr_db", stft=STFT()) for _ in parts]
    for mean, part in zip(means, parts, strict=True):
        mean.update(*part)
    gathered = {name: torch.stack([getattr(mean, name) for mean in means]) for name in means[0]._reductions}
    for name, reduce in means[0]._reductions.items():
        setattr(means[0], name, reduce(gathered[name]))  # type: ignore[operator, misc]
    both = [torch.cat(pair) for pair in zip(*parts, strict=True)]
    assert float(means[0].compute()) == pytest.approx(float(si_sdr_db(*both).mean()), abs=1e-5)
    assert not means[0].state_dict()  # a checkpoint does not grow by it


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_nan() -> None:
    assert math.isnan(float(MeanScore("si_sdr_db", stft=STFT()).compute()))
