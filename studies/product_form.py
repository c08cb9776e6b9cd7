"""Block or Gauss, channels-last or not: a training step of every convolution of the complex U-Net.

python studies/product_form.py [threads]. One interleaved run; medians of 9 repeats, forward and backward, on a
batch of 8 x 2 s; then kernels of few and many taps between equally many features, convolutions in groups,
transposed convolutions with few outputs as torch has them and as a matrix product, and inference with derived
weights kept and built anew for every call, on the batch and on as many frames as a kernel covers. `product_form` in
audiocx/layers/product.py and the bounds in audiocx/layers/few_outputs.py follow from what this prints.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from torch.nn import functional

from audiocx.layers import few_outputs
from audiocx.layers.convolution import ComplexConv2d, ComplexConvTranspose2d
from audiocx.layers.product import FORMS, ComplexProduct, product_form
from audiocx.models.separator import Separator

REPEATS = 9
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
ARMS = [(form, layout) for layout in LAYOUTS for form in FORMS]
TAPS = [(1, 1), (3, 1), (1, 7), (3, 3), (5, 3)]
FEATURES = [12, 16, 24, 32, 64, 128]
FEW_OUTPUTS = [(24, 2), (48, 2), (128, 2), (128, 4), (128, 8)]
GROUPED = [(16, 16, 3), (32, 32, 3), (64, 64, 5), (32, 16, 3), (32, 8, 3), (64, 8, 3), (32, 2, 3), (64, 2, 3)]
CPU = torch.device("cpu")
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


def time_forms(layer: torch.nn.Module, shape: Sequence[int]) -> list[float]:
    """Milliseconds of a training step for each layout and form, medians of an interleaved run."""
    times: dict[tuple[str, str], list[float]] = {arm: [] for arm in ARMS}
    for _ in range(REPEATS + 1):
        for form, layout in ARMS:
            inputs = torch.randn(shape).contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
            layer.form = form
            began = time.perf_counter()
            layer(inputs).sum().backward()
            times[form, layout].append(time.perf_counter() - began)
    layer.form = None
    return [1000 * statistics.median(times[arm][1:]) for arm in ARMS]


def time_few_outputs(n_inputs: int, n_outputs: int) -> list[float]:
    """Milliseconds of a training step of a transposed convolution: torch's own, then the matrix product."""
    inputs = torch.randn(2, n_inputs, 129, 65).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(n_inputs, n_outputs, 7, 5, requires_grad=True)
    sizes = (2, 2), (3, 2), (0, 0), (1, 1)
    arms = {
        "torch": lambda: functional.conv_transpose2d(inputs, weight, None, *sizes[:3], 1, sizes[3]),
        "product": lambda: few_outputs.as_product(inputs, weight, *sizes),
    }
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(REPEATS + 1):
        for arm, run in arms.items():
            began = time.perf_counter()
            run().sum().backward()
            times[arm].append(time.perf_counter() - began)
    return [1000 * statistics.median(values[1:]) for values in times.values()]


def time_keeping(layer: ComplexProduct, shape: Sequence[int]) -> list[float]:
    """Milliseconds of inference with derived weights kept, and built anew for every call."""
    inputs = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    arms = {"kept": copy.deepcopy(layer).eval(), "anew": copy.deepcopy(layer).eval()}
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    with torch.no_grad():
        for _ in range(5 * REPEATS + 1):
            for arm, kind in arms.items():
                if arm == "anew":
                    kind.eval()  # drops what was kept
                began = time.perf_counter()
                kind(inputs)
                times[arm].append(time.perf_counter() - began)
    return [1000 * statistics.median(values[1:]) for values in times.values()]


def row(name: str, values: Sequence[float]) -> None:
    """Print a row of milliseconds."""
    print(f"{name:<52}" + "".join(f"{value:>24.3f}" for value in values), flush=True)


def main() -> None:
    """Print a row for every layer: milliseconds of each form in each memory layout."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    config = yaml.safe_load((CONF / "model" / "complex_unet.yaml").read_text())
    stft = yaml.safe_load((CONF / "stft" / "speech_16k.yaml").read_text())
    separator = Separator.from_config({"task": "enhance", "n_sources": 1, "stft": stft, "model": config})
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; milliseconds")
    print(f"{'layer':<52}" + "".join(f"{form + ' ' + layout:>24}" for form, layout in ARMS))
    found = shapes(separator)
    for layer, shape in found:
        name = f"{type(layer).__name__} {layer.in_features}->{layer.out_features} on {tuple(shape[2:])}"
        row(name, time_forms(layer, shape))
    for taps in TAPS:
        for features in FEATURES:
            padding = (taps[0] // 2, taps[1] // 2)
            layer = ComplexConv2d(features, features, taps, padding=padding, bias=False)
            chosen = product_form(features, features, CPU, 1, taps[0] * taps[1])
            name = f"{features} features, {taps[0]} x {taps[1]}: {chosen}"
            row(name, time_forms(layer, (2, 2 * features, 64, 100)))
    for features, groups, taps in GROUPED:
        layer = ComplexConv2d(features, features, taps, padding=taps // 2, groups=groups)
        row(
            f"{features} features in {groups} groups, {taps} x {taps}",
            time_forms(layer, (4, 2 * features, 64, 100)),
        )
    print(f"{'transposed, planes in and out':<52}{'torch':>24}{'as a product':>24}")
    for n_inputs, n_outputs in FEW_OUTPUTS:
        row(f"{n_inputs} to {n_outputs}, 7 x 5", time_few_outputs(n_inputs, n_outputs))
    print(f"{'inference':<52}{'kept':>24}{'built anew':>24}")
    for layer, shape in found:
        name = f"{type(layer).__name__} {layer.in_features}->{layer.out_features}"
        row(f"{name} on {tuple(shape[2:])}", time_keeping(layer, shape))
        row(f"{name}, one frame", time_keeping(layer, (1, *shape[1:3], layer.kernel_size[-1])))


if __name__ == "__main__":
    main()
