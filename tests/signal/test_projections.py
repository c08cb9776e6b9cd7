"""Projections: least squares by another way, orthogonality, speed."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from scipy.linalg import lstsq, toeplitz

from audiocx.errors import ShapeError
from audiocx.signal.projections import distortion_filter, filtered_fraction, scaled_target


def _noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_scaled_target_leaves_an_orthogonal_residual() -> None:
    estimate, target = _noise(0, 2, 3, 500)
    projection = scaled_target(estimate, target)
    torch.testing.assert_close(
        ((estimate - projection) * target).sum(-1), torch.zeros(3).double(), atol=1e-9, rtol=0
    )
    torch.testing.assert_close(scaled_target(projection, target), projection)


def test_filter_is_the_least_squares_solution() -> None:
    estimate, target = _noise(1, 2, 300)
    n_taps = 8
    # Columns are the target delayed by 0 ... 7 samples, running out behind the end.
    padded = np.concatenate([target.numpy(), np.zeros(n_taps - 1)])
    delayed = toeplitz(padded, np.zeros(n_taps))
    wanted = np.concatenate([estimate.numpy(), np.zeros(n_taps - 1)])
    solution, *_ = lstsq(delayed, wanted)
    torch.testing.assert_close(distortion_filter(estimate, target, n_taps), torch.from_numpy(solution))
    fraction = np.sum((delayed @ solution) ** 2) / np.sum(wanted**2)
    assert float(filtered_fraction(estimate, target, n_taps)) == pytest.approx(fraction, rel=1e-9)


def test_a_known_filter_is_found() -> None:
    target = _noise(2, 4000)
    target[-3:] = 0.0
    taps = torch.tensor([0.5, 0.0, -0.25, 0.1]).double()
    estimate = torch.nn.functional.conv1d(
        torch.nn.functional.pad(target, (3, 0)).view(1, 1, -1), taps.flip(0).view(1, 1, -1)
    ).flatten()
    torch.testing.assert_close(distortion_filter(estimate, target, 4), taps, atol=1e-9, rtol=0)
    assert float(filtered_fraction(estimate, target, 4)) == pytest.approx(1.0, abs=1e-12)


def test_batches_and_silence() -> None:
    estimate, target = _noise(3, 2, 4, 1000)
    target[1] = 0.0
    estimate[2] = 0.0
    fraction = filtered_fraction(estimate.view(2, 2, 1000), target.view(2, 2, 1000)).flatten()
    assert [math.isnan(float(value)) for value in fraction] == [False, True, True, False]
    torch.testing.assert_close(fraction[3], filtered_fraction(estimate[3], target[3]))


def test_errors() -> None:
    with pytest.raises(ShapeError):
        scaled_target(torch.zeros(3), torch.zeros(4))
    with pytest.raises(ShapeError):
        filtered_fraction(torch.zeros(0), torch.zeros(0))


@pytest.mark.long  # a time, which other work on the machine changes
def test_five_seconds_are_quick() -> None:
    estimate, target = _noise(4, 2, 80000)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        filtered_fraction(estimate, target)
        seconds.append(time.perf_counter() - begin)
    # About 0.02 s on an idle core; the bound leaves room for a busy one.
    assert min(seconds) < 0.06
