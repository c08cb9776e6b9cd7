"""Learning rates over steps."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(
    optimizer: Optimizer, *, max_steps: int, warmup_steps: int = 50, final: float = 0.01
) -> LambdaLR:
    """Linear warm-up, then half a cosine down to `final` at the last step.

    Args:
        optimizer: its learning rates are the largest.
        max_steps: steps of the whole training.
        warmup_steps: steps until the learning rate is whole; at most a tenth of the training.
        final: fraction of the learning rate that is left at the end.

    Raises:
        ValueError: `warmup_steps` is below 0, or `final` outside 0 to 1.
    """
    warmup_steps = _shortened(warmup_steps, max_steps)
    if not 0 <= final <= 1:
        raise ValueError(f"final must be at least 0 and at most 1, got {final}")

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min(1.0, (step - warmup_steps) / max(1, max_steps - warmup_steps))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def warmup_constant(optimizer: Optimizer, *, max_steps: int, warmup_steps: int = 50) -> LambdaLR:
    """Linear warm-up, then constant.

    Args:
        optimizer: its learning rates are the largest.
        max_steps: steps of the whole training.
        warmup_steps: steps until the learning rate is whole; at most a tenth of the training.

    Raises:
        ValueError: `warmup_steps` is below 0.
    """
    warmup_steps = _shortened(warmup_steps, max_steps)
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, warmup_steps)))


def _shortened(warmup_steps: int, max_steps: int) -> int:
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps must be at least 0, got {warmup_steps}")
    return min(warmup_steps, max(1, max_steps // 10))
