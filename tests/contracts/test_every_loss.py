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


def silent_target(target, estimate, mixture):
    return 0 * target, estimate, mixture


def silent_estimate(target, estimate, mixture):
    return target, 0 * estimate, mixture


def silent_target_and_estimate(target, estimate, mixture):
    return 0 * target, 0 * estimate, mixture


def silent_mixture(target, estimate, mixture):
    return target, estimate, 0 * mixture


def all_silent(target, estimate, mixture):
    return 0 * target, 0 * estimate, 0 * mixture


def perfect(target, estimate, mixture):
    return target, target.clone(), mixture


def perfect_and_clean(target, estimate, mixture):
    return target, target.clone(), target[:, 0]


def nothing_done(target, estimate, mixture):
    return target, mixture.unsqueeze(1).clone(), mixture


def full_scale(target, estimate, mixture):
    return target.sign(), estimate.sign(), mixture.sign()


def usual(target, estimate, mixture):
    return target, estimate, mixture


STATES = [
    silent_target,
    silent_estimate,
    silent_target_and_estimate,
    silent_mixture,
    all_silent,
    perfect,
    perfect_and_clean,
    nothing_done,
    full_scale,
    usual,
]


@every_loss
@pytest.mark.parametrize("amplitude", [1e-23, 1e-7, 1.0])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_value_and_gradient_are_finite(config, amplitude, state, noise):
    loss = make(config)
    target, error = noise(2, 1, 1, 3000), noise(2, 1, 1, 3000)
    target, estimate, mixture = state(target, target + 0.3 * error, (target + error)[:, 0])
    estimate = (amplitude * estimate).requires_grad_()
    value = loss(estimate, amplitude * target, mixture=amplitude * mixture)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(estimate.grad).all()


@every_loss
@pytest.mark.parametrize("amplitude", [0.0, 1e-23, 1e-7])
@pytest.mark.parametrize("quiet", ["target", "estimate", "mixture"])
def test_value_and_gradient_are_finite_where_one_is_quiet(config, amplitude, quiet, noise):
    loss = make(config)
    signals = {name: noise(2, 1, 1, 3000) for name in ("target", "estimate", "mixture")}
    signals[quiet] = amplitude * signals[quiet]
    estimate = signals["estimate"].requires_grad_()
    value = loss(estimate, signals["target"], mixture=signals["mixture"][:, 0])
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(estimate.grad).all()


@every_loss
@pytest.mark.parametrize("amplitude", [1e-7, 1.0])
@pytest.mark.parametrize("state", [silent_target, full_scale, usual], ids=lambda state: state.__name__)
def test_a_small_step_down_the_gradient_gains_what_it_says(config, amplitude, state, noise):
    """In float64, where a step of a millionth can be told from rounding."""
    loss = make(config).double()
    target, error = noise(2, 1, 1, 2000).double(), noise(2, 1, 1, 2000).double()
    target, estimate, mixture = state(target, target + 0.3 * error, (target + error)[:, 0])
    target, mixture = amplitude * target, amplitude * mixture
    estimate = (amplitude * estimate).requires_grad_()
    before = loss(estimate, target, mixture=mixture)
    (gradient,) = torch.autograd.grad(before, estimate)
    step = 1e-6 * estimate.detach().norm() / gradient.norm()
    promised = float(step * gradient.square().sum())
    gained = float(before.detach()) - float(
        loss(estimate.detach() - step * gradient, target, mixture=mixture)
    )
    assert promised > 0
    assert gained == pytest.approx(promised, rel=0.02)


@every_loss
@pytest.mark.parametrize("state", [silent_estimate, nothing_done], ids=lambda state: state.__name__)
def test_silence_and_the_mixture_are_left_downhill(config, state, noise):
    loss = make(config).double()
    target, error = noise(2, 1, 1, 2000).double(), noise(2, 1, 1, 2000).double()
    target, estimate, mixture = state(target, target, (target + error)[:, 0])
    estimate = estimate.requires_grad_()
    before = loss(estimate, target, mixture=mixture)
    (gradient,) = torch.autograd.grad(before, estimate)
    if float(gradient.norm()) == 0.0:
        # A magnitude has no direction at zero: silence stays silence, but is no minimum.
        assert state is silent_estimate
        assert float(loss(0.01 * mixture.unsqueeze(1), target, mixture=mixture)) < float(before.detach())
        return
    step = 1e-6 * target.norm() / gradient.norm()
    assert float(loss(estimate.detach() - step * gradient, target, mixture=mixture)) < float(before.detach())


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
