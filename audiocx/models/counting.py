"""Counting what a model costs: real parameters and multiply-adds."""

from __future__ import annotations

import copy
import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import audiocx.layers.gated_unit_scan
import audiocx.layers.unitary_scan  # noqa: F401  (both for their operators)
from audiocx.models.separator import Separator

COUNTED_SECONDS = 8.0
"""Multiply-adds are counted over so much audio, so that ends weigh little."""

Shape = Sequence[int]


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
    n_frames = frames_of(separator, seconds)
    return round(count_macs(separator.model, separator.stft.n_frequencies, n_frames) / seconds)


def frames_of(separator: Separator, seconds: float = COUNTED_SECONDS) -> int:
    """Frames of so many seconds, padding left out."""
    return round(seconds * separator.sample_rate / separator.stft.hop_length)


def count_macs(model: nn.Module, n_frequencies: int, n_frames: int) -> int:
    """Real multiply-adds of a model for a spectrum of one channel.

    Convolutions, matrix products and recurrent layers are counted, on the `meta` device, without computing
    anything; the STFT is not, nor are products of single numbers, as norms and diagonal recurrences have them.

    Args:
        model: any device; it is copied.
        n_frequencies, n_frames: of the spectrum.
    """
    return macs_of_modules(on_meta(model), n_frequencies, n_frames)[""]


def on_meta(model: nn.Module) -> nn.Module:
    """Copy a model to the `meta` device, in evaluation mode."""
    return copy.deepcopy(model).to("meta").eval()


def macs_of_modules(model: nn.Module, n_frequencies: int, n_frames: int) -> Mapping[str, int]:
    """Real multiply-adds of each module of a model, by its name; that of the model itself is empty.

    Args:
        model: from `on_meta`; run once, on a spectrum of one channel.
        n_frequencies, n_frames: of the spectrum.
    """
    recurrent: Counter[str] = Counter()
    for name, module in model.named_modules():
        if isinstance(module, nn.RNNBase):
            # On `meta` torch goes through it frame by frame, which takes seconds.
            module.forward = functools.partial(_count_recurrent, module, recurrent, name)
    spectrum = torch.empty(1, 1, n_frequencies, n_frames, dtype=torch.complex64, device="meta")
    counter = FlopCounterMode(display=False, custom_mapping=SCANS)
    with counter, torch.no_grad():
        model(spectrum)
    root, found = type(model).__name__, Counter({"": counter.get_total_flops() // 2})
    for path, operators in counter.get_flop_counts().items():
        if path.startswith(f"{root}."):
            found[path.removeprefix(f"{root}.")] = sum(operators.values()) // 2
    for name, macs in recurrent.items():
        parts = name.split(".") if name else []
        for depth in range(len(parts) + 1):  # all that it is in, and itself
            found[".".join(parts[:depth])] += macs
    return found


def _count_recurrent(
    layer: nn.RNNBase, counted: Counter[str], name: str, inputs: Tensor, state: Any = None
) -> tuple[Tensor, Any]:
    """Stand in for a recurrent layer's forward: every matrix is applied once to every frame of every item."""
    del state
    n_directions = 2 if layer.bidirectional else 1
    frames = inputs.shape[:-1]
    matrices = sum(weight.numel() for weight in layer.parameters() if weight.dim() == 2)
    counted[name] += math.prod(frames) * matrices
    features = layer.proj_size or layer.hidden_size
    batch = frames[:-1] if layer.batch_first else frames[1:]
    hidden = inputs.new_empty(n_directions * layer.num_layers, *batch, features)
    outputs = inputs.new_empty(*frames, n_directions * features)
    if isinstance(layer, nn.LSTM):
        return outputs, (hidden, inputs.new_empty(*hidden.shape[:-1], layer.hidden_size))
    return outputs, hidden


def _unitary_flops(inputs: Shape, matrix: Shape, *others: Any, out_shape: Any) -> int:
    """Twice the multiply-adds: the matrix is applied to the state of every frame."""
    del others, out_shape
    return 2 * math.prod(inputs[:2]) * math.prod(matrix)


def _gated_unit_flops(
    inputs: Shape, gate_inputs: Shape, matrix: Shape, gate_matrix: Shape, *others: Any, out_shape: Any
) -> int:
    """Twice the multiply-adds: both matrices are."""
    del gate_inputs, others, out_shape
    return 2 * math.prod(inputs[:2]) * (math.prod(matrix) + math.prod(gate_matrix))


SCANS = {
    torch.ops.audiocx.unitary_scan: _unitary_flops,
    torch.ops.audiocx.gated_unit_scan: _gated_unit_flops,
}
"""Operators of audiocx, into which torch's counter cannot look."""
