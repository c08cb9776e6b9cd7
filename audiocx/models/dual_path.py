"""Dual path: recurrences over frequency bands and over frames in turn, between strided convolutions.

    planes in ─ encoders ─ [ bands to and fro ─ frames ] x n ─ decoders ─ planes out
                    └──────────── added skips ────────────────┘

Few bands and few features, but every place sees all frequencies and a long past. The idea is Luo et al.'s
("Dual-path RNN", 2020), over bands and frames as in Le et al. 2021 (DPCRN); the recurrence is a word, by default
the gated linear one, which needs no matrix product a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from audiocx.models.arithmetic import Arithmetic, arithmetic_of
from audiocx.models.topology import Blocks, States, Topology, check_encoders, check_kernels


class DualPathBlock(nn.Module):
    """x += L(bands(N(x))), then x += L(frames(N(x))), with linear maps L, norms N and recurrences.

    Args:
        arithmetic: makes the layers.
        planes: real feature maps.
        band_planes, frame_planes: of the two recurrences' states.
        recurrence, norm: words of the arithmetic's table.
        causal: over frames one way; else both.
        bias: of the linear maps.

    Shapes:
        (batch, plane, frequency, frame) -> the same.
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        planes: int,
        band_planes: int,
        frame_planes: int,
        *,
        recurrence: str,
        norm: str,
        causal: bool,
        bias: bool,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.band_norm = arithmetic.norm(norm, planes)
        self.bands = arithmetic.both_directions(recurrence, planes, band_planes)
        self.band_linear = arithmetic.linear(2 * band_planes, planes, bias=bias)
        self.frame_norm = arithmetic.norm(norm, planes)
        if causal:
            self.frames = arithmetic.recurrence(recurrence, planes, frame_planes)
            self.frame_linear = arithmetic.linear(frame_planes, planes, bias=bias)
        else:
            self.frames = arithmetic.both_directions(recurrence, planes, frame_planes)
            self.frame_linear = arithmetic.linear(2 * frame_planes, planes, bias=bias)

    def forward(self, inputs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Go over the bands of every frame, then over the frames of every band."""
        over_bands = self.bands(self.band_norm(inputs).transpose(2, 3))
        outputs = inputs + self.band_linear(over_bands).transpose(2, 3)
        if self.causal:
            over_frames, state = self.frames(self.frame_norm(outputs), state)
        else:
            over_frames = self.frames(self.frame_norm(outputs))
        return outputs + self.frame_linear(over_frames), state


class DualPath(Topology):
    """Dual-path network in any arithmetic, planar in, planar out.

    Args:
        arithmetic: `complex`, `real`, `dual`, `widely_linear`, or an `Arithmetic`.
        in_planes, out_planes: real feature maps in and out; a complex feature counts twice.
        widths: complex features after each encoder; other arithmetics have as many planes.
        kernel_sizes: (frequency, frame) of each encoder, odd over frequency; frames are the one at hand and those
            before it. A decoder sees one frame.
        strides: of each encoder over frequency.
        n_blocks: pairs of recurrences.
        band_hidden, frame_hidden: complex features of the states over bands (each direction) and over frames.
        recurrence: word of the recurrences.
        norm, activation: words of the convolutions' norms and activations.
        block_norm: word of the norms before recurrences.
        causal: no place sees a later frame, and `step` goes through a stream; else recurrences over frames go
            both ways.
        bias: biases of convolutions and linear maps; without, with `activation: mod_relu`, `norm: rms` and
            `recurrence: modulus_gated_linear`, complex layers let a global phase pass through.
        n_frequencies: taken from the STFT by the model; this topology takes any.

    Raises:
        ConfigError: the lists differ in length, or a kernel is even over frequency.
    """

    width_keys: ClassVar[tuple[str, ...]] = ("widths", "band_hidden", "frame_hidden")

    def __init__(
        self,
        arithmetic: Arithmetic | str,
        in_planes: int,
        out_planes: int,
        *,
        widths: Sequence[int],
        kernel_sizes: Sequence[Sequence[int]],
        strides: Sequence[int],
        n_blocks: int = 2,
        band_hidden: int = 16,
        frame_hidden: int = 32,
        recurrence: str = "gated_linear",
        norm: str = "naive_batch",
        activation: str = "leaky_relu",
        block_norm: str = "rms_by_place",
        causal: bool = True,
        bias: bool = True,
        n_frequencies: int | None = None,
    ) -> None:
        super().__init__()
        del n_frequencies
        check_encoders(widths, kernel_sizes, strides)
        check_kernels(kernel_sizes, causal=True)
        numbers = arithmetic_of(arithmetic) if isinstance(arithmetic, str) else arithmetic
        self.causal = causal
        blocks = Blocks(numbers, norm, activation, bias)
        counts = [in_planes, *(numbers.planes(width) for width in widths)]
        encoders, decoders = [], []
        for depth, (kernel, stride) in enumerate(zip(kernel_sizes, strides, strict=True)):
            outer, inner = counts[depth], counts[depth + 1]
            last = depth == 0
            encoders.append(blocks.make(outer, inner, kernel, (stride, 1), causal=True))
            decoders.append(
                blocks.make(
                    inner,
                    out_planes if last else outer,
                    (kernel[0], 1),
                    (stride, 1),
                    transposed=True,
                    last=last,
                )
            )
        self.encoders, self.decoders = nn.ModuleList(encoders), nn.ModuleList(decoders)
        self.blocks = nn.ModuleList(
            DualPathBlock(
                numbers,
                counts[-1],
                numbers.planes(band_hidden),
                numbers.planes(frame_hidden),
                recurrence=recurrence,
                norm=block_norm,
                causal=causal,
                bias=bias,
            )
            for _ in range(n_blocks)
        )

    def run(self, planes: Tensor, states: States) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame)."""
        outputs = planes
        skips, sizes = [], []
        for encoder in self.encoders:
            sizes.append(outputs.shape[2:])
            outputs = states.through(encoder, outputs)
            skips.append(outputs)
        for block in self.blocks:
            outputs = states.through(block, outputs)
        for decoder, size in zip(reversed(self.decoders), reversed(sizes), strict=True):
            outputs, _ = decoder(outputs + skips.pop(), None, size)
        return outputs
