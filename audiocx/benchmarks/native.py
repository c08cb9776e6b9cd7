"""DCUNet of torch's native complex convolutions: what a network without a library of complex layers looks like."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.models.dcunet import Table

SLOPE = 0.1


class NormAndActivation(nn.Module):
    """Batch norm and leaky ReLU of real and imaginary part, each for itself: torch has none of complex numbers."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.real, self.imaginary = nn.BatchNorm2d(features), nn.BatchNorm2d(features)

    def forward(self, features: Tensor) -> Tensor:
        """Apply both to complex features (batch, feature, frequency, frame)."""
        real, imaginary = (
            functional.leaky_relu(norm(part), SLOPE)
            for norm, part in ((self.real, features.real), (self.imaginary, features.imag))
        )
        return torch.complex(real, imaginary)


class NativeDCUNet(nn.Module):
    """Complex spectrum (batch, 1, frequency, frame) to a mask of modulus below 1.

    Args:
        table: encoders; decoders mirror them.
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        outer = 1
        deepest = len(table.widths) - 1
        rows = zip(table.widths, table.kernel_sizes, table.strides, strict=True)
        for depth, (inner, kernel, stride) in enumerate(rows):
            padding = (kernel[0] // 2, kernel[1] // 2)
            down = nn.Conv2d(outer, inner, kernel, stride, padding, bias=False, dtype=torch.complex64)
            self.encoders.append(nn.Sequential(down, NormAndActivation(inner)))
            features = inner if depth == deepest else 2 * inner
            up = nn.ConvTranspose2d(
                features, outer, kernel, stride, padding, bias=depth == 0, dtype=torch.complex64
            )
            self.decoders.append(nn.Sequential(up, NormAndActivation(outer)) if depth else up)
            outer = inner

    def forward(self, spectrum: Tensor) -> Tensor:
        """Estimate a mask; frequencies and frames are one more than a multiple of all strides."""
        skips: list[Tensor] = []
        outputs = spectrum
        for encoder in self.encoders:
            outputs = encoder(outputs)
            skips.append(outputs)
        outputs = skips.pop()
        for decoder in reversed(self.decoders):
            outputs = decoder(outputs)
            if skips:
                outputs = torch.cat((outputs, skips.pop()), 1)
        modulus = outputs.abs()
        return outputs * (torch.tanh(modulus) / modulus.clamp_min(1e-6))
