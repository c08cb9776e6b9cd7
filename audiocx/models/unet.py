"""U-Net over (frequency, frame): strided convolutions down, transposed convolutions up, skips between.

    planes in ─ encoder 1 ─ encoder 2 ─ ... ─ encoder n
                    │           │                │
                    │           │            bottleneck
                    │           │                │
    planes out ─ decoder 1 ─ decoder 2 ─ ... ─ decoder n

Every encoder and decoder is a convolution, a norm and an activation (`Block`), of whatever arithmetic it is given;
the last decoder is a bare transposed convolution. The bottleneck, if there is one, gives every frame a long past.
After Choi et al. 2019 ("Phase-aware speech enhancement with deep complex U-Net"), with widths and strides for two
processor cores; recurrences at the bottom are Tan and Wang's ("A convolutional recurrent neural network", 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.models.arithmetic import Arithmetic, arithmetic_of
from audiocx.models.topology import (
    Blocks,
    States,
    Topology,
    check_causal_strides,
    check_encoders,
    check_kernels,
)

ATTENTION = "attention"
MOST_HEADS = 4


class UNet(Topology):
    """U-Net in any arithmetic, planar in, planar out.

    Args:
        arithmetic: `complex`, `real`, `dual`, `widely_linear`, or an `Arithmetic`.
        in_planes, out_planes: real feature maps in and out; a complex feature counts twice.
        widths: complex features after each encoder, two planes each; real arithmetic takes halves.
        kernel_sizes: (frequency, frame) of each encoder, odd; its decoder has the same.
        strides: (frequency, frame) of each encoder.
        bottleneck: a recurrence's word (or import path), `attention`, or None for none, see `Bottleneck`.
        causal: no place sees a later frame, and `step` goes through a stream. Kernels then cover the frame at hand
            and those before, of any number, frame strides are 1, and the bottleneck runs one way.
        norm, activation: words of the arithmetic's table.
        bias: biases in the convolutions before norms and in the last one; without, complex layers let a global
            phase pass through.
        n_frequencies: taken from the STFT by the model; this topology takes any.

    Raises:
        ConfigError: the lists differ in length, a kernel is even, or a value does not fit a causal network.
    """

    width_keys: ClassVar[tuple[str, ...]] = ("widths",)
    """Arguments that are widths: `capacity` scales them."""

    def __init__(
        self,
        arithmetic: Arithmetic | str,
        in_planes: int,
        out_planes: int,
        *,
        widths: Sequence[float],
        kernel_sizes: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        bottleneck: str | None = None,
        causal: bool = False,
        norm: str = "rms",
        activation: str = "relu",
        bias: bool = True,
        n_frequencies: int | None = None,
    ) -> None:
        super().__init__()
        del n_frequencies
        check_encoders(widths, kernel_sizes, strides)
        check_kernels(kernel_sizes, causal=causal)
        if causal:
            check_causal_strides(strides)
        if isinstance(arithmetic, str):
            arithmetic = arithmetic_of(arithmetic)
        self.arithmetic = arithmetic
        self.causal = causal
        blocks = Blocks(arithmetic, norm, activation, bias)
        counts = [in_planes, *(arithmetic.planes(width) for width in widths)]
        encoders, decoders = [], []
        for depth, (kernel, stride) in enumerate(zip(kernel_sizes, strides, strict=True)):
            outer, inner = counts[depth], counts[depth + 1]
            deepest, last = depth == len(widths) - 1, depth == 0
            encoders.append(blocks.make(outer, inner, kernel, stride, causal=causal))
            decoders.append(
                blocks.make(
                    inner if deepest else 2 * inner,  # what comes from below, and the skip
                    out_planes if last else outer,
                    kernel,
                    stride,
                    transposed=True,
                    causal=causal,
                    last=last,
                )
            )
        self.encoders = nn.ModuleList(encoders)
        self.decoders = nn.ModuleList(decoders)
        self.bottleneck: Bottleneck | None = None
        if bottleneck is not None:
            self.bottleneck = Bottleneck(
                arithmetic, counts[-1], bottleneck, norm=norm, causal=causal, bias=bias
            )

    def run(self, planes: Tensor, states: States) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame)."""
        outputs = planes
        skips, sizes = [], []
        for encoder in self.encoders:
            sizes.append(outputs.shape[2:])
            outputs = states.through(encoder, outputs)
            skips.append(outputs)
        skips.pop()  # the deepest goes on by itself
        if self.bottleneck is not None:
            outputs = states.through(self.bottleneck, outputs)
        for decoder, size in zip(reversed(self.decoders), reversed(sizes), strict=True):
            outputs = states.through(decoder, outputs, size)
            if skips:
                outputs = self.arithmetic.concatenate((outputs, skips.pop()))
        return outputs


class Bottleneck(nn.Module):
    """x + L(R(N(x))): a recurrence R over the frames of every frequency, between a norm N and a linear map L.

    The same weights serve all frequencies, so that their number is free, and the state has as many features as x.
    In a causal network R runs from the first frame to the last; else a second one runs back, and L joins both.
    `attention` is x + A(N(x)) over all frames; a state of all frames would grow, so no causal network takes it.

    Args:
        arithmetic: makes the layers.
        planes: real feature maps.
        word: of the recurrence, or `attention`.
        norm: word of N.
        causal: one way.
        bias: of L.

    Shapes:
        (batch, plane, frequency, frame) -> the same; in a causal network R has a state.

    Raises:
        ConfigError: there is no such word, or it does not fit a causal network.
    """

    def __init__(
        self, arithmetic: Arithmetic, planes: int, word: str, *, norm: str, causal: bool, bias: bool
    ) -> None:
        super().__init__()
        self.causal = causal
        self.norm = arithmetic.norm(norm, planes)
        if word == ATTENTION:
            if causal:
                raise ConfigError(
                    describe(
                        "model.network.bottleneck: attention remembers every frame of a stream",
                        do="take a recurrence, such as gated_linear, or causal=false",
                    )
                )
            # Heads have two features at least, so that half of them can be pairs of real ones.
            n_heads = math.gcd(max(1, planes // 4), MOST_HEADS)
            self.over_frames = arithmetic.attention(planes, n_heads)
            self.linear: nn.Module = nn.Identity()  # attention ends with one of its own
        elif causal:
            self.over_frames = arithmetic.recurrence(word, planes, planes)
            self.linear = arithmetic.linear(planes, planes, bias=bias)
        else:
            self.over_frames = arithmetic.both_directions(word, planes, planes)
            self.linear = arithmetic.linear(2 * planes, planes, bias=bias)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Go over the frames of every frequency."""
        normalised = self.norm(inputs)
        if self.causal:
            outputs, state = self.over_frames(normalised, state)
        else:
            outputs = self.over_frames(normalised)
        return inputs + self.linear(outputs), state
