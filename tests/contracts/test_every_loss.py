"""What every conf/loss/*.yaml must do, at silence and elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from hydra.utils import instantiate

CONF = Path(__file__).resolve().parents[2] / "conf" / "loss"
LOSSES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
every_loss = pytest.mark.parametrize("config", LOSSES.values(), ids=LOSSES.keys())


def make(config):
    return instantiate(config, _convert_="all")


@every_loss
def test_a_better_estimate_is_lower_and_the_target_is_lowest(config, noise):
    loss, target, error = make(config), noise(2, 1, 1, 8000), noise(2, 1, 1, 8000)
    mixture = (target + error)[:, 0]
    values = [float(loss(target + gain * error, target, mixture=mixture)) for gain in (0.0, 0.1, 0.5, 1.0)]
    assert values == sorted(values)
    assert values[0] < values[1]


@every_loss
def test_the_mean_over_the_batch_is_the_mean_of_the_items(config, noise):
    loss, target, estimate, mixture = (
        make(config),
        noise(3, 2, 1, 4000),
        noise(3, 2, 1, 4000),
        noise(3, 1, 4000),
    )
    items = [loss(estimate[i : i + 1], target[i : i + 1], mixture=mixture[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(loss(estimate, target, mixture=mixture), torch.stack(items).mean())


@every_loss
@pytest.mark.parametrize("amplitude", [0.0, 1e-23, 1e-7, 1.0])
@pytest.mark.parametrize("silent", ["target", "estimate", "mixture", "all"])
def test_value_and_gradient_are_finite_at_silence(config, amplitude, silent, noise):
    loss = make(config)
    target, mixture = noise(2, 1, 1, 3000), noise(2, 1, 3000)
    estimate = noise(2, 1, 1, 3000)
    if silent in ("target", "all"):
        target = amplitude * target
    if silent in ("estimate", "all"):
        estimate = amplitude * estimate
    if silent in ("mixture", "all"):
        mixture = amplitude * mixture
    estimate = estimate.requires_grad_()
    value = loss(estimate, target, mixture=mixture)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(estimate.grad).all()


@every_loss
def test_a_silent_target_wants_a_silent_estimate(config, noise):
    loss, mixture = make(config), noise(1, 1, 4000)
    target = torch.zeros(1, 1, 1, 4000)
    estimate = (0.5 * mixture[None]).requires_grad_()
    loud = loss(estimate, target, mixture=mixture)
    quiet = loss(0.1 * mixture[None], target, mixture=mixture)
    assert float(quiet) < float(loud.detach())
    loud.backward()
    assert float((estimate.grad * mixture).sum()) > 0  # down is towards silence


@every_loss
def test_gradcheck_at_a_usual_point(config):
    generator = torch.Generator().manual_seed(2)
    loss = make(config).double()
    target = torch.randn(1, 1, 1, 60, generator=generator, dtype=torch.float64)
    estimate = torch.randn(1, 1, 1, 60, generator=generator, dtype=torch.float64).requires_grad_()
    mixture = torch.randn(1, 1, 60, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda e: loss(e, target, mixture=mixture), (estimate,), atol=1e-4)
