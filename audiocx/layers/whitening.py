"""The arithmetic of the whitening batch norm: moments of pairs, their inverse root, and one pass with its gradient.

Real and imaginary part of every feature are whitened together: y = Γ V^(-1/2) (x - μ) + β, with V the 2x2
covariance of the parts plus ε on its diagonal (Trabelsi et al. 2018, §3.5). Small tensors here have parts first:
(2, feature) for pairs, (3, feature) for symmetric 2x2 matrices (rr, ii, ri), (4, feature) for any (rr, ri, ir, ii).

With A = Γ V^(-1/2), g the gradient of y, N the places of the batch, R = V^(1/2), s = det R and t = tr R, backward:

    dβ = Σ g,  P = Σ g (x - μ)ᵀ,  dΓ = P R⁻¹,  H = sym(Γ P),  K = -R⁻¹ H R⁻¹,  dV = (K + s R⁻¹ K R⁻¹) / 2t,
    dx = Aᵀ g + 2/N dV (x - μ) - 1/N Aᵀ Σ g

dV solves R X + X R = K in closed form. Sums over the batch are sums over all processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

Reduce = Callable[[Tensor], Tensor]

PIECE_NUMBERS = 1 << 18
"""Numbers in a piece of the batch: 1 MiB of float32, so that the passes over it meet it in the cache.

Only where a piece lies together in memory, channels-last, does that gain (a fifth to a third of the time).
"""


def over_processes() -> bool:
    """Whether several processes train together."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def whiten_batch(
    planar: Tensor, weight: Tensor, bias: Tensor, epsilon: float, *, synchronise: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Whiten a batch by its own moments.

    Args:
        planar: (batch, 2 * feature, ...), float32 or float64.
        weight: Γ, (3, feature).
        bias: β, (2, feature).
        epsilon: what is added to the diagonal of the covariance.
        synchronise: the moments are those of the batches of all processes.

    Returns:
        The whitened batch, and without gradients its mean (2, feature), its biased covariance without ε
        (3, feature) and the number of places it has, ().
    """
    if torch.compiler.is_compiling():
        return plain_whiten_batch(planar, weight, bias, epsilon, synchronise=synchronise)
    outputs: tuple[Tensor, Tensor, Tensor, Tensor] = _WhitenBatch.apply(
        planar, weight, bias, epsilon, synchronise
    )
    return outputs


def plain_whiten_batch(
    planar: Tensor, weight: Tensor, bias: Tensor, epsilon: float, *, synchronise: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Do `whiten_batch` as it is written: what compilation fuses, and what the other form is tested against."""
    over = [0, *range(2, planar.ndim)]
    local_mean = planar.mean(over)
    centred = planar - _along(local_mean, planar)
    real, imaginary = centred.chunk(2, 1)
    second = torch.stack(
        [real.square().sum(over), imaginary.square().sum(over), (real * imaginary).sum(over)]
    )
    count = _count(planar)
    reduce: Reduce | None = all_reduce if synchronise else None
    count, mean, covariance, shift = merge(count, local_mean.view(2, -1), second, reduce)
    matrix = multiply(weight, inverse_root(covariance, epsilon)[0])
    outputs = mix(centred, matrix, bias + _apply(matrix, shift))
    return outputs, mean.detach(), covariance.detach(), count


def whiten(
    planar: Tensor, mean: Tensor, covariance: Tensor, weight: Tensor, bias: Tensor, epsilon: float
) -> Tensor:
    """Whiten by given moments: a fixed affine map of every pair."""
    matrix = multiply(weight, inverse_root(covariance, epsilon)[0])
    return mix(planar, matrix, bias - _apply(matrix, mean))


