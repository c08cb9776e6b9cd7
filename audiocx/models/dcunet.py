"""DCUNet: the deep complex U-Net of Choi et al. 2019 ("Phase-aware speech enhancement with deep complex U-Net").

    planes in ─ encoder 1 ─ encoder 2 ─ ... ─ encoder n
                    │           │                │
    planes out ─ decoder 1 ─ decoder 2 ─ ... ─ decoder n

The layer tables are the published ones, for 10, 16 and 20 layers and for the large form of the last, which has √2
times the features and decoders that do not mirror its encoders. They were made for 513 frequencies; any number of
frequencies and frames goes in and comes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe
from audiocx.layers.planar import is_phase_equivariant
from audiocx.models.arithmetic import Arithmetic, arithmetic_of
from audiocx.models.topology import check_encoders
from audiocx.models.words import CENTRING

Pair = tuple[int, int]


@dataclass(frozen=True)
class Table:
    """Encoders of a published network: complex features, and sizes over (frequency, frame)."""

    widths: tuple[int, ...]
    kernel_sizes: tuple[Pair, ...]
    strides: tuple[Pair, ...]


TABLES = {
    10: Table(
        widths=(32, 64, 64, 64, 64),
        kernel_sizes=((7, 5),) * 2 + ((5, 3),) * 3,
        strides=((2, 2),) * 4 + ((2, 1),),
    ),
    16: Table(
        widths=(32, 32) + (64,) * 6,
        kernel_sizes=((7, 5),) * 3 + ((5, 3),) * 5,
        strides=((2, 2), (2, 1)) * 4,
    ),
    20: Table(
        widths=(32, 32) + (64,) * 7 + (90,),
        kernel_sizes=((7, 1), (1, 7)) + ((7, 5),) * 2 + ((5, 3),) * 6,
        strides=((1, 1),) * 2 + ((2, 2), (2, 1)) * 4,
    ),
}
"""By the number of layers, decoders included."""

LARGE_WIDTHS = (45, 45) + (90,) * 7 + (128,)
"""Encoders of the large form, whose decoders all have as many features as the last encoder but one."""


class Decoder(nn.Module):
    """A transposed convolution to a given size, a norm and an activation.

    Shapes:
        (batch, plane, frequency, frame) -> (batch, plane', *size).
    """

    def __init__(self, convolution: nn.Module, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.convolution, self.norm, self.activation = convolution, norm, activation

    def forward(self, inputs: Tensor, size: Sequence[int]) -> Tensor:
        """Apply the three."""
        activated: Tensor = self.activation(self.norm(self.convolution(inputs, size)))
        return activated


class DCUNet(nn.Module):
    """DCUNet in any arithmetic, planar in, planar out. It sees later frames.

    Args:
        arithmetic: `complex`, `real`, `dual`, `widely_linear`, or an `Arithmetic`.
        in_planes, out_planes: real feature maps in and out; a complex feature counts twice.
        depth: layers, 10, 16 or 20.
        large: the large form of 20 layers.
        widths: complex features after each encoder, two planes each; None for the published ones.
        norm, activation: words of the arithmetic's table; published are whitening and leaky ReLU.
        bias: biases in the convolutions before norms that do not centre, and in the last one, where the published
            network has its only one; without, complex layers let a global phase pass through.
        pad_frames: put zeros behind the last frame until every stride over frames comes out even, as the published
            network needs it; else the same frames are made without. Masks differ in the last few frames alone.
        n_frequencies: taken from the STFT by the model; this topology takes any.

    Raises:
        ConfigError: there is no such network, or widths are not one for each encoder.
    """

    width_keys: ClassVar[tuple[str, ...]] = ("widths",)
    """Arguments that are widths: `capacity` scales them."""
    sizes: ClassVar[tuple[dict[str, Any], ...]] = (
        {"depth": 16},
        {"depth": 20},
        {"depth": 20, "large": True},
    )
    """Arguments of the other networks that there are."""

    def __init__(
        self,
        arithmetic: Arithmetic | str,
        in_planes: int,
        out_planes: int,
        *,
        depth: int = 10,
        large: bool = False,
        widths: Sequence[float] | None = None,
        norm: str = "batch",
        activation: str = "leaky_relu",
        bias: bool = True,
        pad_frames: bool = False,
        n_frequencies: int | None = None,
    ) -> None:
        super().__init__()
        del n_frequencies
        table = _table(depth, large)
        widths = table.widths if widths is None else widths
        check_encoders(widths, table.kernel_sizes, table.strides)
        numbers = arithmetic_of(arithmetic) if isinstance(arithmetic, str) else arithmetic
        self.arithmetic, self.pad_frames = numbers, pad_frames
        self.frame_stride = math.prod(frames for _, frames in table.strides)
        counts = [in_planes, *(numbers.planes(width) for width in widths)]
        biased = bias and norm not in CENTRING
        encoders, decoders = [], []
        for level, (kernel, stride) in enumerate(zip(table.kernel_sizes, table.strides, strict=True)):
            padding = [size // 2 for size in kernel]
            encoder = numbers.convolution(
                counts[level], counts[level + 1], kernel, stride, padding, bias=biased, activation=activation
            )
            encoders.append(
                nn.Sequential(
                    encoder,
                    numbers.norm(norm, counts[level + 1]),
                    numbers.activation(activation, counts[level + 1]),
                )
            )
            last, deepest = level == 0, level == len(widths) - 1
            # What comes from below, and from the deepest but one encoder on a skip beside it.
            below = 0 if deepest else (counts[-2] if large else counts[level + 1])
            out = out_planes if last else (counts[-2] if large else counts[level])
            word = "none" if last else activation
            decoder = numbers.transposed_convolution(
                below + counts[level + 1],
                out,
                kernel,
                stride,
                padding,
                bias=bias if last else biased,
                activation=word,
            )
            decoders.append(
                Decoder(decoder, numbers.norm("none" if last else norm, out), numbers.activation(word, out))
            )
        self.encoders, self.decoders = nn.ModuleList(encoders), nn.ModuleList(decoders)

    @staticmethod
    def default_widths(network: Mapping[str, Any]) -> dict[str, list[float]]:
        """Widths of a config that leaves them to the table.

        Args:
            network: keys of the constructor.

        Raises:
            ConfigError: there is no such network.
        """
        return {"widths": list(_table(network.get("depth", 10), network.get("large", False)).widths)}

    @property
    def phase_equivariant(self) -> bool:
        """A global phase on the input turns the output by the same phase."""
        return is_phase_equivariant(self)

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame)."""
        n_frames = planes.shape[3]
        outputs = planes
        if self.pad_frames:
            outputs = functional.pad(outputs, (0, (1 - n_frames) % self.frame_stride))
        skips: list[Tensor] = []
        sizes = []
        for encoder in self.encoders:
            sizes.append(outputs.shape[2:])
            outputs = encoder(outputs)
            skips.append(outputs)
        outputs = skips.pop()
        for decoder, size in zip(reversed(self.decoders), reversed(sizes), strict=True):
            outputs = decoder(outputs, size)
            if skips:
                outputs = self.arithmetic.concatenate((outputs, skips.pop()))
        return outputs[..., :n_frames] if self.pad_frames else outputs


def _table(depth: int, large: bool) -> Table:
    """The published encoders.

    Raises:
        ConfigError: there are none of that depth, or none of that depth in a large form.
    """
    if depth not in TABLES:
        expected = ", ".join(str(known) for known in TABLES)
        raise ConfigError(describe("model.network.depth", expected=f"one of {expected}", got=depth))
    table = TABLES[depth]
    if not large:
        return table
    if depth != 20:
        raise ConfigError(
            describe("model.network.large", expected="depth=20, the only large one", got=f"depth={depth}")
        )
    return Table(LARGE_WIDTHS, table.kernel_sizes, table.strides)
