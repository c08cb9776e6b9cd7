"""Masks as DCUNet and DCCRN have them: the network's output itself, with no identity to begin from.

    paper                            word              mask_bound
    DCUNet UBD, DCCRN-C              plain_mask        null       M = z
    DCUNet BDT, DCCRN-E, DCCRN-CL    plain_mask        1.0        M = tanh|z| z / |z|
    DCCRN-R                          real_imag_mask    null       Re z and Im z, each on its own part

(Choi et al. 2019, §3.2; Hu et al. 2020, §2.4. E turns the mixture's phase by that of z, which is the product M Y.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.layers.planar import planes
from audiocx.models.head import Head
from audiocx.signal.masking import bound_modulus


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
