"""Masks that asteroid's DCUNet and DCCRNet give, recorded for the tests of the importer.

python studies/record_asteroid.py [folder]. It needs asteroid; the tests do not. Weights and waveforms are drawn
from counter-based streams, so that a recording holds names, shapes and the mask alone.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "models" / "recorded"

# What is recorded: class, architecture, arguments, frames.
RECORDED: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "dcunet_10": ("DCUNet", "DCUNet-10", {"fix_length_mode": "pad"}, 20),
    "dcunet_large": ("DCUNet", "Large-DCUNet-20", {"stft_n_filters": 512, "stft_kernel_size": 512}, 17),
    "dccrnet": ("DCCRNet", "DCCRN-CL", {}, 12),
    "dccrnet_sources": ("DCCRNet", "mini", {"n_src": 2, "mask_bound": None, "sample_rate": 8000.0}, 9),
}


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Even numbers from -1 to 1, the same for a name on every machine."""
    generator = np.random.Generator(np.random.Philox(zlib.crc32(name.encode())))
    return np.asarray(2.0 * generator.random(shape) - 1.0, dtype=np.float32)


def waveform(name: str, n_samples: int) -> torch.Tensor:
    """Noise (1, 1, sample), which is as loud at the lowest and the highest frequency as between."""
    return torch.from_numpy(drawn(f"{name}: waveform", (1, 1, n_samples)))


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Weights for the names and shapes of a state dict: of a size that keeps levels, statistics off their start."""
    found = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(7)
            continue
        values = torch.from_numpy(drawn(name, tuple(shape)))
        if len(shape) > 1:
            values = values * (3.0 / np.prod(shape[1:])) ** 0.5
            if name.startswith("output_layer"):
                values = 0.3 * values  # or most of the mask would be at its bound
        elif name.endswith("running_var") or ("norm" in name and name.endswith("weight")):
            values = 1.0 + 0.4 * values
        elif "activation" in name:
            values = 0.25 + 0.1 * values
        else:
            values = 0.2 * values
        found[name] = values
    return found


def asteroid_model(class_name: str, architecture: str, arguments: Mapping[str, Any]) -> Any:
    """Make a model of asteroid's, with weights that are drawn."""
    from asteroid import models
    from asteroid.masknn import recurrent

    class Cast(recurrent.DCCRMaskNetRNN):  # type: ignore[misc]
        """asteroid hands on a NumPy integer, which torch refuses as the size of a recurrence."""

        def __init__(self, in_size: Any, *further: Any, **named: Any) -> None:
            super().__init__(int(in_size), *further, **named)

    original, recurrent.DCCRMaskNetRNN = recurrent.DCCRMaskNetRNN, Cast
    try:
        model = getattr(models, class_name)(architecture, **arguments).eval()
    finally:
        recurrent.DCCRMaskNetRNN = original
    model.masker.load_state_dict(weights(masker_shapes(model)))
    return model


def masker_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that are not the filterbank's."""
    return {name: tuple(value.shape) for name, value in model.masker.state_dict().items()}


def record(folder: Path) -> None:
    """Write a file for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (class_name, architecture, arguments, n_frames) in RECORDED.items():
        model = asteroid_model(class_name, architecture, arguments)
        settings = model.get_model_args()
        n_samples = settings["stft_kernel_size"] + (n_frames - 1) * settings["stft_stride"]
        with torch.no_grad():
            mask = model.forward_masker(model.forward_encoder(waveform(name, n_samples)))
        about = {"model_name": class_name, "model_args": settings, "n_samples": n_samples}
        about["shapes"] = {f"masker.{key}": shape for key, shape in masker_shapes(model).items()}
        np.savez_compressed(folder / f"asteroid_{name}.npz", mask=mask.numpy(), about=json.dumps(about))
        size = (folder / f"asteroid_{name}.npz").stat().st_size
        modulus = mask.abs()
        print(
            f"{name}: {tuple(mask.shape)}, modulus {modulus.mean():.2f} ± {modulus.std():.2f}, {size} bytes"
        )


if __name__ == "__main__":
    record(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
