"""audiocx: complex-valued networks for speech enhancement, each beside its real twin.

Names are loaded when they are first used, so that importing the package, and the command line's help, stay
quick.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "AudiocxError": "audiocx.errors",
    "Enhancer": "audiocx.inference.enhancer",
    "STFT": "audiocx.signal.stft",
    "Separator": "audiocx.models.separator",
    "load": "audiocx.models.checkpoint",
}

__all__ = ["AudiocxError", "Enhancer", "STFT", "Separator", "__version__", "load"]  # noqa: RUF022


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module `audiocx` has no attribute `{name}`")
