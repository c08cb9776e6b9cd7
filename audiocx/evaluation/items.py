"""The scores of one item: every metric of the mixture and of each estimate, and the improvement.

Nothing here needs more than tensors, so that it can run in a process of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from audiocx.metrics.bounds import bounded_value
from audiocx.metrics.perception import Score, undefined
from audiocx.metrics.table import Metric, improvement, improvement_name
from audiocx.metrics.waveform import attenuation_db
from audiocx.signal.stft import STFT

ATTENUATION = "attenuation_db"
"""Score of an item whose target is silent: how far the estimate lies below the mixture."""


@dataclass
class ItemScores:
    """Scores of one system on one item.

    Attributes:
        values: by name: `<metric>`, `input_<metric>`, `<metric>_improvement…`, `attenuation_db`.
        reasons: why a value is NaN, by the same names.
    """

    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, score: Score) -> None:
        """Add one score under its name."""
        self.values[name] = score.value
        if score.reason:
            self.reasons[name] = score.reason


def mean_over_sources(estimate: Tensor, target: Tensor, mixture: Tensor, metric: Metric, stft: STFT) -> Score:
    """Score every source and channel in the given order, and average.

    Args:
        estimate: waveforms (source, channel, sample).
        target: waveforms (source, channel, sample).
        mixture: waveform (channel, sample).
        metric: the metric.
        stft: the evaluation's transform.

    Returns:
        The mean; NaN with the first reason where a source's score is undefined.
    """
    n_sources, n_channels = target.shape[:2]
    scores = []
    for source in range(n_sources):
        for channel in range(n_channels):
            score = metric(
                estimate[source, channel], target[source, channel], mixture=mixture[channel], stft=stft
            )
            if score.reason:
                return undefined(f"source {source + 1}: {score.reason}" if n_sources > 1 else score.reason)
            scores.append(score.value)
    if len(scores) == 1:
        return Score(scores[0])
    return Score(sum(bounded_value(value) for value in scores) / len(scores))


def score_item(
    estimates: Mapping[str, Tensor],
    target: Tensor,
    mixture: Tensor,
    *,
    metrics: Sequence[Metric],
    stft: STFT,
    is_clean: bool = False,
) -> dict[str, ItemScores]:
    """Score all estimates of one item; the mixture itself is scored once.

    Args:
        estimates: waveforms (source, channel, sample) by system.
        target: waveforms (source, channel, sample).
        mixture: waveform (channel, sample).
        metrics: what to measure.
        stft: the evaluation's transform.
        is_clean: the item is a clean input, whose improvement is undefined.

    Returns:
        Scores by system.
    """
    results = {system: ItemScores() for system in estimates}
    given_waveforms = mixture.expand_as(target)
    all_silent = not bool(torch.count_nonzero(target))
    untouched = {system: torch.equal(estimate, given_waveforms) for system, estimate in estimates.items()}
    scores_given = {
        metric.name: mean_over_sources(given_waveforms, target, mixture, metric, stft) for metric in metrics
    }
    # All metrics of one estimate before the next one: some keep what they have worked out for a pair.
    for system, estimate in estimates.items():
        for metric in metrics:
            score = given = scores_given[metric.name]
            if not untouched[system]:
                score = mean_over_sources(estimate, target, mixture, metric, stft)
            results[system].add(metric.name, score)
            results[system].add(f"input_{metric.name}", given)
            gain = improvement(metric.name, score, given, is_clean=is_clean)
            results[system].add(improvement_name(metric.name), gain)
    if all_silent:
        for system, estimate in estimates.items():
            level = attenuation_db(estimate.flatten(), given_waveforms.flatten())
            score = Score(float(level))
            if math.isnan(score.value):
                score = undefined("silent input")
            results[system].add(ATTENUATION, score)
    return results
