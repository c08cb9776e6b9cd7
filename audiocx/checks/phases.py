"""Proof of the global phase: what a layer declares is what is seen."""

from __future__ import annotations

import cmath

import torch
from torch import Tensor, nn

from audiocx.checks.comparing import relative_error, require
from audiocx.checks.entry import Entry, as_planes
from audiocx.checks.numerics import call
from audiocx.layers.planar import to_complex

ANGLES = (0.9, 2.5, -1.7)
SAME = 1e-9
OTHER = 1e-4
"""Relative errors below the first are none, above the second they are seen."""


def check_phase(entry: Entry) -> str | None:
    """A layer that declares `phase_equivariant` turns with its input, and one that does not is seen not to.

    Returns:
        What was seen of a layer that declares nothing and need not; None: it is as declared.

    Raises:
        ProofError: it is not as declared.
    """
    layer = entry.layer(torch.float64)
    turned = max(_error(entry, layer, angle, turns=True) for angle in ANGLES)
    left = max(_error(entry, layer, angle, turns=False) for angle in ANGLES)
    declared = {"phase_equivariant": entry.declares(layer)}
    if entry.real_output:
        invariant = getattr(layer, "phase_invariant", False if entry.must_declare else None)
        declared["phase_invariant"] = None if invariant is None else bool(invariant)
    errors = {
        "phase_equivariant": (turned, "the output of the turned input is off the turned output by"),
        "phase_invariant": (left, "a global phase changes the output by"),
    }
    for name, says in declared.items():
        error, words = errors[name]
        if says is not None:
            require(error < SAME if says else error > OTHER, f"{name} is {says}, and {words} {error:.2g}")
    if any(says is not None for says in declared.values()):
        return None
    seen = "turns with" if turned < SAME else "is left as it is by" if left < SAME else "is changed by"
    return f"it does not declare `phase_equivariant`; its output {seen} a global phase"


def _error(entry: Entry, layer: nn.Module, angle: float, *, turns: bool) -> float:
    z, turn = entry.numbers_in(), cmath.exp(1j * angle)

    def apply(numbers: Tensor) -> Tensor:
        if entry.native:
            return call(layer, numbers)
        outputs = call(layer, as_planes(numbers))
        return outputs if entry.real_output else to_complex(outputs)

    with torch.no_grad():
        outputs = apply(z)
        return relative_error(apply(z * turn), outputs * turn if turns else outputs)
