from __future__ import annotations

import pytest
import torch

from audiocx.signal.masking import apply_mask, bound_modulus, compress


def test_apply_mask_multiplies_every_source(noise):
    mixture = torch.complex(noise(2, 1, 5, 4), noise(2, 1, 5, 4))
    mask = torch.complex(noise(2, 3, 1, 5, 4), noise(2, 3, 1, 5, 4))
    estimate = apply_mask(mixture, mask)
    assert estimate.shape == (2, 3, 1, 5, 4)
    torch.testing.assert_close(estimate[1, 2], mask[1, 2] * mixture[1])


@pytest.mark.parametrize("bound", [1.0, 2.0])
def test_bounded_modulus_keeps_the_phase(bound, noise):
    z = torch.complex(noise(1000), noise(1000)) * 5
    bounded = torch.complex(*bound_modulus(z.real, z.imag, bound))
    assert float(bounded.abs().max()) <= bound + 1e-6
    torch.testing.assert_close(bounded.angle(), z.angle(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bounded.abs(), bound * torch.tanh(z.abs() / bound), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e-23, 1e-40, 1.0])
def test_gradients_are_finite_near_zero(value):
    real = torch.tensor([value], requires_grad=True)
    imaginary = torch.tensor([value], requires_grad=True)
    bounded = bound_modulus(real, imaginary, 2.0)
    gain = compress(real.square() + imaginary.square(), 0.3)
    (bounded[0].sum() + bounded[1].sum() + (real * gain).sum()).backward()
    assert torch.isfinite(real.grad).all()
    assert torch.isfinite(imaginary.grad).all()


def test_compression_raises_the_modulus_to_a_power(noise):
    modulus = noise(100).abs() + 0.1
    torch.testing.assert_close(modulus * compress(modulus.square(), 0.3), modulus**0.3, rtol=1e-3, atol=0)
