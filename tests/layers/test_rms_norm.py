from __future__ import annotations

import pytest
import torch

from audiocx.layers.norm import ComplexRMSNorm, RMSNorm
from audiocx.layers.planar import to_complex, to_planar


def test_unit_power_for_every_frame(noise):
    z = 7 * torch.complex(noise(2, 3, 40, 5), noise(2, 3, 40, 5))
    normalised = ComplexRMSNorm(3)(z)
    power = normalised.abs().square().mean((1, 2))
    torch.testing.assert_close(power, torch.ones(2, 5), rtol=1e-4, atol=0)


def test_formula_in_complex128(noise):
    layer = ComplexRMSNorm(3).double()
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([0.5, 1.0, 2.0]))
    z = torch.complex(noise(2, 3, 4, 5, dtype=torch.float64), noise(2, 3, 4, 5, dtype=torch.float64))
    reference = layer.scale.view(1, 3, 1, 1) * z / (z.abs().square().mean((1, 2), keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(layer(z), reference, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(to_complex(layer(to_planar(z))), reference, rtol=1e-10, atol=1e-10)


def test_phase_passes_through(noise):
    layer = ComplexRMSNorm(2)
    assert layer.phase_equivariant
    z = torch.complex(noise(1, 2, 8, 3), noise(1, 2, 8, 3))
    turn = torch.polar(torch.tensor(1.0), torch.tensor(2.0))
    torch.testing.assert_close(layer(z * turn), layer(z) * turn, rtol=1e-5, atol=1e-6)


def test_frames_do_not_see_each_other(noise):
    layer = RMSNorm(4)
    features = noise(1, 4, 6, 5)
    changed = features.clone()
    changed[..., 3:] *= 100
    assert torch.equal(layer(features)[..., :3], layer(changed)[..., :3])


@pytest.mark.parametrize("layer", [RMSNorm, ComplexRMSNorm])
def test_by_place_sees_one_frequency(layer, noise):
    planes = noise(1, 4, 6, 5)
    loud = planes.clone()
    loud[:, :, 3:] *= 100
    features = 4 if layer is RMSNorm else 2
    by_place, everywhere = layer(features, everywhere=False), layer(features)
    torch.testing.assert_close(by_place(planes)[:, :, :3], by_place(loud)[:, :, :3])
    assert not torch.allclose(everywhere(planes)[:, :, :3], everywhere(loud)[:, :, :3])
    power = by_place(planes).square().sum(1) / features
    torch.testing.assert_close(power, torch.ones_like(power), rtol=1e-3, atol=0)


def test_planar_equals_real_twin_up_to_the_count(noise):
    """|x|² of a pair is the sum of two squares: the complex norm of C features is √(1/2) of the real of 2C."""
    planar = noise(1, 6, 5, 4)
    torch.testing.assert_close(ComplexRMSNorm(3)(planar), RMSNorm(6)(planar) * 0.5**0.5, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize(
    "make", [lambda **options: ComplexRMSNorm(2, **options), lambda **options: RMSNorm(4, **options)]
)
def test_gradients_and_the_same_value_without_them(make, everywhere, layout, noise):
    layer = make(everywhere=everywhere).double()
    planes = noise(2, 4, 3, 2, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()

    def normalise(planes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"scale": scale}, (planes,))

    scale = noise(layer.features, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(normalise, (planes, scale))
    trained = normalise(planes, scale).detach()
    with torch.no_grad():
        torch.testing.assert_close(normalise(planes, scale), trained)


@pytest.mark.parametrize("value", [0.0, 1e-23, 1e-40])
def test_silence_is_finite(value):
    planar = torch.full((1, 4, 3, 2), value, requires_grad=True)
    ComplexRMSNorm(2)(planar).square().sum().backward()
    assert torch.isfinite(planar.grad).all()


def test_statistics_stay_in_float32(noise):
    layer = ComplexRMSNorm(16)
    planar = noise(1, 32, 128, 3)
    rough = layer(planar.bfloat16())
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), layer(planar), rtol=0.02, atol=0.01)
