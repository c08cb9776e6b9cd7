"""Arithmetics: what a topology asks for everything that depends on the kind of number.

A topology names planes (real feature maps) and gets layers that map planar tensors to planar tensors:

- `complex`: pairs of planes are complex features; complex kernels.
- `real`: planes are real features; real kernels between all of them. It has twice the parameters and the
  same multiply-adds as `complex` on the same planes.
- `dual`: a kernel for the real halves and another for the imaginary halves, which never meet between input and
  mask (split kernels, as in Deshpande's report); the parameters of `complex`, half its multiply-adds.

Norms and activations go by abstract words from one table, so twins differ in arithmetic alone. A word with a
dot in it is the import path of a user's own layer and is called with the number of features.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.activation import LEAKY_SLOPE, CReLU, LeakyCReLU, ModReLU, SoftThreshold
from audiocx.layers.convolution import ComplexConv2d, ComplexConvTranspose2d
from audiocx.layers.initialisation import fan_in, gain_of, initialise_real
from audiocx.layers.norm import ComplexRMSNorm, RMSNorm
from audiocx.layers.planar import concatenate

LayerMaker = Callable[[int], nn.Module]


def _none(features: int) -> nn.Module:
    del features
    return nn.Identity()


def _without_features(layer: Callable[[], nn.Module]) -> LayerMaker:
    return lambda features: layer()


# word -> (complex layer of C features, real layer of n features)
WORDS: dict[str, dict[str, tuple[LayerMaker, LayerMaker]]] = {
    "norm": {
        "rms": (ComplexRMSNorm, RMSNorm),
        "none": (_none, _none),
    },
    "activation": {
        "relu": (_without_features(CReLU), _without_features(nn.ReLU)),
        "leaky_relu": (
            _without_features(LeakyCReLU),
            _without_features(lambda: nn.LeakyReLU(LEAKY_SLOPE)),
        ),
        "mod_relu": (ModReLU, SoftThreshold),
        "none": (_none, _none),
    },
}


def import_path(path: str, *, where: str) -> Any:
    """Return what a dotted import path names.

    Raises:
        ConfigError: there is no such module or name.
    """
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(describe(f"{where}: cannot import `{path}`", got=error)) from error


def import_module_class(path: str, *, where: str) -> type[nn.Module]:
    """Return the class of torch modules that a path names; nothing else is ever called by a config.

    Raises:
        ConfigError: there is no such name, or it is something else.
    """
    found = import_path(path, where=where)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(describe(f"{where}: `{path}` is no class of torch modules", expected="a nn.Module"))
    return found


def look_up(kind: str, word: str) -> tuple[LayerMaker, LayerMaker]:
    """Return the complex and the real layer of a word, or a user's own layer for both.

    Raises:
        ConfigError: the word is not in the table.
    """
    if "." in word:
        layer = import_module_class(word, where=kind)
        return layer, layer
    table = WORDS[kind]
    if word not in table:
        raise ConfigError(describe(f"model: no {kind} `{word}`", do=nearest(word, table)))
    return table[word]


@dataclass(frozen=True)
class Kernel:
    """What a convolution is besides its features: taps, stride and padding over (frequency, frame), bias, gain."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    bias: bool
    gain: float


class Arithmetic(ABC):
    """Makes the layers that depend on the kind of number."""

    name: ClassVar[str]
    paired: ClassVar[bool]
    """Planes are halves of pairs: a spectrum enters and leaves as real and imaginary part."""

    def planes(self, width: float) -> int:
        """Number of planes of a layer that is `width` complex features wide.

        Args:
            width: a whole number; a half, for an odd number of planes, where planes are not halves of pairs.

        Raises:
            ConfigError: there is no such number of planes.
        """
        n_planes = round(2 * width)
        if n_planes < 1 or (self.paired and n_planes % 2):
            raise ConfigError(
                describe(
                    f"model: a width does not fit arithmetic `{self.name}`",
                    expected="whole features, at least 1" if self.paired else "at least 0.5",
                    got=width,
                )
            )
        return n_planes

    def convolution(
        self,
        in_planes: int,
        out_planes: int,
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        *,
        bias: bool,
        activation: str = "none",
    ) -> nn.Module:
        """Convolution over (frequency, frame); `activation` is the word of what follows, for its gain."""
        kernel = Kernel(tuple(kernel_size), tuple(stride), tuple(padding), bias, gain_of(activation))
        return self.make_convolution(in_planes, out_planes, kernel, transposed=False)

    def transposed_convolution(
        self,
        in_planes: int,
        out_planes: int,
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        *,
        bias: bool,
        activation: str = "none",
    ) -> nn.Module:
        """Transposed convolution, called with (tensor, output size)."""
        kernel = Kernel(tuple(kernel_size), tuple(stride), tuple(padding), bias, gain_of(activation))
        return self.make_convolution(in_planes, out_planes, kernel, transposed=True)

    @abstractmethod
    def make_convolution(
        self, in_planes: int, out_planes: int, kernel: Kernel, *, transposed: bool
    ) -> nn.Module:
        """Make a convolution, or a transposed one, in this kind of number."""

    @abstractmethod
    def norm(self, word: str, planes: int) -> nn.Module:
        """Norm of the word table."""

    @abstractmethod
    def activation(self, word: str, planes: int) -> nn.Module:
        """Activation of the word table."""

    def concatenate(self, tensors: Sequence[Tensor]) -> Tensor:
        """Join along features, keeping pairs together where planes are halves of pairs."""
        return concatenate(tensors) if self.paired else torch.cat(list(tensors), 1)


