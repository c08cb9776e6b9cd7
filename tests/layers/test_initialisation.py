from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from audiocx.layers.activation import LeakyCReLU
from audiocx.layers.convolution import ComplexConv2d
from audiocx.layers.initialisation import (
    GAINS,
    INITIALISERS,
    fan_in,
    fan_out,
    gain_of,
    initialise_complex,
    initialise_glorot,
    initialise_real,
    initialise_semi_unitary,
)
from audiocx.layers.linear import ComplexLinear
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
    kernel = block_kernel(layer.weight_real, layer.weight_imag).detach()
    assert float(kernel.var()) == pytest.approx(float(twin.weight.detach().var()), rel=0.05)


def test_transposed_fan_counts_taps_that_meet():
    assert fan_in(8, (5, 3), (2, 2)) == 8 * 15 / 4
    assert fan_in(8, (5, 3)) == 8 * 15
    assert fan_out(8, (5, 3), (2, 2)) == 8 * 15 / 4
    assert fan_out(8, (5, 3)) == 8 * 15


@pytest.mark.parametrize("initial", INITIALISERS)
def test_gain_keeps_power_through_depth(initial):
    """Twenty layers of (convolution, leaky CReLU) keep E|z|² within a factor of two."""
    z = torch.complex(torch.randn(4, 512, 1, 8), torch.randn(4, 512, 1, 8)) / math.sqrt(2)
    activation = LeakyCReLU()
    gain = gain_of("leaky_relu")
    with torch.no_grad():
        for _ in range(20):
            z = activation(ComplexLinear(512, 512, gain=gain, bias=False, initial=initial)(z))
    assert 0.5 < float(z.abs().square().mean()) < 2.0


def test_glorot_variance():
    real, imaginary = torch.empty(200, 100), torch.empty(200, 100)
    initialise_glorot(real, imaginary, (100.0, 300.0), gain=2.0)
    power = real.square() + imaginary.square()
    assert float(power.mean()) == pytest.approx(4 / 200, abs=4 * 4 / 200 / math.sqrt(power.numel()))
    for part in (real, imaginary):
        assert float(part.mean()) == pytest.approx(0, abs=4 * 0.1 / math.sqrt(part.numel()))
        assert float(part.var()) == pytest.approx(2 / 200, rel=4 * math.sqrt(2 / part.numel()))


@pytest.mark.parametrize("shape", [(20, 8), (6, 4, 3, 2), (12, 2, 5)])
@pytest.mark.parametrize("groups", [1, 2])
def test_semi_unitary(shape, groups):
    real, imaginary = (torch.empty(shape, dtype=torch.float64) for _ in range(2))
    initialise_semi_unitary(real, imaginary, fan=5.0, gain=3.0, groups=groups)
    for matrix in torch.complex(real, imaginary).flatten(1).chunk(groups):
        tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.mH
        gram = tall.mH @ tall
        scale = 9.0 / 5.0 * tall.shape[0]
        eye = torch.eye(tall.shape[1], dtype=gram.dtype)
        torch.testing.assert_close(gram / scale, eye, rtol=1e-9, atol=1e-9)
        assert float(matrix.abs().square().mean()) == pytest.approx(9 / 5)


def test_semi_unitary_is_drawn_evenly():
    """No direction is preferred: the mean over draws is zero, the trace's power that of Haar's measure, 1."""
    drawn = []
    for _ in range(2000):
        real, imaginary = torch.empty(3, 3), torch.empty(3, 3)
        initialise_semi_unitary(real, imaginary, fan=3.0)
        drawn.append(torch.complex(real, imaginary))
    stacked = torch.stack(drawn)
    assert float(stacked.mean(0).abs().max()) < 4 / math.sqrt(3 * 2000)
    traces = stacked.diagonal(dim1=1, dim2=2).sum(1).abs().square()
    assert float(traces.mean()) == pytest.approx(1.0, abs=4 / math.sqrt(2000))


@pytest.mark.parametrize("initial", INITIALISERS)
def test_the_same_seed_gives_the_same_weights(initial):
    first, second = (
        (torch.manual_seed(3), ComplexConv2d(4, 6, 3, groups=2, initial=initial))[1] for _ in range(2)
    )
    assert torch.equal(first.weight_real, second.weight_real)
    assert torch.equal(first.weight_imag, second.weight_imag)


def test_unknown_activation_has_gain_one():
    assert gain_of("mypackage.MyActivation") == 1.0
