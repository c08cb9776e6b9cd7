"""Counting what a model costs: real parameters and multiply-adds."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from audiocx.models.separator import Separator


def count_parameters(module: nn.Module) -> int:
    """Number of real trainable parameters; a native complex one counts twice."""
    return sum(
        parameter.numel() * (2 if parameter.is_complex() else 1)
        for parameter in module.parameters()
        if parameter.requires_grad
    )


def count_macs_per_second(separator: Separator, seconds: float = 8.0) -> int:
    """Real multiply-adds of the network for a second of one channel, four for a complex product.

    Convolutions and matrix products are counted, on the `meta` device, without computing anything; the STFT is
    not.

    Args:
        separator: any device; it is copied.
        seconds: length counted over, so that ends weigh little.
    """
    model = copy.deepcopy(separator.model).to("meta").eval()
    n_frames = round(seconds * separator.sample_rate / separator.stft.hop_length)
    spectrum = torch.empty(1, 1, separator.stft.n_frequencies, n_frames, dtype=torch.complex64, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(spectrum)
    return round(counter.get_total_flops() / 2 / seconds)
