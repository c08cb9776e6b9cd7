"""How recurrent layers lay out what they run over: frames first, and a sequence for every place between."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def by_frame(planar: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Lay out (batch, plane, ..., frame) as (frame, sequence, plane).

    Frames first: a recurrence then takes one contiguous piece after the other.

    Returns:
        The sequences, and the sizes (batch, ...) that they were made of, for `from_frames`.
    """
    moved = planar.movedim(-1, 0).movedim(2, -1)  # (frame, batch, ..., plane)
    return moved.flatten(1, -2), tuple(moved.shape[1:-1])


def from_frames(sequences: Tensor, places: tuple[int, ...]) -> Tensor:
    """Lay out (frame, sequence, plane) as (batch, plane, ..., frame) again."""
    return sequences.unflatten(1, places).movedim(-1, 2).movedim(0, -1)


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Leave autocast on the device of a tensor; `meta`, on which multiply-adds are counted, has none."""
    device = tensor.device.type
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


def along_frames(n_steps: int, *, reverse: bool) -> Iterable[int]:
    """Give the indices of frames in the order of running."""
    return range(n_steps - 1, -1, -1) if reverse else range(n_steps)
