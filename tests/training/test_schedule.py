from __future__ import annotations

import pytest
import torch

from audiocx.training.schedule import warmup_constant, warmup_cosine


def rates(make, n_steps, **keys):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = make(optimizer, max_steps=n_steps, **keys)
    found = []
    for _ in range(n_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_cosine():
    found = rates(warmup_cosine, 1000, warmup_steps=50, final=0.01)
    assert found[0] == pytest.approx(2.0 / 50)
    assert max(found) == pytest.approx(2.0, rel=1e-3)
    assert found[50 + 475] == pytest.approx(2.0 * (0.01 + 0.99 * 0.5), rel=1e-2)
    assert found[-1] == pytest.approx(0.02, rel=0.02)


def test_warm_up_is_short_in_short_runs():
    assert rates(warmup_cosine, 20)[3] > 1.9


def test_constant():
    found = rates(warmup_constant, 100, warmup_steps=10)
    assert found[0] == pytest.approx(0.2)
    assert found[10:] == [2.0] * 90
    assert rates(warmup_constant, 20, warmup_steps=0) == [2.0] * 20


@pytest.mark.parametrize("make", [warmup_cosine, warmup_constant])
def test_settings_that_do_not_fit_are_refused(make):
    with pytest.raises(ValueError, match="warmup_steps must be at least 0, got -1"):
        rates(make, 20, warmup_steps=-1)
    if make is warmup_cosine:
        with pytest.raises(ValueError, match="final must be at least 0 and at most 1, got 2"):
            rates(make, 20, final=2)
