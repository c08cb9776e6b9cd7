"""DCCRN: complex convolutions over (frequency, frame) around complex recurrences over frames (Hu et al. 2020).

    planes in ─ drop a bin ─ encoder 1 ─ ... ─ encoder n ─ all features of a frame ─ recurrences ─ linear
                                 │                 │                                                 │
    planes out ─ zeros for it ─ decoder 1 ─ ... ─ decoder n ─────────────────────────────────────────┘

"DCCRN: deep complex convolution recurrent network for phase-aware speech enhancement". Kernels cover five
frequencies and two frames, and every encoder halves the frequencies. The bin of 0 Hz does not enter, so that 256 of
257 remain to be halved, and its output is zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe, nearest
from audiocx.models.arithmetic import Arithmetic, arithmetic_of
from audiocx.models.topology import Blocks, States, Topology
from audiocx.signal.checks import check_shape

KERNEL, STRIDE = (5, 2), (2, 1)
"""Of every encoder and decoder over (frequency, frame)."""

DROPPED = {"dc": (1, 0), "nyquist": (0, 1)}
"""Bins that are left out at both ends, by word."""


class DCCRN(Topology):
    """DCCRN in any arithmetic, planar in, planar out.

    An encoder sees the frame at hand and the one before. A decoder sees the one at hand and, in the paper's
    network, the next: with six of them the output needs six frames (37.5 ms) more than it covers. A causal
    network's decoders see the one before instead.

    Args:
        arithmetic: `complex`, `real`, `dual`, `widely_linear`, or an `Arithmetic`.
        in_planes, out_planes: real feature maps in and out; a complex feature counts twice.
        widths: complex features after each encoder; the default is DCCRN-CL's. DCCRN-R, -C and -E have 16, 32, 64,
            64, 128, 128, and a real recurrence, which is not here.
        hidden: complex features of a recurrence's state.
        n_layers: recurrences, one upon the other.
        recurrence: its word; `lstm` is the paper's quasi-complex one.
        causal: no frame of the output sees a later one, and `step` goes through a stream.
        pad_frames: begin every encoder with a frame of zeros, as the paper's network does. Without, its first
            frame is that of the first two and the number of frames falls by one; a decoder gives it back.
        dropped: the bin that does not enter, `dc` or `nyquist`.
        norm, activation: words of the arithmetic's table.
        bias: biases in the convolutions, but for those before norms that centre, and in the linear map.
        n_frequencies: bins of the spectrum, taken from the STFT by the model.

    Raises:
        ConfigError: there are no encoders or recurrences, a word is not known, or a causal network is not to pad.
    """

    width_keys: ClassVar[tuple[str, ...]] = ("widths", "hidden")
    """Arguments that are widths: `capacity` scales them."""

    def __init__(
        self,
        arithmetic: Arithmetic | str,
        in_planes: int,
        out_planes: int,
        *,
        widths: Sequence[float] = (16, 32, 64, 128, 128, 128),
        hidden: float = 128,
        n_layers: int = 2,
        recurrence: str = "lstm",
        causal: bool = False,
        pad_frames: bool = True,
        dropped: str = "dc",
        norm: str = "naive_batch",
        activation: str = "prelu",
        bias: bool = True,
        n_frequencies: int = 257,
    ) -> None:
        super().__init__()
        _check(len(widths), n_layers, dropped, causal=causal, pad_frames=pad_frames)
        numbers = arithmetic_of(arithmetic) if isinstance(arithmetic, str) else arithmetic
        self.arithmetic, self.causal, self.pad_frames = numbers, causal, pad_frames
        self.dropped, self.n_frequencies = dropped, n_frequencies
        blocks = Blocks(numbers, norm, activation, bias)
        counts = [in_planes, *(numbers.planes(width) for width in widths)]
        encoders, decoders = [], []
        for level, (outer, inner) in enumerate(itertools.pairwise(counts)):
            last = level == 0
            encoders.append(blocks.make(outer, inner, KERNEL, STRIDE, causal=True))
            out = out_planes if last else outer
            # Not a causal one: the two frames of the kernel then meet in the middle, see `_decode`.
            decoders.append(
                blocks.make(2 * inner, out, KERNEL, STRIDE, transposed=True, causal=causal, last=last)
            )
        self.encoders, self.decoders = nn.ModuleList(encoders), nn.ModuleList(decoders)
        self.n_low = n_frequencies - 1
        for _ in widths:
            self.n_low = (self.n_low - 1) // STRIDE[0] + 1
        whole, state = counts[-1] * self.n_low, numbers.planes(hidden)
        self.recurrences = nn.ModuleList(
            numbers.recurrence(recurrence, whole if layer == 0 else state, state) for layer in range(n_layers)
        )
        self.linear = numbers.linear(state, whole, bias=bias)

    def run(self, planes: Tensor, states: States) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame).

        Raises:
            ShapeError: there are other frequencies than the recurrences are made for.
        """
        check_shape(planes, "batch plane frequency frame", name="planes", frequency=self.n_frequencies)
        n_frames, (below, above) = planes.shape[3], DROPPED[self.dropped]
        outputs = planes[:, :, below : self.n_frequencies - above]
        if not self.pad_frames:  # one frame must be left at the bottom
            outputs = functional.pad(outputs, (0, max(0, len(self.encoders) + 1 - n_frames)))
        skips, sizes = [], []
        for encoder in self.encoders:
            sizes.append(outputs.shape[2:])
            outputs = states.through(encoder, outputs)
            if not self.pad_frames:
                outputs = outputs[..., 1:]
            skips.append(outputs)
        outputs = self._recur(outputs, states)
        for decoder, size in zip(reversed(self.decoders), reversed(sizes), strict=True):
            outputs = self.arithmetic.concatenate((outputs, skips.pop()))
            outputs = self._decode(decoder, outputs, size, states)
        return functional.pad(outputs[..., :n_frames], (0, 0, below, above))

    def _recur(self, outputs: Tensor, states: States) -> Tensor:
        """Run over frames with all features of all frequencies, which come back by the linear map."""
        sequences = outputs.flatten(1, 2)  # (batch, plane * frequency, frame): halves stay halves
        for recurrence in self.recurrences:
            sequences = states.through(recurrence, sequences)
        outputs = self.linear(sequences).unflatten(1, (-1, self.n_low))
        return outputs.contiguous(memory_format=torch.channels_last)

    def _decode(self, decoder: nn.Module, inputs: Tensor, size: Sequence[int], states: States) -> Tensor:
        """Call a decoder; one that is not causal gives what lies between its frames, so put zeros at the ends.

        Behind the last one, and output frame t comes from t and t + 1; before the first one too, where encoders did
        not begin with zeros, and there is a frame more.
        """
        if not self.causal:
            inputs = functional.pad(inputs, (0 if self.pad_frames else 1, 1))
        return states.through(decoder, inputs, size)


def _check(n_encoders: int, n_layers: int, dropped: str, *, causal: bool, pad_frames: bool) -> None:
    if not (n_encoders > 0 and n_layers > 0):
        raise ConfigError(
            describe(
                "model.network: widths and n_layers",
                expected="at least one each",
                got=f"{n_encoders} widths and n_layers={n_layers}",
            )
        )
    if dropped not in DROPPED:
        raise ConfigError(
            describe(f"model.network.dropped: no bin `{dropped}`", do=nearest(dropped, DROPPED))
        )
    if causal and not pad_frames:
        raise ConfigError(
            describe(
                "model.network: encoders without padding look ahead",
                do="take pad_frames=true or causal=false",
            )
        )
