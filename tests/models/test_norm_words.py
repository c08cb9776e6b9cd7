"""The words for norms, in every arithmetic."""

from __future__ import annotations

import pytest
import torch

from audiocx.models.arithmetic import ARITHMETICS
from audiocx.models.unet import UNet
from audiocx.models.words import CENTRING, WORDS


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("norm", WORDS["norm"])
def test_every_norm_trains_in_a_network(norm, arithmetic, noise):
    network = UNet(
        arithmetic, 2, 2, widths=[2, 6], kernel_sizes=[[3, 3]] * 2, strides=[[2, 2], [2, 1]], norm=norm
    )
    # One complex feature in, or two real ones: two planes.
    planes = noise(2, 2, 17, 6).contiguous(memory_format=torch.channels_last)
    outputs = network(planes)
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    outputs.square().mean().backward()
    assert torch.isfinite(outputs).all()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("norm", [word for word in WORDS["norm"] if word != "none"])
def test_a_bias_is_in_vain_before_the_centring_norms_alone(norm, noise):
    """Over frames and batch alike, and with 8 complex features, so that a group has several."""
    bias = noise(16).view(1, -1, 1, 1)
    for features, layer in zip((8, 16), WORDS["norm"][norm], strict=True):
        planes, module = noise(3, 16, 9, 5), layer(features)
        in_vain = torch.allclose(module(planes + bias), module(planes), rtol=1e-3, atol=1e-3)
        assert in_vain == (norm in CENTRING)


def test_groups_of_twins_on_the_same_planes_are_as_many():
    for features in (1, 2, 6, 8, 45):
        pair, real = WORDS["norm"]["group"]
        assert pair(features).groups == real(2 * features).groups
    assert real(45).groups == 1
