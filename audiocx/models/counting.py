"""Counting what a model costs: real parameters and multiply-adds."""

from __future__ import annotations

import copy
import functools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from audiocx.models.separator import Separator

COUNTED_SECONDS = 8.0
"""Multiply-adds are counted over so much audio, so that ends weigh little."""


def count_parameters(module: nn.Module) -> int:
    """Number of real trainable parameters; a native complex one counts twice."""
    return sum(
        parameter.numel() * (2 if parameter.is_complex() else 1)
        for parameter in module.parameters()
        if parameter.requires_grad
    )


def count_macs_per_second(separator: Separator, seconds: float = COUNTED_SECONDS) -> int:
    """Real multiply-adds of the network for a second of one channel, four for a complex product.

    Args:
        separator: any device; its model is copied.
        seconds: length counted over.
    """
    n_frames = round(seconds * separator.sample_rate / separator.stft.hop_length)
    return round(count_macs(separator.model, separator.stft.n_frequencies, n_frames) / seconds)


def count_macs(model: nn.Module, n_frequencies: int, n_frames: int) -> int:
    """Real multiply-adds of a model for a spectrum of one channel.

    Convolutions, matrix products and torch's recurrent layers are counted, on the `meta` device, without computing
    anything; the STFT is not.

    Args:
        model: any device; it is copied.
        n_frequencies, n_frames: of the spectrum.
    """
    model = copy.deepcopy(model).to("meta").eval()
    recurrent = [0]
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            # On `meta` torch goes through it frame by frame, which takes seconds.
            module.forward = functools.partial(_count_recurrent, module, recurrent)
    spectrum = torch.empty(1, 1, n_frequencies, n_frames, dtype=torch.complex64, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(spectrum)
    return counter.get_total_flops() // 2 + recurrent[0]


def _count_recurrent(
    layer: nn.RNNBase, counted: list[int], inputs: Tensor, state: Any = None
) -> tuple[Tensor, Any]:
    """Stand in for a recurrent layer's forward: every matrix is applied once to every frame of every item."""
    del state
    n_directions = 2 if layer.bidirectional else 1
    frames = inputs.shape[:-1]
    matrices = sum(weight.numel() for weight in layer.parameters() if weight.dim() == 2)
    counted[0] += math.prod(frames) * matrices
    features = layer.proj_size or layer.hidden_size
    batch = frames[:-1] if layer.batch_first else frames[1:]
    hidden = inputs.new_empty(n_directions * layer.num_layers, *batch, features)
    outputs = inputs.new_empty(*frames, n_directions * features)
    if isinstance(layer, nn.LSTM):
        return outputs, (hidden, inputs.new_empty(*hidden.shape[:-1], layer.hidden_size))
    return outputs, hidden
