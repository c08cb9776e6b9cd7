"""Complex gates: gated linear units, and layers that make real weights of complex features.

A gated unit takes twice the features that it gives: first the values a, then the gates' inputs b.

    name           y                                     turns with the phase
    ModSigmoidGLU  σ(α Re b + (1 - α) Im b) a            no
    ModulusGLU     σ(w |b| + v) a                        yes
    SplitGLU       (σ(Re b) + j σ(Im b)) a               no

The real twin of all is `nn.GLU`, σ(b) a: the one way to gate by a real number, whose scale and offset are those of
the layer before it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.errors import ShapeError, describe
from audiocx.layers.modulus import floored_modulus, per_feature, scaled, widen
from audiocx.layers.planar import PlanarLayer, planes, to_planar


class RealValuedLayer(PlanarLayer):
    """Base of layers that make real numbers of complex ones: real comes out, whichever form went in.

    `phase_invariant` states whether a global phase of the input changes nothing. None is equivariant.
    """

    phase_invariant: bool = False

    def forward(self, inputs: Tensor, *arguments: Any) -> Any:
        """Apply the layer to a planar (batch, 2 * feature, ...) or complex (batch, feature, ...) tensor."""
        return self.transform(to_planar(inputs) if inputs.is_complex() else inputs, *arguments)


def mod_sigmoid(real: Tensor, imaginary: Tensor, mixture: Tensor) -> Tensor:
    """σ(α Re z + (1 - α) Im z), with α = σ(mixture) for every feature."""
    alpha = torch.sigmoid(per_feature(mixture, real.ndim))
    return torch.sigmoid(alpha * real + (1.0 - alpha) * imaginary)


class ModSigmoid(RealValuedLayer):
    """Real gate of both parts, mixed by a learned share. Neither equivariant nor invariant to phase.

    Real twin: `nn.Sigmoid`.

    Formula:
        g(z) = σ(α x + (1 - α) y),   α = σ(α₀) learned for every feature, 1/2 at first

    Source:
        Wolter and Yao 2018.

    Args:
        features: complex features.

    Shapes:
        (batch, 2 * feature, ...), or complex (batch, feature, ...) -> real (batch, feature, ...).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.mixture = nn.Parameter(torch.zeros(features))

    def transform(self, planar: Tensor) -> Tensor:
        """Weigh both parts into a gate."""
        real, imaginary = planes(widen(planar))
        return mod_sigmoid(real, imaginary, self.mixture).to(planar.dtype)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)


class ModSoftmax(RealValuedLayer):
    """Softmax of powers over the features: real probabilities. Phase-invariant.

    With cross entropy on target Y, z.grad = 2 (p - Y) z. Real twin: `nn.Softmax`, of plain logits.

    Formula:
        p_k = exp(|z_k|²) / Σ_i exp(|z_i|²)

    Source:
        Nie and Yuan, code `PNN`.

    Shapes:
        (batch, 2 * feature, ...), or complex (batch, feature, ...) -> real (batch, feature, ...), of sum 1.
    """

    phase_invariant = True

    def transform(self, planar: Tensor) -> Tensor:
        """Turn powers into probabilities; softmax takes the largest away first."""
        real, imaginary = planes(widen(planar))
        return torch.softmax(real.square() + imaginary.square(), 1).to(planar.dtype)


class GatedUnit(PlanarLayer):
    """Base of complex gated linear units (the real one: Dauphin et al. 2017); subclasses write the gating.

    Shapes:
        (batch, 2 * 2 * feature, ...) -> (batch, 2 * feature, ...), or complex (batch, 2 * feature, ...) ->
        (batch, feature, ...).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def transform(self, planar: Tensor) -> Tensor:
        """Gate the first half of the features by the second.

        Raises:
            ShapeError: there are not twice the features that come out.
        """
        if planar.shape[1] != 4 * self.features:
            raise ShapeError(
                describe(
                    "a gated unit takes twice the features it gives",
                    expected=f"{4 * self.features} planes",
                    got=tuple(planar.shape),
                )
            )
        real, imaginary = planes(widen(planar))
        (value_real, gate_real), (value_imag, gate_imag) = real.chunk(2, 1), imaginary.chunk(2, 1)
        return self.gated((value_real, value_imag), (gate_real, gate_imag), planar.dtype)

    @abstractmethod
    def gated(
        self, values: tuple[Tensor, Tensor], gates: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> Tensor:
        """Planar product of values and what the gates open, all given as parts (batch, feature, ...)."""

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)


class ModSigmoidGLU(GatedUnit):
    """Gated linear unit with the real gate of `ModSigmoid`. Not phase-equivariant.

    Formula:
        y = σ(α Re b + (1 - α) Im b) a,   α = σ(α₀) learned for every feature

    Source:
        Dauphin et al. 2017, eq. 1, with the gate of Wolter and Yao 2018.

    Args:
        features: complex features that come out; twice as many go in.

    Shapes:
        (batch, 2 * 2 * feature, ...) -> (batch, 2 * feature, ...), or complex without the factor of planes.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.mixture = nn.Parameter(torch.zeros(features))

    def gated(
        self, values: tuple[Tensor, Tensor], gates: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> Tensor:
        """Scale by the gate."""
        return scaled(*values, mod_sigmoid(*gates, self.mixture), dtype)


class ModulusGLU(GatedUnit):
    """Gated linear unit whose gate sees the modulus alone. Phase-equivariant.

    Starts at w = 1, v = -√π / 2, where the gate of a circular b with E|b|² = 1 is half open on average, as that of
    a real unit is. The modulus is floored at 1e-6 inside the root.

    Formula:
        y = σ(w |b| + v) a,   w and v real for every feature

    Source:
        Dauphin et al. 2017, eq. 1; the gate is ours.

    Args:
        features: complex features that come out; twice as many go in.

    Shapes:
        (batch, 2 * 2 * feature, ...) -> (batch, 2 * feature, ...), or complex without the factor of planes.
    """

    phase_equivariant = True

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.full((features,), -math.sqrt(math.pi) / 2))

    def gated(
        self, values: tuple[Tensor, Tensor], gates: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> Tensor:
        """Scale by the gate."""
        weight, bias = (per_feature(value, gates[0].ndim) for value in (self.weight, self.bias))
        return scaled(*values, torch.sigmoid(weight * floored_modulus(*gates) + bias), dtype)


class SplitGLU(GatedUnit):
    """Gated linear unit with a complex gate, which turns as well as scales. Not phase-equivariant.

    Formula:
        y = (σ(Re b) + j σ(Im b)) a,   a complex product

    Source:
        Dauphin et al. 2017, eq. 1, with a sigmoid of both parts (Nitta 1997).

    Args:
        features: complex features that come out; twice as many go in.

    Shapes:
        (batch, 2 * 2 * feature, ...) -> (batch, 2 * feature, ...), or complex without the factor of planes.
    """

    def gated(
        self, values: tuple[Tensor, Tensor], gates: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> Tensor:
        """Multiply by the complex gate."""
        (real, imaginary), (open_real, open_imag) = values, (torch.sigmoid(gate) for gate in gates)
        product = (
            real * open_real - imaginary * open_imag,
            real * open_imag + imaginary * open_real,
        )
        return torch.cat(product, 1).to(dtype)
