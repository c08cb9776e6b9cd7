"""Contests of convolutions, on the shapes that they have in DCUNet-10 and -20."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch

from audiocx.benchmarks import rivals
from audiocx.benchmarks.case import Case, Contest, Work
from audiocx.benchmarks.rivals import Convolution, Makers
from audiocx.models.dcunet import TABLES, Table

Size = tuple[int, int]

N_FREQUENCIES = 513
"""Bins of DCUNet's STFT, 1024 samples long."""

NETWORKS = {"DCUNet-10": 10, "DCUNet-20": 20}
"""Networks whose layers are measured, with their depths."""

SMOKE = (Convolution(2, 3, (3, 3), (2, 2)), (9, 7))


def contests(batch: int, n_frames: int, *, bf16: bool, smoke: bool = False) -> list[Contest]:
    """Make a contest for every convolution of the tables that differs from those before it.

    Args:
        batch: spectra.
        n_frames: of the spectra that enter the networks.
        bf16: add ours under autocast in bfloat16.
        smoke: a tiny one alone, to see that all runs.
    """
    if smoke:
        found = {SMOKE: "smoke"}
    else:
        found = {}
        for name, depth in NETWORKS.items():
            for layer, size in shapes(TABLES[depth], (N_FREQUENCIES, n_frames)):
                found.setdefault((layer, size), name)
    return [_contest(name, layer, size, batch, bf16) for (layer, size), name in found.items()]


def shapes(table: Table, size: Size) -> Iterator[tuple[Convolution, Size]]:
    """Every convolution of a network with the size of its input: encoders down, then decoders up."""
    sizes, features = [size], [1, *table.widths]
    rows = list(zip(features, table.widths, table.kernel_sizes, table.strides, strict=False))
    for row in rows:
        layer = Convolution(*row)
        yield layer, sizes[-1]
        sizes.append(_strided(sizes[-1], layer))
    for depth, (outer, inner, kernel, stride) in reversed(list(enumerate(rows))):
        joined = inner if depth == len(rows) - 1 else 2 * inner
        yield Convolution(joined, outer, kernel, stride, True), sizes[depth + 1]


def _strided(size: Size, layer: Convolution) -> Size:
    first, second = (
        (n + 2 * padding - kernel) // stride + 1
        for n, padding, kernel, stride in zip(size, layer.padding, layer.kernel, layer.stride, strict=True)
    )
    return first, second


def _contest(network: str, layer: Convolution, size: Size, batch: int, bf16: bool) -> Contest:
    kind = "up" if layer.transposed else "down"
    shape = (
        f"{network} {kind} {layer.in_features}-{layer.out_features}"
        f" {layer.kernel[0]}x{layer.kernel[1]} s{layer.stride[0]},{layer.stride[1]}"
        f" on {batch}x{size[0]}x{size[1]}"
    )
    makers = functools.partial(rivals.convolutions, layer)
    # The spectrum itself asks for no gradient.
    return contest_of(shape, makers, (batch, layer.in_features, *size), layer.in_features > 1, bf16)


def contest_of(
    shape: str,
    makers: Callable[[torch.device], Makers],
    input_shape: tuple[int, ...],
    wants_gradient: bool,
    bf16: bool,
) -> Contest:
    """Put makers of layers on one complex input together.

    Args:
        shape: what the work is, in words.
        makers: of each library's layer on a device, ours under the name `ours`.
        input_shape: of the complex input.
        wants_gradient: a step computes the gradient of the input.
        bf16: add ours under autocast in bfloat16.
    """

    def make(name: str, device: torch.device) -> Work:
        module, run = makers(device)[name]()
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(input_shape, dtype=torch.complex64, generator=generator).to(device)
        work = run(module, inputs, wants_gradient)
        return work if name == "ours" else rivals.tried(work)

    cases = [Case(name, functools.partial(make, name)) for name in makers(torch.device("cpu"))]
    if bf16:
        cases.append(Case("ours, bf16", functools.partial(make, "ours"), half=True))
    return Contest(shape, tuple(cases))
