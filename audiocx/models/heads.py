"""What comes out of a network and how it is applied. Heads compute in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.layers.planar import planes
from audiocx.models.head import Head
from audiocx.models.paper_heads import PlainMask, RealImagMask
from audiocx.signal.masking import bound_modulus


class ComplexMask(Head):
    """M = bounded(1 + z): the network says how far to go from leaving the mixture as it is."""

    planes_per_source = 2
    complex_word = "complex_mask"

    def forward(self, network_planes: Tensor, level: Tensor) -> Tensor:
        """Make a complex mask."""
        real, imaginary = planes(network_planes)
        real = real + 1.0
        if self.bound is not None:
            real, imaginary = bound_modulus(real, imaginary, self.bound)
        return torch.complex(real.contiguous(), imaginary.contiguous())


class ComplexMap(Head):
    """The output times the level is the estimate; no mask. Turns with the phase where the network does."""

    planes_per_source = 2
    phase_equivariant = True
    complex_word = "complex_map"

    def forward(self, network_planes: Tensor, level: Tensor) -> Tensor:
        """Scale the output to the mixture's level."""
        real, imaginary = planes(network_planes * level[:, None, None, :])
        return torch.complex(real.contiguous(), imaginary.contiguous())

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        """The estimate is what `forward` gave."""
        return mask


class MagnitudeMask(Head):
    """bound * sigmoid(z) >= 0 on the modulus; the estimate has the mixture's phase."""

    planes_per_source = 1
    complex_word = "complex_mask"

    def forward(self, network_planes: Tensor, level: Tensor) -> Tensor:
        """Make a real mask, as a complex tensor with zero imaginary part."""
        mask = (self.bound or 1.0) * torch.sigmoid(network_planes)
        return torch.complex(mask, torch.zeros_like(mask))


HEADS: dict[str, type[Head]] = {
    "complex_mask": ComplexMask,
    "complex_map": ComplexMap,
    "magnitude_mask": MagnitudeMask,
    "plain_mask": PlainMask,
    "real_imag_mask": RealImagMask,
}
