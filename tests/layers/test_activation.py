from __future__ import annotations

import pytest
import torch

from audiocx.layers.activation import LEAKY_SLOPE, CReLU, LeakyCReLU, ModReLU, SoftThreshold
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
    ],
)
def test_known_values(layer, expected):
    wanted = torch.tensor(expected, dtype=torch.complex128).view(1, 5, 1)
    torch.testing.assert_close(layer(Z), wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(to_complex(layer(to_planar(Z))), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", [CReLU(), LeakyCReLU(), mod_relu(-0.3)])
def test_phase_equivariance_is_as_declared(layer):
    turn = torch.polar(torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64))
    error = float((layer(Z * turn) - layer(Z) * turn).detach().abs().max())
    assert (error < 1e-12) is layer.phase_equivariant


@pytest.mark.parametrize("value", [0.0, 1e-23, 1e-40])
@pytest.mark.parametrize("bias", [-0.1, 0.0, 0.1])
def test_gradients_are_finite_near_zero(value, bias):
    layer = ModReLU(2)
    with torch.no_grad():
        layer.bias.fill_(bias)
    planar = torch.full((1, 4, 3), value, requires_grad=True)
    layer(planar).sum().backward()
    assert torch.isfinite(planar.grad).all()
    assert torch.isfinite(layer.bias.grad).all()


def test_half_precision_is_finite_at_zero():
    planar = torch.zeros(1, 4, 3, dtype=torch.float16, requires_grad=True)
    ModReLU(2)(planar).sum().backward()
    assert torch.isfinite(planar.grad).all()


def test_gradcheck(noise):
    layer = mod_relu(-0.2)
    planar = noise(2, 10, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(layer, (planar,))


def test_soft_threshold_is_mod_relu_on_the_real_axis(noise):
    real = noise(1, 4, 6)
    twin, layer = SoftThreshold(4), ModReLU(4)
    with torch.no_grad():
        for module in (twin, layer):
            module.bias.copy_(torch.tensor([-0.5, -0.1, 0.0, 0.2]))
    on_axis = torch.cat((real, torch.zeros_like(real)), 1)
    torch.testing.assert_close(twin(real), layer(on_axis)[:, :4], rtol=1e-5, atol=1e-6)
