"""U-Net over (frequency, frame): strided convolutions down, transposed convolutions up, skips between.

    planes in ─ encoder 1 ─ encoder 2 ─ ... ─ encoder n
                    │           │                │
    planes out ─ decoder 1 ─ decoder 2 ─ ... ─ decoder n

Every block is a convolution, a norm and an activation, of whatever arithmetic it is given; the last decoder is a
bare transposed convolution. After Choi et al. 2019 ("Phase-aware speech enhancement with deep complex U-Net"),
with widths and strides for two processor cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.layers.planar import is_phase_equivariant
from audiocx.models.arithmetic import Arithmetic, arithmetic_of
from audiocx.models.topology import check_encoders
from audiocx.models.words import CENTRING


class Block(nn.Module):
    """A convolution, a norm and an activation; the convolution may be transposed, then it takes a size.

    Shapes:
        (batch, plane, frequency, frame) -> (batch, plane', frequency', frame')
    """

    def __init__(self, convolution: nn.Module, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = norm
        self.activation = activation

    def forward(self, inputs: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Apply the three."""
        outputs = self.convolution(inputs) if output_size is None else self.convolution(inputs, output_size)
        activated: Tensor = self.activation(self.norm(outputs))
        return activated


class UNet(nn.Module):
    """U-Net in any arithmetic, planar in, planar out.

    Args:
        arithmetic: `complex`, `real`, `dual`, or an `Arithmetic`.
        in_planes, out_planes: real feature maps in and out; a complex feature counts twice.
        widths: complex features after each encoder, two planes each; real arithmetic takes halves.
        kernel_sizes: (frequency, frame) of each encoder, odd; its decoder has the same.
        strides: (frequency, frame) of each encoder.
        norm, activation: words of the arithmetic's table.
        bias: biases in the convolutions before norms and in the last one; without, complex layers let a global
            phase pass through.
        n_frequencies: taken from the STFT by the model; this topology takes any.

    Raises:
        ConfigError: the lists differ in length, or a kernel is even.
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
        norm: str = "rms",
        activation: str = "relu",
        bias: bool = True,
        n_frequencies: int | None = None,
    ) -> None:
        super().__init__()
        del n_frequencies
        check_encoders(widths, kernel_sizes, strides)
        for kernel in kernel_sizes:
            if any(size % 2 == 0 for size in kernel):
                raise ConfigError(
                    describe(
                        "model.network.kernel_sizes: a kernel is even", expected="odd sizes", got=list(kernel)
                    )
                )
        if isinstance(arithmetic, str):
            arithmetic = arithmetic_of(arithmetic)
        self.arithmetic = arithmetic
        counts = [in_planes, *(arithmetic.planes(width) for width in widths)]
        encoders, decoders = [], []
        for depth, (kernel, stride) in enumerate(zip(kernel_sizes, strides, strict=True)):
            padding = [size // 2 for size in kernel]
            outer, inner = counts[depth], counts[depth + 1]
            encoders.append(
                Block(
                    arithmetic.convolution(
                        outer,
                        inner,
                        kernel,
                        stride,
                        padding,
                        bias=bias and norm not in CENTRING,
                        activation=activation,
                    ),
                    arithmetic.norm(norm, inner),
                    arithmetic.activation(activation, inner),
                )
            )
            last = depth == 0
            deepest = depth == len(widths) - 1
            out = out_planes if last else outer
            word = "none" if last else activation
            decoders.append(
                Block(
                    arithmetic.transposed_convolution(
                        inner if deepest else 2 * inner,
                        out,
                        kernel,
                        stride,
                        padding,
                        bias=bias and (last or norm not in CENTRING),
                        activation=word,
                    ),
                    arithmetic.norm("none" if last else norm, out),
                    arithmetic.activation(word, out),
                )
            )
        self.encoders = nn.ModuleList(encoders)
        self.decoders = nn.ModuleList(decoders)

    @property
    def phase_equivariant(self) -> bool:
        """A global phase on the input turns the output by the same phase."""
        return is_phase_equivariant(self)

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame)."""
        skips: list[Tensor] = []
        sizes = []
        outputs = planes
        for encoder in self.encoders:
            sizes.append(outputs.shape[2:])
            outputs = encoder(outputs)
            skips.append(outputs)
        outputs = skips.pop()
        for decoder, size in zip(reversed(self.decoders), reversed(sizes), strict=True):
            outputs = decoder(outputs, size)
            if skips:
                outputs = self.arithmetic.concatenate((outputs, skips.pop()))
        return outputs