def inverse_root(covariance: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return (V + ε)^(-1/2), (3, feature), and the determinant and the trace of (V + ε)^(1/2).

    The determinant of V + ε is det V + ε (tr V + ε). det V is a difference that rounding can turn negative where
    both parts are nearly the same; held at zero, the sum keeps the bound that it has in exact arithmetic, and no
    direction is amplified by more than about 1/√ε.
    """
    rr, ii, ri = covariance.unbind(0)
    determinant = (rr * ii - ri * ri).clamp_min(0.0) + epsilon * (rr + ii + epsilon)
    rr, ii = rr + epsilon, ii + epsilon
    root_determinant = determinant.sqrt()
    trace = (rr + ii + 2.0 * root_determinant).sqrt()
    inverse = torch.stack((ii + root_determinant, rr + root_determinant, -ri))
    return inverse / (root_determinant * trace), root_determinant, trace


def merge(
    count: Tensor, mean: Tensor, second: Tensor, reduce: Reduce | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Merge the moments of all processes, whatever share of the batch each has (Chan, Golub and LeVeque 1979).

    Args:
        count: places of this process's batch, ().
        mean: of this process's batch, (2, feature).
        second: sums of products of the parts, both centred by `mean`, (3, feature).
        reduce: sum over processes; None: there is one.

    Returns:
        Places, mean and covariance of all, and the difference of this process's mean from that of all.
    """
    if reduce is None:
        return count, mean, second / count, torch.zeros_like(mean)
    total = reduce(torch.cat((count.view(1), (count * mean).flatten())))
    merged_count = total[0].detach()
    merged_mean = total[1:].view_as(mean) / merged_count
    shift = mean - merged_mean
    between = count * torch.stack((shift[0] * shift[0], shift[1] * shift[1], shift[0] * shift[1]))
    return merged_count, merged_mean, reduce(second + between) / merged_count, shift


def mix(planar: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Return matrix · x + shift for every pair x; matrix (4, feature), shift (2, feature)."""
    rr, ri, ir, ii = matrix.unbind(0)
    mixed = torch.addcmul(_along(shift, planar), planar, _along(torch.cat((rr, ii)), planar))
    real, imaginary = planar.chunk(2, 1)
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return mixed + torch.cat((imaginary * _along(ri, planar), real * _along(ir, planar)), 1)
    _add_crossed(mixed, planar, ri, ir)
    return mixed


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Multiply two symmetric matrices, (3, feature) each; the product is (4, feature)."""
    (a, d, b), (e, h, f) = left.unbind(0), right.unbind(0)
    return torch.stack((a * e + b * f, a * f + b * h, b * e + d * f, b * f + d * h))


class _AllReduce(torch.autograd.Function):
    """Sum over processes; so is its gradient, since the losses of all are summed."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        del ctx
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        return _summed(gradients[0])


def all_reduce(values: Tensor) -> Tensor:
    """Sum over processes, differentiable."""
    summed: Tensor = _AllReduce.apply(values)
    return summed


class _WhitenBatch(torch.autograd.Function):
    """`plain_whiten_batch` in few passes over the batch; of its size it keeps nothing but the batch itself."""

    @staticmethod
    def forward(
        ctx: Any, planar: Tensor, weight: Tensor, bias: Tensor, epsilon: float, synchronise: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if not (planar.is_contiguous() or _is_channels_last(planar)):
            planar = planar.contiguous()
        local_mean, second = _moments(planar)
        reduce: Reduce | None = _summed if synchronise else None
        count, mean, covariance, shift = merge(_count(planar), local_mean, second, reduce)
        inverse, determinant, trace = inverse_root(covariance, epsilon)
        matrix = multiply(weight, inverse)
        ctx.save_for_backward(planar, local_mean, weight, matrix, inverse, determinant, trace, shift, count)
        ctx.synchronise = synchronise
        ctx.mark_non_differentiable(mean, covariance, count)
        ctx.set_materialize_grads(False)
        outputs = torch.empty_like(planar)
        constant = bias - _apply(matrix, mean)
        for piece, planar_piece in _pieces(outputs, planar):
            _write_mix(piece, planar_piece, matrix, constant)
        return outputs, mean, covariance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0]
        if gradient is None:
            return None, None, None, None, None
        planar, local_mean, weight, matrix, inverse, determinant, trace, shift, count = ctx.saved_tensors
        gradient = _in_layout_of(gradient, planar)
        sums, products = _gradient_sums(gradient, planar, local_mean)
        products = products + torch.stack(
            (sums[0] * shift[0], sums[0] * shift[1], sums[1] * shift[0], sums[1] * shift[1])
        )
        weight_gradient = _product(products, _full(inverse))
        weight_gradient = torch.stack(
            (weight_gradient[0], weight_gradient[3], weight_gradient[1] + weight_gradient[2])
        )
        if not ctx.needs_input_grad[0]:
            return None, weight_gradient, sums, None, None
        root_gradient = -_congruent(inverse, _symmetric(_product(_full(weight), products)))
        moments = root_gradient + determinant * _congruent(inverse, root_gradient)
        moments, total = moments / (2.0 * trace), sums
        if ctx.synchronise:
            reduced = _summed(torch.cat((moments, sums)))
            moments, total = reduced[:3], reduced[3:]
        second = _full(moments) * (2.0 / count)
        transposed = matrix[[0, 2, 1, 3]]
        constant = _apply(second, shift - local_mean) - _apply(transposed, total) / count
        batch_gradient = torch.empty_like(planar)
        rr, ri, ir, ii = second.unbind(0)
        diagonal = torch.cat((rr, ii)).view(1, -1, 1)
        for piece, gradient_piece, planar_piece in _pieces(batch_gradient, gradient, planar):
            _write_mix(piece, gradient_piece, transposed, constant)
            piece.addcmul_(planar_piece, diagonal)
            _add_crossed(piece, planar_piece, ri, ir)
        return batch_gradient, weight_gradient, sums, None, None


def _moments(planar: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and sums of centred products."""
    over = [0, *range(2, planar.ndim)]
    if planar.device.type == "cpu":
        # The statistics of torch's batch norm; `var_mean` is an order of magnitude slower in channels-last.
        mean, variance = torch.batch_norm_update_stats(planar, None, None, 0.0)
    else:
        variance, mean = torch.var_mean(planar, over, correction=0)
    cross = mean.new_zeros(planar.shape[1] // 2)
    for piece in _centred_pieces(mean, planar):
        real, imaginary = piece[0].chunk(2, 1)
        cross += real.mul_(imaginary).sum((0, 2))
    squares = variance.view(2, -1) * (planar.numel() // planar.shape[1])
    return mean.view(2, -1), torch.cat((squares, cross.view(1, -1)))


def _gradient_sums(gradient: Tensor, planar: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return Σ g, (2, feature), and Σ g xᵀ, (4, feature), with x centred by a mean (2, feature)."""
    over = [0, *range(2, planar.ndim)]
    n_planes = planar.shape[1]
    flat_mean = mean.flatten()
    if planar.device.type == "cpu":
        # One pass of torch's batch norm, with deviation 1.
        ones = planar.new_ones(n_planes)
        _, diagonal, sums = torch.ops.aten.native_batch_norm_backward(
            gradient, planar, ones, None, None, flat_mean, ones, True, 0.0, [False, True, True]
        )
    else:
        diagonal, sums = (gradient * (planar - _along(flat_mean, planar))).sum(over), gradient.sum(over)
    rr, ii = diagonal.chunk(2)
    ri, ir = torch.zeros_like(rr), torch.zeros_like(rr)
    for piece, gradient_piece in _centred_pieces(flat_mean, planar, gradient):
        (gradient_real, gradient_imaginary), (real, imaginary) = gradient_piece.chunk(2, 1), piece.chunk(2, 1)
        ri += imaginary.mul_(gradient_real).sum((0, 2))
        ir += real.mul_(gradient_imaginary).sum((0, 2))
    return sums.view(2, -1), torch.stack((rr, ri, ir, ii))


def _centred_pieces(mean: Tensor, planar: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give centred pieces of the first tensor, all in one buffer that may be written to, and those of others."""
    buffer: Tensor | None = None
    for piece, *rest in _pieces(planar, *others):
        if buffer is None or buffer.shape[0] != piece.shape[0] or buffer.shape[2] < piece.shape[2]:
            buffer = torch.empty_like(piece)
        centred = torch.sub(piece, mean.view(1, -1, 1), out=buffer[:, :, : piece.shape[2]])
        yield (centred, *rest)


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors of one shape and layout into pieces (batch, plane, place) that fit into a processor's cache."""
    first = tensors[0]
    flat = [tensor.flatten(2) if tensor.ndim > 2 else tensor.unsqueeze(2) for tensor in tensors]
    if first.device.type != "cpu" or not _is_channels_last(first):
        yield tuple(flat)
        return
    size = max(1, PIECE_NUMBERS // first.shape[1])
    for item in zip(*(tensor.split(1) for tensor in flat), strict=True):
        yield from zip(*(tensor.split(size, 2) for tensor in item), strict=True)


def _in_layout_of(values: Tensor, other: Tensor) -> Tensor:
    """Return values in the strides of another tensor of that shape; what is so already is not copied."""
    if values.stride() == other.stride():
        return values
    return torch.empty_like(other).copy_(values)


def _write_mix(mixed: Tensor, planar: Tensor, matrix: Tensor, shift: Tensor) -> None:
    """Do `mix` into a given tensor."""
    rr, ri, ir, ii = matrix.unbind(0)
    torch.addcmul(_along(shift, planar), planar, _along(torch.cat((rr, ii)), planar), out=mixed)
    _add_crossed(mixed, planar, ri, ir)


def _add_crossed(mixed: Tensor, planar: Tensor, ri: Tensor, ir: Tensor) -> None:
    """Add ri times the imaginary part to the real one and ir times the real part to the imaginary one, in place."""
    (mixed_real, mixed_imaginary), (real, imaginary) = mixed.chunk(2, 1), planar.chunk(2, 1)
    mixed_real.addcmul_(imaginary, _along(ri, planar))
    mixed_imaginary.addcmul_(real, _along(ir, planar))


def _is_channels_last(planar: Tensor) -> bool:
    return planar.ndim == 4 and planar.is_contiguous(memory_format=torch.channels_last)


def _count(planar: Tensor) -> Tensor:
    return torch.full((), planar.numel() // planar.shape[1], dtype=planar.dtype, device=planar.device)


def _along(values: Tensor, planar: Tensor) -> Tensor:
    return values.reshape(1, -1, *[1] * (planar.ndim - 2))


def _summed(values: Tensor) -> Tensor:
    summed = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(summed)
    return summed


def _full(symmetric: Tensor) -> Tensor:
    return symmetric[[0, 2, 2, 1]]


def _symmetric(matrix: Tensor) -> Tensor:
    return torch.stack((matrix[0], matrix[3], 0.5 * (matrix[1] + matrix[2])))


def _product(left: Tensor, right: Tensor) -> Tensor:
    (a, b, c, d), (e, f, g, h) = left.unbind(0), right.unbind(0)
    return torch.stack((a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h))


def _congruent(outer: Tensor, inner: Tensor) -> Tensor:
    """Return outer · inner · outer of symmetric matrices."""
    return _symmetric(_product(multiply(outer, inner), _full(outer)))


def _apply(matrix: Tensor, pair: Tensor) -> Tensor:
    return torch.stack((matrix[0] * pair[0] + matrix[1] * pair[1], matrix[2] * pair[0] + matrix[3] * pair[1]))
