"""Attention between frames with complex queries, keys and values (Eilers & Jiang 2023).

Scores are conjugate products s_ij = q_i k_j^H / sqrt(d) of normalised queries and keys, so that a global phase
leaves them as they are and turns the output with the values. Weightings:

- `real`: softmax(Re s) V, which is one real attention over planes;
- `modulus`: softmax(|s|) V;
- `modulus_phase`: softmax(|s|) e^{j∠s} V, which gives back the phase of the query against the key;
- `split`: (softmax(Re s) + j softmax(Im s)) V.

Rotary phase: q_m and k_m are turned by e^{jmω_i}, ω_i = 10000^{-i/d} (Su et al. 2021), so that scores see the
distance between frames alone; for complex numbers it is a product with a phase, not a construction on pairs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.linear import ComplexLinear, RealLinear
from audiocx.layers.modulus import floored_modulus, widen
from audiocx.layers.planar import PlanarLayer

WEIGHTINGS = ("real", "modulus", "modulus_phase", "split")
LONGEST_PERIOD = 10_000.0
SMALLEST = 1e-6


def rotary_phase(numbers: Tensor) -> Tensor:
    """Turn complex numbers by e^{jmω_i}, m the frame and i the feature.

    Args:
        numbers: (..., frame, part, feature), two parts.

    Returns:
        The same shape.
    """
    n_frames, _, n_features = numbers.shape[-3:]
    # In float32 at least: bfloat16 cannot count frames.
    dtype = torch.promote_types(numbers.dtype, torch.float32)
    features = torch.arange(n_features, dtype=dtype, device=numbers.device)
    frames = torch.arange(n_frames, dtype=dtype, device=numbers.device)
    angles = frames.unsqueeze(1) * LONGEST_PERIOD ** (-features / n_features)
    cosine, sine = angles.cos(), angles.sin()
    real, imaginary = numbers.unbind(-2)
    turned = torch.stack((cosine * real - sine * imaginary, sine * real + cosine * imaginary), -2)
    return turned.to(numbers.dtype)


def _normalised(numbers: Tensor) -> Tensor:
    """Numbers (..., part, feature) at unit mean power E|x|²."""
    wide = widen(numbers)
    power = wide.square().sum(-2, keepdim=True).mean(-1, keepdim=True)
    return (wide * torch.rsqrt(power + SMALLEST)).to(numbers.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, weighting: str, *, causal: bool = False) -> Tensor:
    """Weigh values by the conjugate products of queries and keys.

    Args:
        query, key, value: (..., frame, part, feature), two parts.
        weighting: one of `WEIGHTINGS`.
        causal: frames see none that come later.

    Returns:
        (..., frame, part, feature).
    """
    scale = 1.0 / math.sqrt(query.shape[-1])
    values = value.flatten(-2)
    if weighting == "real":
        # Re(q k^H) is the real product of planes.
        weighted = _attend_real(query.flatten(-2), key.flatten(-2), values, scale, causal=causal)
        return weighted.unflatten(-1, value.shape[-2:])
    real_key, imaginary_key = key.unbind(-2)
    turned_key = torch.cat((-imaginary_key, real_key), -1)  # jk; Im(q k^H) = Re(q (jk)^H)
    # In float32 at least: in float16 the square of a small score is zero, and its root has no gradient there.
    real = widen(scale * query.flatten(-2) @ key.flatten(-2).mT)
    imaginary = widen(scale * query.flatten(-2) @ turned_key.mT)
    mask = None
    if causal:
        mask = torch.ones(real.shape[-2:], dtype=torch.bool, device=real.device).triu(1)
    if weighting == "split":
        return _complex_product(_softmax(real, mask), _softmax(imaginary, mask), value)
    modulus = floored_modulus(real, imaginary, SMALLEST)
    weights = _softmax(modulus, mask)
    if weighting == "modulus":
        return (weights.to(values.dtype) @ values).unflatten(-1, value.shape[-2:])
    return _complex_product(weights * (real / modulus), weights * (imaginary / modulus), value)


def _attend_real(query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool) -> Tensor:
    """Torch's attention over (..., frame, feature), on four axes: ONNX takes no others.

    The last leading axis, heads, stays by itself: kernels of a GPU take no more than 65 535 of those.
    """
    leading = query.shape[:-2]
    rows = math.prod(leading[:-1]), math.prod(leading[-1:])
    query, key, value = (numbers.reshape(*rows, *numbers.shape[-2:]) for numbers in (query, key, value))
    weighted = functional.scaled_dot_product_attention(query, key, value, is_causal=causal, scale=scale)
    return weighted.reshape(*leading, *weighted.shape[-2:])


def _softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    return torch.softmax(scores if mask is None else scores.masked_fill(mask, -torch.inf), -1)


def _complex_product(real: Tensor, imaginary: Tensor, value: Tensor) -> Tensor:
    """(P + jQ) V for weights (..., frame, frame) and values (..., frame, part, feature)."""
    value_real, value_imaginary = value.unbind(-2)
    turned = torch.stack((-value_imaginary, value_real), -2)
    real, imaginary = real.to(value.dtype), imaginary.to(value.dtype)
    return (real @ value.flatten(-2) + imaginary @ turned.flatten(-2)).unflatten(-1, value.shape[-2:])


class ComplexAttention(PlanarLayer):
    """Multi-head self-attention over the last axis with complex maps and conjugate products. Phase-equivariant.

    Queries and keys are scaled to unit power; with `rotary` they are turned by the phase e^{jmω_i} of their frame
    m. The weights A are, by the word `weighting`:

    - `real`: softmax(Re s), one real attention over planes;
    - `modulus`: softmax(|s|);
    - `modulus_phase`: softmax(|s|) e^{j∠s}, which gives back the phase of the query against the key;
    - `split`: softmax(Re s) + j softmax(Im s).

    Formula:
        s_ij = q_i k_j^H / sqrt(d),   y_i = W_o Σ_j A_ij v_j,   q, k, v complex maps of x

    Source:
        Eilers and Jiang 2023; rotary phase after Su et al. 2021.

    Args:
        features: complex features in and out.
        n_heads: heads, which share the features among them.
        weighting: `real`, `modulus`, `modulus_phase` or `split`.
        rotary: turn queries and keys by the phase of their frame.
        causal: frames see none that come later.

    Shapes:
        (batch, 2 * feature, ..., frame) -> the same, or complex with half as many.

    Raises:
        ConfigError: there is no such weighting, or heads do not share the features evenly.
    """

    phase_equivariant = True

    def __init__(
        self,
        features: int,
        n_heads: int,
        *,
        weighting: str = "real",
        rotary: bool = True,
        causal: bool = False,
    ) -> None:
        super().__init__()
        if weighting not in WEIGHTINGS:
            raise ConfigError(
                describe(f"attention: no weighting `{weighting}`", do=nearest(weighting, WEIGHTINGS))
            )
        _check_heads(features, n_heads, 1)
        self.features, self.n_heads = features, n_heads
        self.weighting, self.rotary, self.causal = weighting, rotary, causal
        self.query, self.key, self.value, self.output = (
            ComplexLinear(features, features, bias=False) for _ in range(4)
        )

    def transform(self, planar: Tensor) -> Tensor:
        """Attend between the frames of a planar tensor."""
        query, key, value = (self._heads(layer(planar)) for layer in (self.query, self.key, self.value))
        query, key = _normalised(query), _normalised(key)
        if self.rotary:
            query, key = rotary_phase(query), rotary_phase(key)
        weighted = attend(query, key, value, self.weighting, causal=self.causal)
        joined = (
            weighted.movedim(-2, 1).movedim(-3, 2).movedim(-1, 3)
        )  # (batch, part, head, feature, ..., frame)
        return self.output(joined.flatten(1, 3))

    def _heads(self, planar: Tensor) -> Tensor:
        """(batch, 2 * feature, ..., frame) as (batch, ..., head, frame, part, feature)."""
        parted = planar.unflatten(1, (2, self.n_heads, -1))
        return parted.movedim(2, -2).movedim(1, -1).movedim(1, -1)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.features}, {self.n_heads}, weighting={self.weighting}, causal={self.causal}"


class RealAttention(nn.Module):
    """Real twin of `ComplexAttention`, with rotary phase on pairs of features.

    Formula:
        s_ij = q_i k_j^T / sqrt(d),   y_i = W_o Σ_j softmax(s)_ij v_j,   d counts pairs

    Source:
        Vaswani et al. 2017, eq. 1; rotary phase after Su et al. 2021.

    Args:
        features: real features in and out.
        n_heads: heads, which share the features among them.
        rotary: turn pairs of queries' and keys' features by the phase of their frame.
        causal: frames see none that come later.

    Shapes:
        (batch, feature, ..., frame) -> the same.

    Raises:
        ConfigError: heads do not share pairs of features evenly.
    """

    def __init__(self, features: int, n_heads: int, *, rotary: bool = True, causal: bool = False) -> None:
        super().__init__()
        _check_heads(features, n_heads, 2)
        self.features, self.n_heads = features, n_heads
        self.rotary, self.causal = rotary, causal
        self.query, self.key, self.value, self.output = (
            RealLinear(features, features, bias=False) for _ in range(4)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Attend between the frames of a real tensor."""
        query, key, value = (
            layer(inputs).unflatten(1, (self.n_heads, 2, -1)).movedim(1, -2).movedim(1, -1).movedim(1, -1)
            for layer in (self.query, self.key, self.value)
        )  # (batch, ..., head, frame, part, feature)
        query, key = _normalised(query), _normalised(key)
        if self.rotary:
            query, key = rotary_phase(query), rotary_phase(key)
        # d counts pairs, so scores are as large as the real parts of complex ones.
        scale = 1.0 / math.sqrt(query.shape[-1])
        weighted = _attend_real(
            query.flatten(-2), key.flatten(-2), value.flatten(-2), scale, causal=self.causal
        )
        joined = weighted.movedim(-3, 1).movedim(-1, 2)  # (batch, head, feature, ..., frame)
        return self.output(joined.flatten(1, 2))

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.features}, {self.n_heads}, causal={self.causal}"


def _check_heads(features: int, n_heads: int, multiple: int) -> None:
    if n_heads < 1 or features % (multiple * n_heads):
        raise ConfigError(
            describe(
                "attention: heads do not share the features evenly",
                expected=f"features in {multiple} x heads equal parts",
                got=f"{features} features, {n_heads} heads",
            )
        )
