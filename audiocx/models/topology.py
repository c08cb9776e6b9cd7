"""What topologies of encoders and decoders check alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audiocx.errors import ConfigError, describe


def check_encoders(widths: Sequence[float], kernel_sizes: Sequence[Any], strides: Sequence[Any]) -> None:
    """Check that there is a width, a kernel size and a stride for every encoder, and an encoder.

    Raises:
        ConfigError: the lists differ in length, or are empty.
    """
    if not len(widths) == len(kernel_sizes) == len(strides) > 0:
        raise ConfigError(
            describe(
                "model.network: widths, kernel_sizes and strides differ in length",
                got=f"{len(widths)}, {len(kernel_sizes)} and {len(strides)}",
                do="give one entry for every encoder",
            )
        )
