"""What a call of a model may know besides the spectrum."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class ModelState:
    """What a causal model keeps between the pieces of a stream.

    Attributes:
        level: of a running level (batch, channel, 2).
        network: of the layers, in their order; channels are folded into the batch.
    """

    level: Tensor | None
    network: tuple[Tensor, ...]


@dataclass
class Conditions:
    """One object for everything optional, so that a new condition changes no signature.

    Attributes:
        level: root mean power of the active frames (batch, channel), or of the frames up to each one (batch,
            channel, frame), when it was measured on more than this call sees, as for a block of a long file;
            without it the model measures it on its input.
        state: what a causal model's `step` returned for the piece before; None starts a stream.
        direction: where the wanted talker is (batch, 2), azimuth and elevation in radians.
    """

    level: Tensor | None = None
    state: ModelState | None = None
    direction: Tensor | None = None
