"""Norms in native complex numbers, feature by feature, which the planar ones must equal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from audiocx.checks.reference_maps import paired

EPSILON = 1e-5


def whitening(layer: Any, z: Tensor) -> Tensor:
    """Γ (V + ε)^(-1/2) (z - μ) + β with the inverse root by eigenvalues, of the batch or of kept moments."""
    weight, bias = layer.weight.view(3, -1), layer.bias.view(2, -1)
    outputs = torch.empty_like(z)
    for feature in range(z.shape[1]):
        values = z[:, feature].flatten()
        pairs = torch.stack((values.real, values.imag))
        if layer.training:
            mean, covariance = pairs.mean(1), torch.cov(pairs, correction=0)
        else:
            mean = layer.running_mean[:, feature]
            covariance = _symmetric(layer.running_covariance[:, feature])
        powers, axes = torch.linalg.eigh(covariance + layer.epsilon * torch.eye(2, dtype=pairs.dtype))
        root = axes @ torch.diag(powers.rsqrt()) @ axes.T
        mapped = _symmetric(weight[:, feature]) @ root @ (pairs - mean[:, None]) + bias[:, feature, None]
        outputs[:, feature] = torch.complex(mapped[0], mapped[1]).view(z[:, feature].shape)
    return outputs


def _symmetric(entries: Tensor) -> Tensor:
    rr, ii, ri = entries
    return torch.stack((torch.stack((rr, ri)), torch.stack((ri, ii))))


def naive_batch(layer: Any, z: Tensor) -> Tensor:
    """Both parts standardised as if there were no other."""
    norm = layer.parts
    if norm.training:
        over = (0, 2, 3)
        mean = torch.cat((z.real.mean(over), z.imag.mean(over)))
        variance = torch.cat((z.real.var(over, correction=0), z.imag.var(over, correction=0)))
    else:
        mean, variance = norm.running_mean, norm.running_var
    scale = norm.weight / (variance + norm.eps).sqrt()
    (mean_r, mean_i), (scale_r, scale_i), (shift_r, shift_i) = (
        values.view(2, 1, -1, 1, 1) for values in (mean, scale, norm.bias)
    )
    return torch.complex((z.real - mean_r) * scale_r + shift_r, (z.imag - mean_i) * scale_i + shift_i)


def group(layer: Any, z: Tensor) -> Tensor:
    """γ (z - μ) / sqrt(E|z - μ|² + ε) + β, of complex or real numbers, group after group."""
    outputs = torch.empty_like(z)
    over = (1, 2) if layer.by_frame else (1, 2, 3)
    for members in torch.arange(layer.features).chunk(layer.groups):
        values = z[:, members]
        values = values - values.mean(over, keepdim=True)
        power = values.abs().square().mean(over, keepdim=True)
        outputs[:, members] = layer.scale[members].view(1, -1, 1, 1) * values / (power + EPSILON).sqrt()
    if layer.bias is None:
        return outputs
    bias = paired(layer.bias) if z.is_complex() else layer.bias
    assert bias is not None
    return outputs + bias.view(1, -1, 1, 1)


def rms(layer: Any, z: Tensor) -> Tensor:
    """γ z / sqrt(mean |z|² + ε), of complex or real numbers."""
    power = z.abs().square().mean((1, 2) if layer.everywhere else 1, keepdim=True)
    return layer.scale.view(1, -1, 1, 1) * z / (power + EPSILON).sqrt()
