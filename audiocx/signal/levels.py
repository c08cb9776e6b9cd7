"""Levels of recordings, measured on spectra, and decibels."""

from __future__ import annotations

import math

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


def rms(waveform: Tensor) -> Tensor:
    """Root mean square of a waveform (*batch, sample) over its samples, (*batch,)."""
    return waveform.square().mean(-1).sqrt()


def decibels_to_gain(decibels: float) -> float:
    """Amplitude ratio of a level difference in dB."""
    return float(10.0 ** (decibels / 20.0))


def gain_to_decibels(gain: float) -> float:
    """Level difference in dB of an amplitude ratio; `-inf` for zero."""
    return 20.0 * math.log10(gain) if gain > 0 else -math.inf


def to_decibels(power: Tensor, floor: float = 1e-20) -> Tensor:
    """Ten times the decadic logarithm of a power ratio, floored so that zero stays finite."""
    return 10.0 * torch.log10(power.clamp_min(floor))
