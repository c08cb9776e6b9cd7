"""What comes out of a network and how it is applied. Heads compute in float32.

`plain_mask` and `real_imag_mask` are the masks that DCUNet and DCCRN have: the network's output itself, with no
identity to begin from (Choi et al. 2019, §3.2; Hu et al. 2020, §2.4).

    paper                            word              mask_bound
    DCUNet UBD, DCCRN-C              plain_mask        null       M = z
    DCUNet BDT, DCCRN-E, DCCRN-CL    plain_mask        1.0        M = tanh|z| z / |z|
    DCCRN-R                          real_imag_mask    null       Re z and Im z, each on its own part

E turns the mixture's phase by that of z, which is the product M Y.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.layers.planar import planes
from audiocx.signal.masking import apply_mask, bound_modulus


class Head(nn.Module, ABC):
    """Base of heads: planes of a network to a complex tensor, and that to an estimate.

    Args:
        bound: largest modulus of the mask; None for a free one (of `magnitude_mask`, whose sigmoid has to end: 1).
    """

    planes_per_source: ClassVar[int]
    phase_equivariant: ClassVar[bool] = False
    """A network that turns with its input gives an estimate that turns with it."""
    complex_word: ClassVar[str | None] = None
    """The head of the same model in complex arithmetic; each class says its own."""

    def __init__(self, bound: float | None = 2.0) -> None:
        super().__init__()
        if bound is not None and not bound > 0:
            raise ConfigError(
                describe("model.mask_bound", expected="a number above zero, or null", got=bound)
            )
        self.bound = bound

    @abstractmethod
    def forward(self, network_planes: Tensor, level: Tensor) -> Tensor:
        """Turn a network's planes into a mask.

        Args:
            network_planes: (batch * channel, plane, frequency, frame), float32.
            level: what the mixture was divided by (batch * channel, frame or 1).

        Returns:
            Complex mask (batch * channel, source, frequency, frame).
        """

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        """Apply a mask (batch, source, channel, frequency, frame) to the unscaled mixture."""
        return apply_mask(mixture_stft, mask)


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


class PlainMask(Head):
    """M = z, or β tanh(|z| / β) z / |z| with a bound β."""

    planes_per_source = 2
    complex_word = "plain_mask"

    def forward(self, network_planes: Tensor, level: Tensor) -> Tensor:
        """Make a complex mask."""
        real, imaginary = planes(network_planes)
        if self.bound is not None:
            real, imaginary = bound_modulus(real, imaginary, self.bound)
        return torch.complex(real.contiguous(), imaginary.contiguous())


class RealImagMask(Head):
    """Re z on the real part of the mixture and Im z on the imaginary part, each as β tanh(x / β) with a bound β.

    The mask is complex for its two parts' sake; the estimate is no complex product with it.
    """

    planes_per_source = 2
    complex_word = "real_imag_mask"

    def forward(self, network_planes: Tensor, level: Tensor) -> Tensor:
        """Make two real masks, as the parts of a complex tensor."""
        if self.bound is not None:
            network_planes = self.bound * torch.tanh(network_planes / self.bound)
        real, imaginary = planes(network_planes)
        return torch.complex(real.contiguous(), imaginary.contiguous())

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        """Multiply part by part: a mask (batch, source, channel, frequency, frame) on the unscaled mixture."""
        mixture = mixture_stft.unsqueeze(1)
        return torch.complex(mask.real * mixture.real, mask.imag * mixture.imag)


HEADS: dict[str, type[Head]] = {
    "complex_mask": ComplexMask,
    "complex_map": ComplexMap,
    "magnitude_mask": MagnitudeMask,
    "plain_mask": PlainMask,
    "real_imag_mask": RealImagMask,
}
