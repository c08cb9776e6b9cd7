"""Running means of scores over batches and processes, for use in training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import Metric as Accumulator

PERFECT_DB = 100.0
"""What a perfect estimate counts in a mean; its score itself is `+inf`."""

FAILED_DB = -60.0
"""What an estimate with a score of `-inf` (silence in place of a target) counts in a mean."""


def bounded(score: Tensor) -> Tensor:
    """Bound a score to -60 and 100, which is how silence and a perfect estimate count in means; NaN stays."""
    return score.clamp(FAILED_DB, PERFECT_DB)


class MeanScore(Accumulator):
    """Mean of a score over all items seen, undefined ones left out and counted.

    Args:
        function: a metric of (estimate, target) waveforms (*batch, sample) that gives (*batch,).
        improvement: subtract the mixture's own score; the mixture is then an argument of `update`.
    """

    higher_is_better = True
    full_state_update = False
    total: Tensor
    count: Tensor
    n_undefined: Tensor

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], *, improvement: bool = False) -> None:
        super().__init__()
        self.function = function
        self.improvement = improvement
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("n_undefined", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            estimate: real waveforms (*batch, sample).
            target: real waveforms, same shape.
            mixture: real waveforms that broadcast to that shape; needed for improvements.
        """
        score = bounded(self.function(estimate, target))
        if self.improvement:
            assert mixture is not None
            score = score - bounded(self.function(mixture.expand_as(target), target))
        defined = ~score.isnan()
        self.total += score[defined].double().sum()
        self.count += defined.sum()
        self.n_undefined += (~defined).sum()

    def compute(self) -> Tensor:
        """Mean over the defined scores; NaN where there is none."""
        return (self.total / self.count).float()
