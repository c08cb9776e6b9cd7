"""The device that a word of the command line names."""

from __future__ import annotations

import torch

from audiocx.errors import ConfigError, describe

DEVICES = ("auto", "cpu", "cuda")


def choose_device(device: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` (or `cuda:1`) into a device that is there.

    Raises:
        ConfigError: the name is not known, or there is no such device.
    """
    kind, _, index = device.partition(":")
    if kind not in DEVICES or (index and not (kind == "cuda" and index.isdigit())):
        raise ConfigError(describe(f"device `{device}`", expected=f"one of {', '.join(DEVICES)}"))
    if kind == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            describe(
                f"device `{device}` is not there",
                got=f"{torch.cuda.device_count()} CUDA devices",
                do="take auto or cpu",
            )
        )
    return torch.device(device)
