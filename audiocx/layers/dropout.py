"""Complex dropout: a feature is kept or dropped with both its parts, so its phase is never bent."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from audiocx.errors import ConfigError, describe
from audiocx.layers.planar import PlanarLayer, planes


class ComplexDropout(PlanarLayer):
    """Dropout of complex numbers: one draw for both parts. Phase-equivariant.

    Dropout of each plane alone would turn phases towards the axes. In evaluation nothing changes. Real twin:
    `nn.Dropout`, which draws for every real feature.

    Formula:
        y = z m / (1 - p),   m = 0 with probability p, else 1, drawn for every complex number

    Source:
        Srivastava et al. 2014.

    Args:
        probability: of being dropped, from 0 to 1.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).

    Raises:
        ConfigError: the probability is not within 0 and 1.
    """

    phase_equivariant = True

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0.0 <= probability <= 1.0:
            raise ConfigError(
                describe("dropout: no such probability", expected="from 0 to 1", got=probability)
            )
        self.probability = probability

    def transform(self, planar: Tensor) -> Tensor:
        """Drop features in training."""
        real, _ = planes(planar)
        if not self.training or self.probability == 0.0:
            return planar
        ones = torch.ones(self.drawn(real), dtype=torch.float32, device=planar.device)
        # Ones dropped out by torch: zeros and 1 / (1 - p), and zeros alone for p = 1.
        kept = functional.dropout(ones, self.probability).to(real.dtype)
        return planar * torch.cat((kept, kept), 1)

    def drawn(self, real: Tensor) -> tuple[int, ...]:
        """Shape of the draws, for one part (batch, feature, ...): every value its own."""
        return tuple(real.shape)

    def extra_repr(self) -> str:
        """Probability, for printing."""
        return f"probability={self.probability}"


class ComplexChannelDropout(ComplexDropout):
    """Dropout of whole feature maps, both parts together. Phase-equivariant.

    Real twin: `nn.Dropout2d`.

    Formula:
        y = z m / (1 - p),   m = 0 with probability p, else 1, drawn for every item and feature

    Source:
        Tompson et al. 2015.

    Args:
        probability: of being dropped, from 0 to 1.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).

    Raises:
        ConfigError: the probability is not within 0 and 1.
    """

    def drawn(self, real: Tensor) -> tuple[int, ...]:
        """Shape of the draws: every map its own."""
        return (*real.shape[:2], *[1] * (real.ndim - 2))
