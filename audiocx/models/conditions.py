"""What a call of a model may know besides the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass
class Conditions:
    """One object for everything optional, so that a new condition changes no signature.

    Attributes:
        level: root mean power of the active frames (batch, channel), when it was measured on more than this call
            sees, as for a block of a long file; without it the model measures it on its input.
        state: what a causal model returned from the call before.
        direction: where the wanted talker is (batch, 2), azimuth and elevation in radians.
    """

    level: Tensor | None = None
    state: Any = None
    direction: Tensor | None = None
