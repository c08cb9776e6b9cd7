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
from audiocx.models.arithmetic import Arithmetic, arithmetic_of
from audiocx.models.topology import Blocks, States, Topology, check_encoders

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


class DCUNet(Topology):
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
        blocks = Blocks(numbers, norm, activation, bias)
        counts = [in_planes, *(numbers.planes(width) for width in widths)]
        encoders, decoders = [], []
        for level, (kernel, stride) in enumerate(zip(table.kernel_sizes, table.strides, strict=True)):
            outer, inner = counts[level], counts[level + 1]
            deepest, last = level == len(widths) - 1, level == 0
            encoders.append(blocks.make(outer, inner, kernel, stride))
            if large:
                outer, below = counts[-2], counts[-2]
            else:
                below = inner
            decoders.append(
                blocks.make(
                    inner if deepest else below + inner,  # what comes from below, and the skip
                    out_planes if last else outer,
                    kernel,
                    stride,
                    transposed=True,
                    last=last,
                )
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

    def run(self, planes: Tensor, states: States) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame)."""
        n_frames = planes.shape[3]
        outputs = planes
        if self.pad_frames:
            outputs = functional.pad(outputs, (0, (1 - n_frames) % self.frame_stride))
        skips: list[Tensor] = []
        sizes = []
        for encoder in self.encoders:
            sizes.append(outputs.shape[2:])
            outputs = states.through(encoder, outputs)
            skips.append(outputs)
        skips.pop()  # the deepest goes on by itself
        for decoder, size in zip(reversed(self.decoders), reversed(sizes), strict=True):
            outputs = states.through(decoder, outputs, size)
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
