"""Initial weights: complex He with the gain of the activation that follows, and its real twin.

W has E|W|² = gain² / fan_in, its real and imaginary part independent normal with half of that each: modulus
Rayleigh and phase uniform (Trabelsi et al. 2018, §3.6, with the standard deviation 1/sqrt(fan_in) of the paper,
not the 1/fan_in of its code). The kernel [[A, -B], [B, A]] that results has the very variance of a real layer of
twice the features under real He, so that twins start alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

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


def initialise_complex(weight_real: Tensor, weight_imag: Tensor, fan: float, gain: float = 1.0) -> None:
    """Fill both parts of a complex weight in place: E|W|² = gain² / fan."""
    deviation = gain / math.sqrt(2.0 * fan)
    nn.init.normal_(weight_real, std=deviation)
    nn.init.normal_(weight_imag, std=deviation)


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
