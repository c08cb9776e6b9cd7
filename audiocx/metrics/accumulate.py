"""Running means of scores over batches and processes, for training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric as Accumulator

from audiocx.errors import ConfigError, describe
from audiocx.metrics.bounds import bounded_value
from audiocx.metrics.perception import Score
from audiocx.metrics.table import find_metrics, improvement
from audiocx.signal.stft import STFT


class MeanScore(Accumulator):
    """Mean of any metric over all waveforms seen, undefined scores left out and counted.

    `update` with every batch, `compute` at the end, `reset` before the next time; in several processes the mean
    is over all of them, and Lightning logs the object itself. Scores are those of an evaluation: a perfect
    estimate counts 100 dB, an improvement over a clean input is undefined.

    Args:
        metric: a word or import path, see `audiocx.metrics.table`.
        stft: the transform of the waveforms; gives their rate.
        improvement: of the estimate over the mixture, upwards for errors too.

    Raises:
        ConfigError: the metric is not known.

    Example:
        >>> mean = MeanScore("snr_db", stft=STFT())
        >>> mean.update(torch.tensor([[2.5, 0.0, 2.0, 8.0]]), torch.tensor([[3.0, -0.5, 2.0, 7.0]]))
        >>> mean.compute()
        tensor(16.1805)
    """

    full_state_update = False
    total: Tensor
    count: Tensor
    n_undefined: Tensor

    def __init__(self, metric: str, *, stft: STFT, improvement: bool = False) -> None:
        super().__init__()
        (self.metric,) = find_metrics([metric])
        # A plain transform of its own: this is no part of the model that holds the other.
        self.settings: dict[str, Any] = dict(stft.settings)
        self.improvement = improvement
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("n_undefined", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, estimate: Tensor, target: Tensor, mixture: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            estimate: real waveforms (*batch, sample).
            target: real waveforms, same shape.
            mixture: real waveforms that broadcast to that shape; needed for improvements.

        Raises:
            ShapeError: the shapes differ.
            ConfigError: the mixture is missing.
        """
        if mixture is None:
            if self.improvement:
                raise ConfigError(describe("MeanScore: an improvement needs the mixture", got="none"))
            mixture = estimate
        stft = STFT(**self.settings).to(target.device)
        mixture = mixture.expand_as(target)
        rows = zip(*(part.flatten(0, -2) for part in (estimate, target, mixture)), strict=True)
        for one, wanted, given in rows:
            score: Score = self.metric(one, wanted, mixture=given, stft=stft)
            if self.improvement:
                before = self.metric(given, wanted, mixture=given, stft=stft)
                score = improvement(self.metric.name, score, before)
            if score.reason:
                self.n_undefined += 1
            else:
                self.total += bounded_value(score.value)
                self.count += 1

    def compute(self) -> Tensor:
        """Mean over the defined scores; NaN where there is none."""
        return (self.total / self.count).float()
