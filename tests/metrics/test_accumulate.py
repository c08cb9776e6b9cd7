"""Accumulators: equal to the mean of the function over batches, with undefined items counted."""

from __future__ import annotations

import math

import pytest
import torch

from audiocx.metrics.accumulate import MeanScore
from audiocx.metrics.waveform import si_sdr_db, snr_db


def _batch(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    target, noise = torch.randn(2, n, 1, 1, 4000, generator=torch.Generator().manual_seed(seed))
    return target + 0.2 * noise, target


def test_two_batches_are_one() -> None:
    first, second = _batch(0, 3), _batch(1, 5)
    mean = MeanScore(si_sdr_db)
    mean.update(*first)
    mean.update(*second)
    both = [torch.cat(pair) for pair in zip(first, second, strict=True)]
    assert float(mean.compute()) == pytest.approx(float(si_sdr_db(*both).mean()), abs=1e-5)


def test_undefined_are_counted_and_left_out_and_perfect_are_100_db() -> None:
    estimate, target = _batch(0, 3)
    target[0] = 0.0
    estimate[1] = target[1]
    mean = MeanScore(snr_db)
    mean.update(estimate, target)
    assert int(mean.n_undefined) == 1
    expected = (100.0 + float(snr_db(estimate[2], target[2]))) / 2
    assert float(mean.compute()) == pytest.approx(expected, abs=1e-4)
    mean.reset()
    assert int(mean.n_undefined) == 0


def test_improvement_over_a_mixture_that_all_sources_share() -> None:
    estimate, target = _batch(0, 4)
    mixture = target[:, 0] + torch.randn(4, 1, 4000, generator=torch.Generator().manual_seed(9))
    mean = MeanScore(si_sdr_db, improvement=True)
    mean.update(estimate, target, mixture=mixture.unsqueeze(1))
    expected = (si_sdr_db(estimate[:, 0], target[:, 0]) - si_sdr_db(mixture, target[:, 0])).mean()
    assert float(mean.compute()) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_nan() -> None:
    assert math.isnan(float(MeanScore(si_sdr_db).compute()))
