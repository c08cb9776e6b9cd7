from __future__ import annotations

import pytest
import torch

from audiocx.errors import ShapeError
from audiocx.layers.gate import ModSigmoid, ModSoftmax, ModulusGLU
from audiocx.layers.planar import to_planar

Z = torch.tensor([1 + 1j, -1 + 2j, -2 - 1j, 0.5 - 0.25j, 0], dtype=torch.complex128).view(1, 5, 1)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (ModSigmoid(5).double(), [0.731059, 0.622459, 0.182426, 0.531209, 0.5]),
        (ModSoftmax(), [0.024101, 0.484089, 0.484089, 0.004458, 0.003262]),
    ],
)
def test_known_values(layer, expected):
    wanted = torch.tensor(expected, dtype=torch.float64).view(1, 5, 1)
    torch.testing.assert_close(layer(Z).detach(), wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(layer(to_planar(Z)).detach(), wanted, rtol=0, atol=1e-6)


def test_softmax_gradient_of_cross_entropy_is_that_of_the_paper():
    z, target = Z.clone().requires_grad_(), 2
    probability = ModSoftmax()(z)
    (-probability[0, target, 0].log()).backward()
    one_hot = torch.zeros_like(probability)
    one_hot[0, target] = 1
    torch.testing.assert_close(z.grad, 2 * (probability - one_hot).detach() * Z)


def test_softmax_of_large_values_is_finite():
    z = torch.full((1, 3, 2), 1e4 + 1e4j, dtype=torch.complex64)
    torch.testing.assert_close(ModSoftmax()(z), torch.full((1, 3, 2), 1 / 3))


def test_modulus_gate_starts_half_open_on_average(noise):
    values = torch.ones(1, 1, 100_000, dtype=torch.complex64)
    gates = torch.complex(noise(1, 1, 100_000), noise(1, 1, 100_000)) / 2**0.5
    opened = ModulusGLU(1)(torch.cat((values, gates), 1)).real.mean()
    assert float(opened.detach()) == pytest.approx(0.5, abs=0.005)


def test_a_gated_unit_says_what_it_takes():
    with pytest.raises(ShapeError, match="twice the features"):
        ModulusGLU(4)(torch.zeros(1, 8, 3))
