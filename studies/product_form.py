"""Block or Gauss, channels-last or not: a training step of every convolution of the complex U-Net.

python studies/product_form.py [threads]. One interleaved run; medians of 9 repeats, forward and backward, on a
batch of 8 x 2 s. `product_form` in audiocx/layers/product.py follows from what this prints.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import torch
import yaml

from audiocx.layers.convolution import ComplexConv2d, ComplexConvTranspose2d
from audiocx.layers.product import FORMS
from audiocx.models.separator import Separator

REPEATS = 9
CONF = Path(__file__).resolve().parents[1] / "conf"


def shapes(separator: Separator) -> list[tuple[torch.nn.Module, torch.Size]]:
    """Every complex convolution of a model with the shape of its input, found by running it."""
    found: list[tuple[torch.nn.Module, torch.Size]] = []
    hooks = [
        module.register_forward_hook(lambda m, inputs, output: found.append((m, inputs[0].shape)))
        for module in separator.model.modules()
        if isinstance(module, ComplexConv2d | ComplexConvTranspose2d)
    ]
    with torch.no_grad():
        separator(torch.randn(8, 1, 2 * separator.sample_rate))
    for hook in hooks:
        hook.remove()
    return found


def main() -> None:
    """Print a row for every layer: milliseconds of each form in each memory layout."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    config = yaml.safe_load((CONF / "model" / "complex_unet.yaml").read_text())
    stft = yaml.safe_load((CONF / "stft" / "speech_16k.yaml").read_text())
    separator = Separator.from_config({"task": "enhance", "n_sources": 1, "stft": stft, "model": config})
    layouts = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
    arms = [(form, layout) for layout in layouts for form in FORMS]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; milliseconds")
    print(f"{'layer':<46}" + "".join(f"{form + ' ' + layout:>24}" for form, layout in arms))
    for layer, shape in shapes(separator):
        times: dict[tuple[str, str], list[float]] = {arm: [] for arm in arms}
        for _ in range(REPEATS + 1):
            for form, layout in arms:
                inputs = torch.randn(shape).contiguous(memory_format=layouts[layout]).requires_grad_()
                layer.form = form
                began = time.perf_counter()
                layer(inputs).sum().backward()
                times[form, layout].append(time.perf_counter() - began)
        medians = [1000 * statistics.median(times[arm][1:]) for arm in arms]
        name = f"{type(layer).__name__} {layer.in_features}->{layer.out_features} on {tuple(shape[2:])}"
        print(f"{name:<46}" + "".join(f"{value:>24.1f}" for value in medians))


if __name__ == "__main__":
    main()
