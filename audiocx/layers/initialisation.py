"""Initial weights: complex He, Glorot and semi-unitary, with the gain of the activation that follows; real He.

He has E|W|² = gain² / fan_in, Glorot 2 gain² / (fan_in + fan_out), real and imaginary part independent normal with
half of that each: modulus Rayleigh and phase uniform (Trabelsi et al. 2018, §3.6, with the standard deviation
1/sqrt(fan_in) of the paper, not the 1/fan_in of its code). The kernel [[A, -B], [B, A]] that results has the very
variance of a real layer of twice the features under real He, so that twins start alike. Semi-unitary weights have
orthogonal rows or columns of one length (Trabelsi et al. 2018, §3.6, "independent filters"), drawn evenly among
all such, with the power of He.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe, nearest

INITIALISERS = ("he", "glorot", "semi_unitary")

# E|f(z)|² for circular normal z with E|z|² = 1 is 1 / gain²; of a gated unit, for independent values and gates.
GAINS = {
    "linear": 1.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1.0 + 0.1**2)),
    "prelu": math.sqrt(2.0 / (1.0 + 0.25**2)),
    "z_relu": 2.0,
    "mod_relu": 1.0,
    "cardioid": math.sqrt(8.0 / 3.0),
    "polar_tanh": 1.468268,
    "tanh": 1.351657,
    "siglog": 2.180791,
    "mod_sigmoid_glu": 1.946411,
    "modulus_glu": 1.957349,
    "split_glu": 1.347477,
}
"""Gains by the word of the activation; `mod_relu` starts at bias 0, where it is the identity."""

# The same of the real twins: E f(x)² for normal x with E x² = 1, all of it in one plane, not half in each of two.
REAL_GAINS = {
    **GAINS,
    "z_relu": math.sqrt(2.0),
    "cardioid": math.sqrt(2.0),
    "polar_tanh": 1.592537,
    "tanh": 1.592537,
    "siglog": 2.337533,
    "mod_sigmoid_glu": 1.846228,
    "modulus_glu": 1.846228,
    "split_glu": 1.846228,
}
"""Gains of the real twins, by the word of the activation."""


def fan_in(in_features: int, kernel_size: Sequence[int], stride: Sequence[int] | None = None) -> float:
    """Average number of inputs that meet in one output.

    Args:
        in_features: input features of one group, complex ones counted once.
        kernel_size: taps along each axis.
        stride: of a transposed convolution, whose outputs meet only every stride-th tap.
    """
    return in_features * math.prod(kernel_size) / (math.prod(stride) if stride is not None else 1)


def fan_out(out_features: int, kernel_size: Sequence[int], stride: Sequence[int] | None = None) -> float:
    """Average number of outputs that one input enters.

    Args:
        out_features: output features of one group, complex ones counted once.
        kernel_size: taps along each axis.
        stride: of a convolution, whose inputs enter only every stride-th output; None for a transposed one.
    """
    return out_features * math.prod(kernel_size) / (math.prod(stride) if stride is not None else 1)


def initialise_complex(weight_real: Tensor, weight_imag: Tensor, fan: float, gain: float = 1.0) -> None:
    """Fill both parts of a complex weight in place: E|W|² = gain² / fan."""
    deviation = gain / math.sqrt(2.0 * fan)
    nn.init.normal_(weight_real, std=deviation)
    nn.init.normal_(weight_imag, std=deviation)


def initialise_glorot(
    weight_real: Tensor, weight_imag: Tensor, fans: tuple[float, float], gain: float = 1.0
) -> None:
    """Fill both parts of a complex weight in place: E|W|² = 2 gain² / (fan_in + fan_out)."""
    initialise_complex(weight_real, weight_imag, sum(fans) / 2, gain)


@torch.no_grad()
def initialise_semi_unitary(
    weight_real: Tensor, weight_imag: Tensor, fan: float, gain: float = 1.0, *, groups: int = 1
) -> None:
    """Fill both parts of a complex weight in place with semi-unitary matrices of mean |W|² = gain² / fan.

    Args:
        weight_real, weight_imag: (first, second, ...); all axes after the first make the columns.
        fan: inputs that meet in one output.
        gain: of the activation that follows.
        groups: every group's share of the first axis is a matrix of its own.
    """
    if weight_real.is_meta:
        return
    matrices = weight_real.flatten(1).unflatten(0, (groups, -1))
    wide = matrices.shape[1] < matrices.shape[2]
    tall = matrices.mT if wide else matrices
    # In double precision on the processor: orthogonal to float32's last digit, and the same on every device.
    parts = [torch.randn(tall.shape, dtype=torch.float64, device="cpu") for _ in range(2)]
    unitary, triangle = torch.linalg.qr(torch.complex(*parts))
    # With the phases of R's diagonal Q is drawn evenly, whatever convention the decomposition has (Mezzadri 2007).
    unitary = unitary * triangle.diagonal(dim1=1, dim2=2).sgn().unsqueeze(1)
    unitary = unitary.mT if wide else unitary
    # |Q|² has the mean 1 / (the longer side).
    scaled = unitary * (gain * math.sqrt(max(unitary.shape[1:]) / fan))
    weight_real.copy_(scaled.real.reshape(weight_real.shape))
    weight_imag.copy_(scaled.imag.reshape(weight_imag.shape))


def initialise(
    word: str,
    weight_real: Tensor,
    weight_imag: Tensor,
    fans: tuple[float, float],
    gain: float = 1.0,
    *,
    groups: int = 1,
) -> None:
    """Fill both parts of a complex weight in place, as a word says.

    Args:
        word: `he`, `glorot` or `semi_unitary`.
        weight_real, weight_imag: the parts.
        fans: inputs that meet in one output, and outputs that one input enters.
        gain: of the activation that follows.
        groups: of the layer.

    Raises:
        ConfigError: the word is not known.
    """
    if word == "he":
        initialise_complex(weight_real, weight_imag, fans[0], gain)
    elif word == "glorot":
        initialise_glorot(weight_real, weight_imag, fans, gain)
    elif word == "semi_unitary":
        initialise_semi_unitary(weight_real, weight_imag, fans[0], gain, groups=groups)
    else:
        raise ConfigError(describe(f"layer: no initial weights `{word}`", do=nearest(word, INITIALISERS)))


def initialise_real(weight: Tensor, fan: float, gain: float = 1.0) -> None:
    """Fill a real weight in place: E w² = gain² / fan."""
    nn.init.normal_(weight, std=gain / math.sqrt(fan))


def gain_of(activation: str, *, real: bool = False) -> float:
    """Gain for the activation that follows a layer; 1 for a word without one (a user's own layer).

    Args:
        activation: its word.
        real: of the real twin.
    """
    return (REAL_GAINS if real else GAINS).get(activation, 1.0)
