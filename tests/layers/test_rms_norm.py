from __future__ import annotations

import pytest
import torch

from audiocx.layers.norm import ComplexRMSNorm, RMSNorm


def test_unit_power_for_every_frame(noise):
    z = 7 * torch.complex(noise(2, 3, 40, 5), noise(2, 3, 40, 5))
    normalised = ComplexRMSNorm(3)(z)
    power = normalised.abs().square().mean((1, 2))
    torch.testing.assert_close(power, torch.ones(2, 5), rtol=1e-4, atol=0)


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
