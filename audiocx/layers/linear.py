"""Complex linear maps of features, at every position alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.layers.initialisation import initialise, initialise_real
from audiocx.layers.product import ComplexProduct


def map_features(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Real linear map along the second axis: (batch, in, ...) to (batch, out, ...), cheap in channels-last."""
    return functional.linear(inputs.movedim(1, -1), weight, bias).movedim(-1, 1)


class ComplexLinear(ComplexProduct):
    """Complex linear map of the features at every position.

    Formula:
        y = W x + b;   of the planes the real map [[A, -B], [B, A]] with W = A + jB

    Source:
        Trabelsi et al. 2018, §3.2, for a kernel of one tap.

    Args:
        in_features, out_features: complex features.
        bias: add a complex bias; it breaks phase equivariance.
        gain: of the activation that follows, for the initial weights.
        initial: initial weights, `he`, `glorot` or `semi_unitary`.

    Shapes:
        (batch, 2 * in, ...) -> (batch, 2 * out, ...), or complex with half as many.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        gain: float = 1.0,
        initial: str = "he",
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.phase_equivariant = not bias
        self.weight_real = nn.Parameter(torch.empty(out_features, in_features))
        self.weight_imag = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(2 * out_features)) if bias else None
        initialise(initial, self.weight_real, self.weight_imag, (in_features, out_features), gain)

    def transform(self, planar: Tensor) -> Tensor:
        """Map a planar tensor."""
        return map_features(planar, self.derived_weights("block")[0], self.bias)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.out_features}"


class RealLinear(nn.Module):
    """Real twin of `ComplexLinear`.

    Formula:
        y = W x + b

    Source:
        torch's `nn.Linear`, along the second axis and with the initial weights of the complex twin.

    Args:
        in_features, out_features: real features.
        bias: add a bias.
        gain: of the activation that follows, for the initial weights.

    Shapes:
        (batch, in, ...) -> (batch, out, ...).
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True, gain: float = 1.0) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        initialise_real(self.weight, in_features, gain)

    def forward(self, features: Tensor) -> Tensor:
        """Map a real tensor."""
        return map_features(features, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.in_features}, {self.out_features}"
