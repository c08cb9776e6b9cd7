from __future__ import annotations

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers.dropout import ComplexChannelDropout, ComplexDropout
from audiocx.layers.planar import planes

both = pytest.mark.parametrize("layer", [ComplexDropout, ComplexChannelDropout])


@both
@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_share_and_scale(layer, probability):
    outputs = layer(probability)(torch.ones(64, 400, 1, 1))
    real, imaginary = planes(outputs)
    assert torch.equal(real, imaginary)
    assert set(real.unique().tolist()) == {0.0, torch.tensor(1 / (1 - probability)).item()}
    deviation = (probability * (1 - probability) / real.numel()) ** 0.5
    assert float((real == 0).float().mean()) == pytest.approx(probability, abs=4 * deviation)


def test_plain_draws_for_every_value_and_channel_for_every_map():
    planar = torch.ones(4, 16, 10, 10)
    plain, maps = ComplexDropout(0.5)(planar), ComplexChannelDropout(0.5)(planar)
    assert (plain.flatten(2).std(-1) > 0.1).all()
    assert (maps.flatten(2).std(-1) == 0).all()
    assert (maps.amax((2, 3)) == 0).any()
    assert (maps.amax((2, 3)) == 2).any()


@both
def test_nothing_happens_in_evaluation_or_at_zero(layer, noise):
    planar = noise(2, 6, 4, 3)
    assert torch.equal(layer(0.7).eval()(planar), planar)
    assert torch.equal(layer(0.0)(planar), planar)


@both
def test_all_is_dropped_at_one(layer, noise):
    assert not layer(1.0)(noise(2, 6, 4, 3)).any()


@both
@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_no_such_probability(layer, probability):
    with pytest.raises(ConfigError, match="from 0 to 1"):
        layer(probability)
