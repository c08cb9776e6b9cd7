"""Layers of other libraries, and torch's own, with the arguments of ours; a missing one says so in a word."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.benchmarks.case import Outputs, Unavailable, Work
from audiocx.layers.batch_norm import WhiteningBatchNorm
from audiocx.layers.convolution import ComplexConv2d, ComplexConvTranspose2d
from audiocx.layers.planar import to_planar


@dataclass(frozen=True)
class Convolution:
    """A convolution of complex features over (frequency, frame), as tables list it."""

    in_features: int
    out_features: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    transposed: bool = False

    @property
    def padding(self) -> tuple[int, int]:
        """Half a kernel on both sides."""
        return self.kernel[0] // 2, self.kernel[1] // 2

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What every library's layer takes, in this order."""
        return self.in_features, self.out_features, self.kernel, self.stride, self.padding


Maker = Callable[..., nn.Module]
Run = Callable[[nn.Module, Tensor, bool], Work]
Makers = dict[str, Callable[[], tuple[nn.Module, Run]]]


def library(name: str) -> ModuleType:
    """Import a library.

    Raises:
        Unavailable: it is not installed, or does not import.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # other people's code may raise anything on a new torch
        reason = "not installed" if isinstance(error, ModuleNotFoundError) else f"does not import ({error})"
        raise Unavailable(reason) from error


def layer_of(module: str, name: str) -> Maker:
    """Return a layer's class.

    Raises:
        Unavailable: the library is missing or has no such layer.
    """
    found: Maker | None = getattr(library(module), name, None)
    if found is None:
        raise Unavailable(f"has no {name}")
    return found


def tried(work: Work) -> Work:
    """Run once what is not ours, before it counts.

    Raises:
        Unavailable: it fails on this torch.
    """
    try:
        work.forward()
    except Exception as error:  # other people's code may raise anything on a new torch
        raise Unavailable("fails on this torch") from error
    return work


def planar(module: nn.Module, inputs: Tensor, wants_gradient: bool = True) -> Work:
    """Run on planes in channels-last, as our networks do."""
    planes = to_planar(inputs).contiguous(memory_format=torch.channels_last)
    planes.requires_grad_(wants_gradient)
    return Work(module, lambda: module(planes), (planes,) if wants_gradient else ())


def native(module: nn.Module, inputs: Tensor, wants_gradient: bool = True) -> Work:
    """Run on native complex numbers."""
    inputs = inputs.clone().requires_grad_(wants_gradient)
    return Work(module, lambda: module(inputs), (inputs,) if wants_gradient else ())


def two_tensors(module: nn.Module, inputs: Tensor, wants_gradient: bool = True) -> Work:
    """Run on cplxmodule's pairs of real tensors."""
    pair = library("cplxmodule").Cplx
    real, imaginary = (part.clone().requires_grad_(wants_gradient) for part in (inputs.real, inputs.imag))

    def forward() -> Outputs:
        outputs = module(pair(real, imaginary))
        return outputs.real, outputs.imag

    return Work(module, forward, (real, imaginary) if wants_gradient else ())


def convolutions(layer: Convolution, device: torch.device) -> Makers:
    """Makers of one convolution in every library, with how it is run, by name; ours first."""
    kind = "ConvTranspose2d" if layer.transposed else "Conv2d"
    arguments, double = layer.arguments, (2 * layer.in_features, 2 * layer.out_features)
    torch_layer: Maker = nn.ConvTranspose2d if layer.transposed else nn.Conv2d
    our_layer: Maker = ComplexConvTranspose2d if layer.transposed else ComplexConv2d
    rest = arguments[2:]

    def of(module: str, name: str, run: Run) -> Callable[[], tuple[nn.Module, Run]]:
        return lambda: (layer_of(module, name)(*arguments, bias=False).to(device), run)

    def torchcvnn() -> tuple[nn.Module, Run]:
        library("torchcvnn.nn")
        if not layer.transposed:
            raise Unavailable("is native")
        return of("torchcvnn.nn", kind, native)()

    return {
        "ours": lambda: (our_layer(*arguments, bias=False).to(device), planar),
        "real, 2C features": lambda: (torch_layer(*double, *rest, bias=False).to(device), planar),
        "native complex64": lambda: (
            torch_layer(*arguments, bias=False, dtype=torch.complex64, device=device),
            native,
        ),
        "asteroid": of("asteroid.complex_nn", f"Complex{kind}", native),
        "complextorch": of("complextorch.nn", kind, native),
        "torchcvnn": torchcvnn,
        "complexPyTorch": of("complexPyTorch.complexLayers", f"Complex{kind}", native),
        "cplxmodule": of("cplxmodule.nn", f"Cplx{kind}", two_tensors),
    }


def batch_norms(features: int, device: torch.device) -> Makers:
    """Makers of whitening batch norms in every library, and of a real one of 2C features; ours first."""

    def of(module: str, name: str, run: Run) -> Callable[[], tuple[nn.Module, Run]]:
        return lambda: (layer_of(module, name)(features).to(device), run)

    return {
        "ours": lambda: (WhiteningBatchNorm(features).to(device), planar),
        "real BatchNorm2d, 2C features": lambda: (nn.BatchNorm2d(2 * features).to(device), planar),
        "complextorch": of("complextorch.nn", "BatchNorm2d", native),
        "torchcvnn": of("torchcvnn.nn", "BatchNorm2d", native),
        "complexPyTorch": of("complexPyTorch.complexLayers", "ComplexBatchNorm2d", native),
        "cplxmodule": of("cplxmodule.nn", "CplxBatchNorm2d", two_tensors),
    }
