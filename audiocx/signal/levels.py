"""Levels of recordings, measured on spectra."""

from __future__ import annotations

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
