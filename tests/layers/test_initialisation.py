from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from audiocx.layers.activation import LeakyCReLU
from audiocx.layers.convolution import ComplexConv2d
from audiocx.layers.initialisation import GAINS, fan_in, gain_of, initialise_complex, initialise_real
from audiocx.layers.product import block_kernel


def test_variance_and_phase():
    real, imaginary = torch.empty(200, 100), torch.empty(200, 100)
    initialise_complex(real, imaginary, fan=50.0, gain=math.sqrt(2))
    power = real.square() + imaginary.square()
    standard_error = 2 / 50 / math.sqrt(power.numel())
    assert float(power.mean()) == pytest.approx(2 / 50, abs=4 * standard_error)
    assert float(real.var()) == pytest.approx(float(imaginary.var()), rel=0.05)
    turns = torch.atan2(imaginary, real).flatten().sort().values / (2 * math.pi) + 0.5
    uniform = (torch.arange(turns.numel()) + 0.5) / turns.numel()
    assert float((turns - uniform).abs().max()) < 1.63 / math.sqrt(turns.numel())  # Kolmogorov-Smirnov, 1 %


def test_block_kernel_has_the_variance_of_the_real_twin():
    layer = ComplexConv2d(64, 64, (3, 3), gain=GAINS["relu"])
    twin = nn.Conv2d(128, 128, 3)
    initialise_real(twin.weight, fan_in(128, (3, 3)), GAINS["relu"])
    kernel = block_kernel(layer.weight_real, layer.weight_imag)
    assert float(kernel.var()) == pytest.approx(float(twin.weight.var()), rel=0.05)


def test_transposed_fan_counts_taps_that_meet():
    assert fan_in(8, (5, 3), (2, 2)) == 8 * 15 / 4
    assert fan_in(8, (5, 3)) == 8 * 15


def test_gain_keeps_power_through_depth():
    """Twenty layers of (convolution, leaky CReLU) keep E|z|² within a factor of two."""
    z = torch.complex(torch.randn(4, 512, 1, 8), torch.randn(4, 512, 1, 8)) / math.sqrt(2)
    activation = LeakyCReLU()
    with torch.no_grad():
        for _ in range(20):
            z = activation(ComplexConv2d(512, 512, (1, 1), gain=gain_of("leaky_relu"), bias=False)(z))
    assert 0.5 < float(z.abs().square().mean()) < 2.0


def test_unknown_activation_has_gain_one():
    assert gain_of("mypackage.MyActivation") == 1.0