class ComplexArithmetic(Arithmetic):
    """Complex kernels on pairs of planes."""

    name = "complex"
    paired = True

    def make_convolution(
        self, in_planes: int, out_planes: int, kernel: Kernel, *, transposed: bool
    ) -> nn.Module:
        """Complex convolution."""
        layer = ComplexConvTranspose2d if transposed else ComplexConv2d
        return layer(
            in_planes // 2,
            out_planes // 2,
            kernel.size,
            kernel.stride,
            kernel.padding,
            bias=kernel.bias,
            gain=kernel.gain,
        )

    def norm(self, word: str, planes: int) -> nn.Module:
        """Complex norm."""
        return look_up("norm", word)[0](planes // 2)

    def activation(self, word: str, planes: int) -> nn.Module:
        """Complex activation."""
        return look_up("activation", word)[0](planes // 2)


class RealArithmetic(Arithmetic):
    """Real kernels between all planes."""

    name = "real"
    paired = False
    groups: ClassVar[int] = 1

    def make_convolution(
        self, in_planes: int, out_planes: int, kernel: Kernel, *, transposed: bool
    ) -> nn.Module:
        """Real convolution."""
        make = nn.ConvTranspose2d if transposed else nn.Conv2d
        layer = make(
            in_planes,
            out_planes,
            _pair(kernel.size),
            _pair(kernel.stride),
            _pair(kernel.padding),
            groups=self.groups,
            bias=kernel.bias,
        )
        fan = fan_in(in_planes // self.groups, kernel.size, kernel.stride if transposed else None)
        initialise_real(layer.weight, fan, kernel.gain)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        return layer

    def norm(self, word: str, planes: int) -> nn.Module:
        """Real norm."""
        return look_up("norm", word)[1](planes)

    def activation(self, word: str, planes: int) -> nn.Module:
        """Real activation."""
        return look_up("activation", word)[1](planes)


class DualArithmetic(RealArithmetic):
    """A kernel for the real halves, another for the imaginary halves."""

    name = "dual"
    paired = True
    groups = 2

    def norm(self, word: str, planes: int) -> nn.Module:
        """Real norm of each half apart."""
        layer = look_up("norm", word)[1]
        return RMSNorm(planes, groups=2) if layer is RMSNorm else layer(planes)


def _pair(values: Sequence[int]) -> tuple[int, int]:
    first, second = values
    return first, second


ARITHMETICS: dict[str, type[Arithmetic]] = {
    arithmetic.name: arithmetic for arithmetic in (ComplexArithmetic, RealArithmetic, DualArithmetic)
}


def arithmetic_of(word: str) -> Arithmetic:
    """Return the arithmetic that a word, or the import path of a user's own class, names.

    Raises:
        ConfigError: there is none.
    """
    if "." in word:
        found = import_path(word, where="arithmetic")
        if not (isinstance(found, type) and issubclass(found, Arithmetic)):
            raise ConfigError(describe(f"arithmetic: `{word}` is not an Arithmetic"))
        made: Arithmetic = found()
        return made
    if word not in ARITHMETICS:
        raise ConfigError(describe(f"model: no arithmetic `{word}`", do=nearest(word, ARITHMETICS)))
    return ARITHMETICS[word]()
