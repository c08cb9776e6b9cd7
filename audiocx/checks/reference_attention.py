"""Attention in native complex numbers, which the planar one must equal."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from audiocx.checks.reference_maps import native

FLOOR = 1e-6


def attention(layer: Any, z: Tensor) -> Tensor:
    """Multi-head attention of complex numbers over the last axis, as its formula has it."""
    maps = (native(part) for part in (layer.query, layer.key, layer.value))
    query, key, value = (_heads(z.movedim(1, -1) @ matrix.T, layer.n_heads) for matrix in maps)
    query, key = _normalised(query), _normalised(key)
    n_features = query.shape[-1]
    if layer.rotary:
        turn = _turns(z.shape[-1], n_features)
        query, key = turn * query, turn * key
    scores = query @ key.mH / n_features**0.5
    weights = _weights(scores, layer.weighting, layer.causal)
    joined = (weights @ value).movedim(-3, -2).flatten(-2)
    return (joined @ native(layer.output).T).movedim(-1, 1)


def real_attention(layer: Any, x: Tensor) -> Tensor:
    """The real twin, its rotary phase on pairs of features that are half of the head apart."""
    query, key, value = (
        _heads(x.movedim(1, -1) @ part.weight.T, layer.n_heads)
        for part in (layer.query, layer.key, layer.value)
    )
    query, key = (torch.complex(*numbers.chunk(2, -1)) for numbers in (query, key))
    query, key = _normalised(query), _normalised(key)
    n_pairs = query.shape[-1]
    if layer.rotary:
        turn = _turns(x.shape[-1], n_pairs)
        query, key = turn * query, turn * key
    scores = (query @ key.mH).real / n_pairs**0.5
    joined = (_softmax(scores, layer.causal) @ value).movedim(-3, -2).flatten(-2)
    return (joined @ layer.output.weight.T).movedim(-1, 1)


def _heads(numbers: Tensor, n_heads: int) -> Tensor:
    """(..., frame, feature) as (..., head, frame, feature of a head)."""
    return numbers.unflatten(-1, (n_heads, -1)).movedim(-2, -3)


def _normalised(numbers: Tensor) -> Tensor:
    return numbers / (numbers.abs().square().mean(-1, keepdim=True) + FLOOR).sqrt()


def _turns(n_frames: int, n_features: int) -> Tensor:
    frames = torch.arange(n_frames, dtype=torch.float64).unsqueeze(1)
    angles = frames * 10_000.0 ** (-torch.arange(n_features, dtype=torch.float64) / n_features)
    return torch.exp(1j * angles)


def _weights(scores: Tensor, weighting: str, causal: bool) -> Tensor:
    if weighting == "real":
        return _softmax(scores.real, causal).to(scores.dtype)
    if weighting == "modulus":
        return _softmax(scores.abs(), causal).to(scores.dtype)
    if weighting == "modulus_phase":
        return _softmax(scores.abs(), causal) * torch.sgn(scores)
    return torch.complex(_softmax(scores.real, causal), _softmax(scores.imag, causal))


def _softmax(scores: Tensor, causal: bool) -> Tensor:
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1) & causal
    exponentials = scores.masked_fill(later, -torch.inf).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)
