"""Masks of DCUNet and DCCRN against the papers' formulas, written in polar form."""

from __future__ import annotations

import pytest
import torch

from audiocx.models.heads import PlainMask, RealImagMask


@pytest.fixture
def output_and_mixture(noise):
    """Planes of two sources (batch, 4, frequency, frame), the same as complex numbers, and a mixture."""
    planes, mixture = noise(3, 4, 5, 7), torch.view_as_complex(noise(3, 1, 5, 7, 2))
    return planes, torch.complex(planes[:, :2], planes[:, 2:]), mixture


def estimate(head, planes, mixture):
    mask = head(planes, torch.ones(3, 1))  # (batch, source, frequency, frame)
    assert mask.dtype == torch.complex64
    return head.apply_mask(mixture, mask.unsqueeze(2))[:, :, 0]


def test_the_bounded_mask_is_e(output_and_mixture):
    """|Y| tanh|z| at the phase of both."""
    planes, z, mixture = output_and_mixture
    expected = torch.polar(mixture.abs() * torch.tanh(z.abs()), mixture.angle() + z.angle())
    torch.testing.assert_close(estimate(PlainMask(1.0), planes, mixture), expected, rtol=1e-4, atol=1e-5)


def test_a_larger_bound_lets_a_mask_amplify(output_and_mixture):
    planes, z, mixture = output_and_mixture
    expected = torch.polar(3.0 * torch.tanh(z.abs() / 3.0), z.angle()) * mixture
    torch.testing.assert_close(estimate(PlainMask(3.0), planes, mixture), expected, rtol=1e-4, atol=1e-5)


def test_the_free_mask_is_c(output_and_mixture):
    planes, z, mixture = output_and_mixture
    torch.testing.assert_close(estimate(PlainMask(None), planes, mixture), z * mixture)


@pytest.mark.parametrize("bound", [None, 2.0])
def test_part_by_part_is_r(bound, output_and_mixture):
    planes, z, mixture = output_and_mixture
    bounded = [part if bound is None else bound * torch.tanh(part / bound) for part in (z.real, z.imag)]
    expected = torch.complex(bounded[0] * mixture.real, bounded[1] * mixture.imag)
    torch.testing.assert_close(estimate(RealImagMask(bound), planes, mixture), expected)


def test_r_is_no_product(output_and_mixture):
    """A global phase of the mixture does not turn what it gives."""
    planes, _, mixture = output_and_mixture
    turned = estimate(RealImagMask(None), planes, 1j * mixture)
    assert not torch.allclose(turned, 1j * estimate(RealImagMask(None), planes, mixture), atol=1e-2)
