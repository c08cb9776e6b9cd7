"""Batch norms of complex features: whitening, which treats the parts as pairs, and naive, each plane alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocx.errors import ShapeError, describe
from audiocx.layers.modulus import widen
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.whitening import over_processes, whiten, whiten_batch

EPSILON = 1e-5


class WhiteningBatchNorm(PlanarLayer):
    """Batch norm of the two parts as a pair: centred, made uncorrelated and of equal power, over batch and places.

    It is neither complex-linear nor equivariant: μ, V and Γ treat the parts of a feature as any pair of reals. (In
    training, while Γ is still a number and β is 0, turning the whole batch turns the output; with fixed statistics
    it does not.)

    Γ starts as 1/√2, so that E|y|² = 1. Statistics are float32 at least. Running statistics hold the unbiased
    covariance without ε, and start so that the untrained norm in eval mode is the identity (up to ε). Where a part
    is silent, noise of deviation δ in it comes out as δ/√ε.

    Formula:
        y = Γ V^(-1/2) (x - μ) + β,   V the 2 x 2 covariance of the parts plus ε, Γ symmetric, of three reals

    Source:
        Trabelsi et al. 2018, §3.5.

    Args:
        features: complex features.
        epsilon: what is added to the diagonal of the covariance.
        momentum: share of the new batch in the running statistics; None: their mean over all batches.
        synchronise: where several processes train together, the statistics are those of all their batches.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).

    Raises:
        ShapeError: a training batch has one place, and so no covariance.
    """

    running_mean: Tensor
    running_covariance: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        features: int,
        *,
        epsilon: float = EPSILON,
        momentum: float | None = 0.1,
        synchronise: bool = True,
    ) -> None:
        super().__init__()
        self.features, self.epsilon, self.momentum, self.synchronise = (
            features,
            epsilon,
            momentum,
            synchronise,
        )
        # Flat, as the parameters of all norms: optimizers take what has two axes for a matrix.
        self.weight = nn.Parameter(torch.tensor([0.5**0.5, 0.5**0.5, 0.0]).repeat_interleave(features))
        self.bias = nn.Parameter(torch.zeros(2 * features))
        self.register_buffer("running_mean", torch.zeros(2, features))
        start = torch.tensor([0.5, 0.5, 0.0]).repeat_interleave(features).view(3, -1)
        self.register_buffer("running_covariance", start)
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64))

    def transform(self, planar: Tensor) -> Tensor:
        """Normalise a planar tensor."""
        values = widen(planar)
        weight, bias = self.weight.view(3, -1), self.bias.view(2, -1)
        if not self.training:
            moments = (self.running_mean, self.running_covariance)
            return whiten(values, *moments, weight, bias, self.epsilon).to(planar.dtype)
        synchronise = self.synchronise and over_processes()
        if planar.numel() // max(planar.shape[1], 1) < 2 and not synchronise:
            raise ShapeError(
                describe(
                    "whitening: a training batch needs two places or more",
                    expected="batch * places > 1",
                    got=tuple(planar.shape),
                )
            )
        whitened, mean, covariance, count = whiten_batch(
            values, weight, bias, self.epsilon, synchronise=synchronise
        )
        self._track(mean, covariance * (count / (count - 1.0).clamp_min(1.0)))
        return whitened.to(planar.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, covariance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        if self.momentum is None:
            share = 1.0 / self.num_batches_tracked.to(mean.dtype)
            self.running_mean.add_((mean - self.running_mean) * share)
            self.running_covariance.add_((covariance - self.running_covariance) * share)
        else:
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_covariance.lerp_(covariance.to(self.running_covariance.dtype), self.momentum)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f"{self.features}, epsilon={self.epsilon}, momentum={self.momentum}"


class NaiveBatchNorm(PlanarLayer):
    """Batch norm of the real and of the imaginary part apart, as many networks in use have it.

    It is neither complex-linear nor equivariant: parts are centred and scaled without regard to each other. It
    starts with E|y|² = 1, as the other complex norms do, and not with 1 for each part. Real twin: `nn.BatchNorm2d`.

    Formula:
        y = norm(Re x) + j norm(Im x),   norm(u) = γ (u - mean u) / sqrt(var u + ε) + β, γ and β for every plane

    Source:
        Ioffe and Szegedy 2015, of both parts: the code of DCCRN (Hu et al. 2020) has it.

    Args:
        features: complex features.

    Shapes:
        (batch, 2 * feature, frequency, frame) -> the same, or complex (batch, feature, frequency, frame).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.parts = nn.BatchNorm2d(2 * features)
        nn.init.constant_(self.parts.weight, 0.5**0.5)

    def transform(self, planar: Tensor) -> Tensor:
        """Normalise a planar tensor."""
        normalised: Tensor = self.parts(planar)
        return normalised
