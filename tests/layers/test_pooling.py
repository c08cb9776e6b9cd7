from __future__ import annotations

import torch
from torch import nn

from audiocx.layers.planar import to_planar
from audiocx.layers.pooling import ComplexAveragePool2d, MagnitudeMaxPool2d


def test_keeps_the_value_of_largest_modulus_and_the_first_of_equals():
    z = torch.tensor([[1 + 1j, -3, 2j, 0.1], [0.5, 2, -2j, 2]], dtype=torch.complex128).view(1, 1, 2, 4)
    pooled = MagnitudeMaxPool2d((2, 2))(z)
    assert pooled.flatten().tolist() == [-3, 2j]


def test_gradient_goes_to_the_winner_alone():
    z = torch.tensor([1 + 1j, -3, 2j, 0.1], dtype=torch.complex128).view(1, 1, 1, 4).requires_grad_()
    MagnitudeMaxPool2d((1, 2))(z).real.sum().backward()
    assert z.grad.flatten().tolist() == [0, 1, 1, 0]


def test_small_and_large_values_are_told_apart():
    """Their squares would all be 0, or infinite, in float32."""
    for scale in (1e-30, 1e30):
        z = scale * torch.tensor([1, 3j, -2, 1], dtype=torch.complex64).view(1, 1, 1, 4)
        assert torch.equal(MagnitudeMaxPool2d((1, 4))(z).flatten(), z.flatten()[1:2])


def test_padding_is_never_chosen():
    z = torch.zeros(1, 1, 3, 3, dtype=torch.complex64)
    assert not MagnitudeMaxPool2d((3, 3), (1, 1), (1, 1))(z).any()


def test_agrees_with_the_twin_on_the_positive_real_axis(noise):
    real = noise(2, 3, 8, 9).abs()
    planar = torch.cat((real, torch.zeros_like(real)), 1)
    pooled = MagnitudeMaxPool2d((3, 2), (2, 1), (1, 1))(planar)
    torch.testing.assert_close(pooled[:, :3], nn.MaxPool2d((3, 2), (2, 1), (1, 1))(real), rtol=0, atol=0)


def test_average_is_the_twin_on_the_planes(noise):
    planar = noise(2, 6, 8, 9)
    wanted = nn.AvgPool2d((3, 2), (2, 1), (1, 1))(planar)
    torch.testing.assert_close(ComplexAveragePool2d((3, 2), (2, 1), (1, 1))(planar), wanted, rtol=0, atol=0)


def test_average_of_opposite_phases_is_nothing():
    z = torch.tensor([1 + 2j, -1 - 2j], dtype=torch.complex64).view(1, 1, 1, 2)
    assert not ComplexAveragePool2d((1, 2))(z).any()
    assert to_planar(z).shape == (1, 2, 1, 2)
