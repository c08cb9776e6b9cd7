from __future__ import annotations

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers.activation import (
    LEAKY_SLOPE,
    Cardioid,
    CPReLU,
    CReLU,
    LeakyCReLU,
    ModReLU,
    PolarTanh,
    Siglog,
    SoftThreshold,
    ZReLU,
)
from audiocx.layers.planar import to_complex, to_planar

Z = torch.tensor([1 + 1j, -1 + 2j, -2 - 1j, 0.5 - 0.25j, 0], dtype=torch.complex128).view(1, 5, 1)


def mod_relu(bias):
    layer = ModReLU(5).double()
    with torch.no_grad():
        layer.bias.fill_(bias)
    return layer


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (CReLU(), [1 + 1j, 2j, 0, 0.5, 0]),
        (
            LeakyCReLU(),
            [1 + 1j, -LEAKY_SLOPE + 2j, -2 * LEAKY_SLOPE - 1j * LEAKY_SLOPE, 0.5 - 0.25j * LEAKY_SLOPE, 0],
        ),
        (
            mod_relu(-0.5),
            [0.646447 + 0.646447j, -0.776393 + 1.552786j, -1.552786 - 0.776393j, 0.052786 - 0.026393j, 0],
        ),
        (mod_relu(0.0), Z.flatten().tolist()),
        (CPReLU(5).double(), [1 + 1j, -0.25 + 2j, -0.5 - 0.25j, 0.5 - 0.0625j, 0]),
        (ZReLU(), [1 + 1j, 0, 0, 0, 0]),
        (
            Cardioid(),
            [0.853553 + 0.853553j, -0.276393 + 0.552786j, -0.105573 - 0.052786j, 0.473607 - 0.236803j, 0],
        ),
        (
            PolarTanh(),
            [0.628183 + 0.628183j, -0.437112 + 0.874224j, -0.874224 - 0.437112j, 0.453696 - 0.226848j, 0],
        ),
        (
            Siglog(),
            [0.414214 + 0.414214j, -0.309017 + 0.618034j, -0.618034 - 0.309017j, 0.320715 - 0.160357j, 0],
        ),
    ],
)
def test_known_values(layer, expected):
    wanted = torch.tensor(expected, dtype=torch.complex128).view(1, 5, 1)
    torch.testing.assert_close(layer(Z), wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(to_complex(layer(to_planar(Z))), wanted, rtol=0, atol=1e-6)


def test_soft_threshold_is_mod_relu_on_the_real_axis(noise):
    real = noise(1, 4, 6)
    twin, layer = SoftThreshold(4), ModReLU(4)
    with torch.no_grad():
        for module in (twin, layer):
            module.bias.copy_(torch.tensor([-0.5, -0.1, 0.0, 0.2]))
    on_axis = torch.cat((real, torch.zeros_like(real)), 1)
    torch.testing.assert_close(twin(real), layer(on_axis)[:, :4], rtol=1e-5, atol=1e-6)
    # In half precision as well: what comes out has the type that went in.
    assert torch.equal(twin(real.bfloat16()), layer(on_axis.bfloat16())[:, :4])


def test_z_relu_drops_what_is_infinite_outside_its_quadrant():
    z = torch.tensor([complex(float("inf"), -1), complex(2, 3)], dtype=torch.complex64).view(1, 2, 1)
    assert ZReLU()(z).flatten().tolist() == [0, 2 + 3j]


@pytest.mark.parametrize(("inverse_slope", "bound"), [(0.0, 1.0), (1.0, -1.0)])
def test_siglog_refuses_what_is_no_curve(inverse_slope, bound):
    with pytest.raises(ConfigError, match="above 0"):
        Siglog(inverse_slope, bound)
