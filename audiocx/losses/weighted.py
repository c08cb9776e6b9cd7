"""Weighted sum of losses."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.losses.base import Loss


class WeightedSum(Loss):
    """Σ weight × loss, over any losses by name.

    Args:
        terms: the losses by name.
        weights: the factor of each, by the same names; losses in dB are some tens, spectral ones below one.

    Raises:
        ConfigError: the names differ.
    """

    def __init__(self, terms: Mapping[str, Loss], weights: Mapping[str, float]) -> None:
        super().__init__()
        if set(terms) != set(weights):
            raise ConfigError(
                describe("loss: terms and weights differ", expected=sorted(terms), got=sorted(weights))
            )
        self.terms = nn.ModuleDict(dict(terms))
        self.weights = {name: float(weight) for name, weight in weights.items()}

    def forward(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> Tensor:
        """Return the sum."""
        values = [
            self.weights[name] * term(estimate, target, mixture=mixture) for name, term in self.terms.items()
        ]
        return torch.stack(values).sum()
