"""Seeing, before anything is scored, that what `metrics=` names can score."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from audiocx.errors import ConfigError, describe
from audiocx.metrics.table import WORDS, find_metrics
from audiocx.signal.stft import STFT


def check_metrics(words: Sequence[str]) -> None:
    """Find metrics, and try those of a user's own on a second of noise.

    One that raises there would make every item fail: for what has no score a metric gives NaN.

    Args:
        words: words or import paths, see `audiocx.metrics.table`.

    Raises:
        ConfigError: a metric is not known, or is none.
    """
    generator = torch.Generator().manual_seed(0)
    target, noise = 0.1 * torch.randn(2, 16000, generator=generator)
    for metric in find_metrics(words):
        if metric.path in WORDS.values():
            continue
        try:
            metric(target + noise, target, mixture=target + 2.0 * noise, stft=STFT())
        except Exception as error:  # whatever its author, or a function that is no metric, raises
            raise ConfigError(
                describe(
                    f"metrics: `{metric.path}` fails on a second of noise",
                    expected="a function of (estimate, target) that gives a number",
                    got=f"{type(error).__name__}: {error}",
                )
            ) from error
