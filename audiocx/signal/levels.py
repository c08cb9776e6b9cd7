"""Levels of recordings, measured on spectra."""

from __future__ import annotations

import torch
from torch import Tensor

ACTIVE_RANGE_DB = 40.0
"""Frames more than this below the loudest one count as pauses."""

SMALLEST_LEVEL = 1e-8
"""Below this a recording counts as silent and is not scaled up further."""


def frame_power(mixture_stft: Tensor) -> Tensor:
    """Mean power over frequencies of every frame.

    Args:
        mixture_stft: complex STFT (*batch, frequency, frame).

    Returns:
        (*batch, frame), in squared units of the STFT.
    """
    return (mixture_stft.real.square() + mixture_stft.imag.square()).mean(-2)


def active_level(power: Tensor) -> Tensor:
    """Root mean power of the active frames, those within 40 dB of the loudest one.

    A file may be measured in pieces: concatenate the frame powers and call this once.

    Args:
        power: frame powers (*batch, frame) from `frame_power`.

    Returns:
        (*batch,), at least `SMALLEST_LEVEL`, so that dividing by it is safe on silence.
    """
    threshold = power.amax(-1, keepdim=True) * 10 ** (-ACTIVE_RANGE_DB / 10)
    active = (power >= threshold).to(power.dtype)
    mean = (power * active).sum(-1) / active.sum(-1)
    return mean.clamp_min(SMALLEST_LEVEL**2).sqrt()


RUNNING_MEMORY_FRAMES = 1000
"""A running level is the mean of all frames so far and, from this many on (16 s at hops of 16 ms), forgets."""

_CHUNK_FRAMES = 128


def running_level(power: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Root of the mean power of the frames up to each one: a level that causal models may know.

    s_t = s_{t-1} + (p_t - s_{t-1}) / min(t, `RUNNING_MEMORY_FRAMES`), counted from the first frame of the stream.

    Args:
        power: frame powers (*batch, frame) from `frame_power`.
        state: what the call before returned, to go on from there; None starts a stream.

    Returns:
        Levels (*batch, frame), at least `SMALLEST_LEVEL`, and the state (*batch, 2): mean and number of frames.
    """
    if state is None:
        state = power.new_zeros(*power.shape[:-1], 2)
    if power.shape[-1] == 0:
        return power, state
    mean, count = state[..., :1], state[..., 1:]
    means = []
    for chunk in power.split(_CHUNK_FRAMES, -1):
        n_frames = chunk.shape[-1]
        position = torch.arange(1, n_frames + 1, device=power.device, dtype=power.dtype)
        rate = 1.0 / (count + position).clamp_max(RUNNING_MEMORY_FRAMES)
        # Products of (1 - rate) over a chunk, as sums of logarithms; the first frame of all has rate 1.
        kept = torch.log1p(-rate.clamp_max(1.0 - 1e-6)).cumsum(-1)
        weight = torch.tril(torch.exp((kept.unsqueeze(-1) - kept.unsqueeze(-2)).clamp_max(0.0)))
        values = (weight * (rate * chunk).unsqueeze(-2)).sum(-1) + torch.exp(kept) * mean
        means.append(values)
        mean, count = values[..., -1:], count + n_frames
    levels = torch.cat(means, -1).clamp_min(SMALLEST_LEVEL**2).sqrt()
    return levels, torch.cat((mean, count), -1)
