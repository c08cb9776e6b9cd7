"""Arithmetics: what a topology asks for everything that depends on the kind of number.

A topology names planes (real feature maps) and gets layers that map planar tensors to planar tensors:

- `complex`: pairs of planes are complex features; complex kernels.
- `widely_linear`: pairs of planes are complex features for norms, activations and recurrences, but kernels are
  real ones between all planes, y = A z + B conj(z); twice the parameters and the same multiply-adds as `complex`.
- `real`: planes are real features; real kernels between all of them. It has twice the parameters and the
  same multiply-adds as `complex` on the same planes.
- `dual`: a kernel for the real halves and another for the imaginary halves, which never meet between input and
  mask (split kernels, as in Deshpande's report); the parameters of `complex`, half its multiply-adds.

Norms, activations, gates, dropout, pools and recurrences go by the words of `audiocx.models.words`; attention is
complex where recurrences are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.attention import ComplexAttention, RealAttention
from audiocx.layers.halves import Halves, RecurrentHalves
from audiocx.layers.initialisation import gain_of
from audiocx.layers.linear import ComplexLinear, RealLinear
from audiocx.layers.planar import concatenate
from audiocx.layers.recurrent import BothDirections
from audiocx.layers.widely_linear import WidelyLinearDepthwise
from audiocx.models.kernels import Kernel, complex_convolution, kernel_of, pair, real_convolution
from audiocx.models.words import LayerMaker, import_path, look_up


class Arithmetic(ABC):
    """Makes the layers that depend on the kind of number."""

    name: ClassVar[str]
    paired: ClassVar[bool]
    """Planes are halves of pairs: a spectrum enters and leaves as real and imaginary part."""
    complex_layers: ClassVar[bool] = False
    """Between the kernels are the complex layers of the word table, else their real twins."""

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
        dilation: Sequence[int] = (1, 1),
    ) -> nn.Module:
        """Convolution over (frequency, frame); `activation` is the word of what follows, for its gain."""
        kernel = kernel_of(kernel_size, stride, padding, dilation, bias, self.gain(activation))
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
        dilation: Sequence[int] = (1, 1),
    ) -> nn.Module:
        """Transposed convolution, called with (tensor, output size)."""
        kernel = kernel_of(kernel_size, stride, padding, dilation, bias, self.gain(activation))
        return self.make_convolution(in_planes, out_planes, kernel, transposed=True)

    def depthwise(
        self,
        planes: int,
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        *,
        bias: bool,
        activation: str = "none",
        dilation: Sequence[int] = (1, 1),
        transposed: bool = False,
    ) -> nn.Module:
        """Convolution of every feature by itself; a transposed one is called with (tensor, output size)."""
        kernel = kernel_of(kernel_size, stride, padding, dilation, bias, self.gain(activation))
        return self.make_depthwise(planes, kernel, transposed=transposed)

    @abstractmethod
    def make_convolution(
        self, in_planes: int, out_planes: int, kernel: Kernel, *, transposed: bool
    ) -> nn.Module:
        """Make a convolution, or a transposed one, in this kind of number."""

    @abstractmethod
    def make_depthwise(self, planes: int, kernel: Kernel, *, transposed: bool) -> nn.Module:
        """Make a depthwise convolution, or a transposed one, in this kind of number."""

    @abstractmethod
    def linear(self, in_planes: int, out_planes: int, *, bias: bool = True) -> nn.Module:
        """Linear map of the planes at every place."""

    @abstractmethod
    def make_recurrence(self, word: str, in_planes: int, hidden_planes: int, *, reverse: bool) -> nn.Module:
        """Make a recurrence over the last axis, called with (tensor, state)."""

    def recurrence(self, word: str, in_planes: int, hidden_planes: int) -> nn.Module:
        """Recurrence of the word table over the last axis, called with (tensor, state), gives both."""
        return self.make_recurrence(word, in_planes, hidden_planes, reverse=False)

    def both_directions(self, word: str, in_planes: int, hidden_planes: int) -> nn.Module:
        """Two recurrences of the word table, to and fro; twice the hidden planes come out."""
        there, back = (
            self.make_recurrence(word, in_planes, hidden_planes, reverse=reverse) for reverse in (False, True)
        )
        return BothDirections(there, back, paired=self.paired)

    def attention(
        self, planes: int, n_heads: int, *, weighting: str = "real", causal: bool = False
    ) -> nn.Module:
        """Self-attention over the last axis; `weighting` is that of complex scores, real ones have but one."""
        if self.complex_layers:
            return ComplexAttention(planes // 2, n_heads, weighting=weighting, causal=causal)
        return RealAttention(planes, n_heads, causal=causal)

    @abstractmethod
    def norm(self, word: str, planes: int) -> nn.Module:
        """Norm of the word table."""

    @abstractmethod
    def activation(self, word: str, planes: int) -> nn.Module:
        """Activation of the word table."""

    def gate(self, word: str, planes: int) -> nn.Module:
        """Gated unit of the word table: twice the planes go in, values with the inputs of their gates."""
        return self._column("gate", word)(planes // 2 if self.complex_layers else planes)

    def dropout(self, word: str, probability: float) -> nn.Module:
        """Dropout of the word table."""
        return self._column("dropout", word)(probability)

    def pool(
        self, word: str, size: Sequence[int], stride: Sequence[int], padding: Sequence[int] = (0, 0)
    ) -> nn.Module:
        """Pool of the word table over (frequency, frame)."""
        return self._column("pool", word)(pair(size), pair(stride), pair(padding))

    def gain(self, activation: str) -> float:
        """Gain of initial weights for the activation, or the gated unit, of the word table that follows."""
        return gain_of(activation, real=not self.complex_layers)

    def _column(self, kind: str, word: str) -> LayerMaker:
        complex_layer, real_layer = look_up(kind, word)
        return complex_layer if self.complex_layers else real_layer

    def concatenate(self, tensors: Sequence[Tensor]) -> Tensor:
        """Join along features, keeping pairs together where planes are halves of pairs."""
        return concatenate(tensors) if self.paired else torch.cat(list(tensors), 1)


class ComplexArithmetic(Arithmetic):
    """Complex kernels on pairs of planes."""

    name = "complex"
    paired = True
    complex_layers = True

    def make_convolution(
        self, in_planes: int, out_planes: int, kernel: Kernel, *, transposed: bool
    ) -> nn.Module:
        """Complex convolution."""
        return complex_convolution(in_planes // 2, out_planes // 2, kernel, 1, transposed=transposed)

    def make_depthwise(self, planes: int, kernel: Kernel, *, transposed: bool) -> nn.Module:
        """Complex depthwise convolution."""
        return complex_convolution(planes // 2, planes // 2, kernel, planes // 2, transposed=transposed)

    def linear(self, in_planes: int, out_planes: int, *, bias: bool = True) -> nn.Module:
        """Complex linear map."""
        return ComplexLinear(in_planes // 2, out_planes // 2, bias=bias)

    def make_recurrence(self, word: str, in_planes: int, hidden_planes: int, *, reverse: bool) -> nn.Module:
        """Complex recurrence."""
        return look_up("recurrence", word)[0](in_planes // 2, hidden_planes // 2, reverse=reverse)

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
        return real_convolution(in_planes, out_planes, kernel, self.groups, transposed=transposed)

    def make_depthwise(self, planes: int, kernel: Kernel, *, transposed: bool) -> nn.Module:
        """Real depthwise convolution, of every plane."""
        return real_convolution(planes, planes, kernel, planes, transposed=transposed)

    def linear(self, in_planes: int, out_planes: int, *, bias: bool = True) -> nn.Module:
        """Real linear map."""
        return RealLinear(in_planes, out_planes, bias=bias)

    def make_recurrence(self, word: str, in_planes: int, hidden_planes: int, *, reverse: bool) -> nn.Module:
        """Real recurrence."""
        return look_up("recurrence", word)[1](in_planes, hidden_planes, reverse=reverse)

    def norm(self, word: str, planes: int) -> nn.Module:
        """Real norm."""
        return look_up("norm", word)[1](planes)

    def activation(self, word: str, planes: int) -> nn.Module:
        """Real activation."""
        return look_up("activation", word)[1](planes)


class WidelyLinearArithmetic(ComplexArithmetic):
    """Real kernels between all planes, between complex norms, activations and recurrences."""

    name = "widely_linear"

    def make_convolution(
        self, in_planes: int, out_planes: int, kernel: Kernel, *, transposed: bool
    ) -> nn.Module:
        """Real convolution of the planes."""
        return real_convolution(in_planes, out_planes, kernel, 1, transposed=transposed)

    def make_depthwise(self, planes: int, kernel: Kernel, *, transposed: bool) -> nn.Module:
        """Real 2 x 2 matrices for every pair of planes."""
        return WidelyLinearDepthwise(
            planes // 2,
            kernel.size,
            kernel.stride,
            kernel.padding,
            dilation=kernel.dilation,
            bias=kernel.bias,
            gain=kernel.gain,
            transposed=transposed,
        )

    def linear(self, in_planes: int, out_planes: int, *, bias: bool = True) -> nn.Module:
        """Real linear map of the planes."""
        return RealLinear(in_planes, out_planes, bias=bias)


class DualArithmetic(RealArithmetic):
    """A kernel for the real halves, another for the imaginary halves."""

    name = "dual"
    paired = True
    groups = 2

    def linear(self, in_planes: int, out_planes: int, *, bias: bool = True) -> nn.Module:
        """Real linear map of each half."""
        return Halves(lambda: RealLinear(in_planes // 2, out_planes // 2, bias=bias))

    def make_recurrence(self, word: str, in_planes: int, hidden_planes: int, *, reverse: bool) -> nn.Module:
        """Real recurrence of each half."""
        layer = look_up("recurrence", word)[1]
        return RecurrentHalves(lambda: layer(in_planes // 2, hidden_planes // 2, reverse=reverse))

    def attention(
        self, planes: int, n_heads: int, *, weighting: str = "real", causal: bool = False
    ) -> nn.Module:
        """Real attention of each half."""
        return Halves(lambda: RealAttention(planes // 2, n_heads, causal=causal))

    def norm(self, word: str, planes: int) -> nn.Module:
        """Real norm of each half."""
        layer = look_up("norm", word)[1]
        return Halves(lambda: layer(planes // 2))

    def gate(self, word: str, planes: int) -> nn.Module:
        """Real gated unit of each half."""
        layer = look_up("gate", word)[1]
        return Halves(lambda: layer(planes // 2))


ARITHMETICS: dict[str, type[Arithmetic]] = {
    arithmetic.name: arithmetic
    for arithmetic in (ComplexArithmetic, WidelyLinearArithmetic, RealArithmetic, DualArithmetic)
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
