"""Proofs of what single kinds of layers promise: adjoint, unitarity, decay, pieces, steps of training."""

from __future__ import annotations

import gc
import importlib
import random
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from audiocx.checks.comparing import require, require_equal, require_finite
from audiocx.checks.entry import Entry, first
from audiocx.layers.attention import ComplexAttention, RealAttention
from audiocx.layers.convolution import (
    ComplexConv1d,
    ComplexConv2d,
    ComplexConvTranspose1d,
    ComplexConvTranspose2d,
)
from audiocx.layers.linear_recurrence import LinearRecurrence, RealLinearRecurrence
from audiocx.layers.norm import WhiteningBatchNorm
from audiocx.layers.unitary import FactoredUnitary, FullOrthogonal, FullUnitary
from audiocx.layers.unitary_recurrence import OrthogonalRecurrence, UnitaryRecurrence

N_STEPS = 1000
N_CUTS = 4

LEAK = 4 * 1024
"""Growth of the process's peak, in KiB, that is none."""

Property = Callable[[Entry, nn.Module], None]


def properties_of(entry: Entry) -> dict[str, Property]:
    """What this layer promises besides what all do, by name."""
    layer = entry.make()
    found: dict[str, Property] = {}
    if isinstance(layer, ComplexConvTranspose1d | ComplexConvTranspose2d):
        found["adjoint"] = check_adjoint
    if isinstance(layer, FullUnitary | FullOrthogonal | FactoredUnitary):
        found["unitary"] = check_matrix
    if isinstance(layer, UnitaryRecurrence | OrthogonalRecurrence):
        found["unitary"] = check_norms
    if isinstance(layer, LinearRecurrence | RealLinearRecurrence):
        found["|λ| < 1"] = check_decay
    if entry.has_state:
        found["pieces"] = check_pieces
    if isinstance(layer, ComplexAttention | RealAttention) and layer.causal:
        found["causal"] = check_causal
    return found


def check_properties(entry: Entry) -> None:
    """Prove all that `properties_of` finds."""
    for check in properties_of(entry).values():
        check(entry, entry.on_planes(entry.layer(torch.float64)))


def check_adjoint(entry: Entry, layer: nn.Module) -> None:
    """Σ A x conj(y) = Σ x conj(Aᴴ y), where Aᴴ is the layer and A the convolution with its conjugate weights."""
    assert isinstance(layer, ComplexConvTranspose1d | ComplexConvTranspose2d)
    there = {1: ComplexConv1d, 2: ComplexConv2d}[layer.n_axes](
        layer.out_features,
        layer.in_features,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=False,
    ).to(torch.float64)
    with torch.no_grad():
        if layer.bias is not None:
            layer.bias.zero_()
        there.weight_real.copy_(layer.weight_real)
        y = entry.numbers_in()
        back = layer(y)
        x = torch.randn(back.shape, dtype=back.dtype, generator=torch.Generator().manual_seed(1))
        products = []
        for sign in (-1.0, 1.0):
            there.weight_imag.copy_(sign * layer.weight_imag)
            products.append((there(x) * y.conj()).sum())
        wanted = (x * back.conj()).sum()
    require_equal(products[0], wanted, 1e-10, "adjoint")
    require(float((products[1] - wanted).abs()) > 1e-6, "the weights need not be conjugated")


def check_matrix(entry: Entry, layer: nn.Module) -> None:
    """A thousand steps of an optimizer change the matrix, and it stays unitary."""
    matrix = entry.layer()
    optimizer = torch.optim.Adam(matrix.parameters(), lr=0.1)
    before = matrix().detach()
    target = torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        (matrix() - target).square().sum().backward()
        optimizer.step()
    after = matrix().detach()
    require(float((after - before).abs().max()) > 0.1, "training does not move the matrix")
    require_equal(after @ after.mT, torch.eye(len(after)), 5e-6, f"W Wᴴ after {N_STEPS} steps")


def check_norms(entry: Entry, layer: nn.Module) -> None:
    """Over a thousand frames without input and shrinkage the state and its gradient keep their norm."""
    with torch.no_grad():
        layer.get_parameter("shrinkage").fill_(-100.0)
    _, state = entry.arguments(layer, torch.float64)
    state = state.clone().requires_grad_()
    planes = torch.zeros(*entry.planes().shape[:-1], N_STEPS, dtype=torch.float64)
    _, last = layer(planes, state)
    require_equal(last.norm(dim=-1), state.norm(dim=-1), 1e-4, f"norm of the state after {N_STEPS} frames")
    direction = torch.randn(last.shape, dtype=last.dtype, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(last, state, direction)
    require_equal(
        gradient.norm(dim=-1), direction.norm(dim=-1), 1e-4, f"norm of the gradient after {N_STEPS} frames"
    )


def check_decay(entry: Entry, layer: nn.Module) -> None:
    """|λ| is below 1 after training that pushes it up, and at any parameter."""
    del layer
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        trained = entry.layer()
        assert isinstance(trained, LinearRecurrence | RealLinearRecurrence)
        # All else stays: gains that grow without bound would overflow first.
        steps = optimizer([p for name, p in trained.named_parameters() if "decay" in name], lr=10.0)
        for _ in range(N_STEPS // 10):
            steps.zero_grad()
            outputs, _ = trained(entry.planes(torch.float32))
            (-outputs.square().mean()).backward()
            steps.step()
        _require_inside(trained, "after training")
    for value in (-1e4, -88.0, -20.0, 20.0, 1e4):
        extreme = entry.layer()
        assert isinstance(extreme, LinearRecurrence | RealLinearRecurrence)
        nn.init.constant_(extreme.log_decay, value)
        _require_inside(extreme, f"at ν = {value:g}")


def _require_inside(layer: LinearRecurrence | RealLinearRecurrence, when: str) -> None:
    modulus = layer.factor().detach().norm(dim=-1)
    require_finite(modulus, f"|λ| {when}")
    largest = float(torch.maximum(modulus, layer.modulus().detach()).max())
    require(largest < 1.0, f"|λ| is {largest} {when}")


def check_pieces(entry: Entry, layer: nn.Module) -> None:
    """Random pieces, the state handed on between them, equal the whole, with the state that it leaves."""
    draw = random.Random(3)
    with torch.no_grad():
        planes, start = entry.arguments(layer, torch.float64)
        for state in (None, start):
            whole, last = layer(planes) if state is None else layer(planes, state)
            for _ in range(N_CUTS):
                outputs, now = _in_pieces(layer, planes, state, draw)
                require_equal(outputs, whole, 1e-10, "pieces")
                require_equal(now, last, 1e-10, "state after the last piece")
    check_causal(entry, layer)


def _in_pieces(
    layer: nn.Module, planes: Tensor, state: Tensor | None, draw: random.Random
) -> tuple[Tensor, Tensor]:
    n_frames = planes.shape[-1]
    cuts = sorted(draw.sample(range(1, n_frames), min(3, n_frames - 1)))
    outputs = []
    for start, end in zip([0, *cuts], [*cuts, n_frames], strict=True):
        piece = planes[..., start:end]
        output, state = layer(piece) if state is None else layer(piece, state)
        outputs.append(output)
    assert state is not None
    return torch.cat(outputs, -1), state


def check_causal(entry: Entry, layer: nn.Module) -> None:
    """What comes later does not change what went before, and changes what follows."""
    planes = entry.planes()
    middle = planes.shape[-1] // 2
    changed = planes.clone()
    changed[..., middle:] += 1.0
    with torch.no_grad():
        before, after = first(layer(planes)), first(layer(changed))
    require_equal(after[..., :middle], before[..., :middle], 1e-12, "frames before a change")
    require(
        float((after - before)[..., middle:].abs().max()) > 1e-6, "a change of the input changes no output"
    )


def awkward(entry: Entry) -> list[Tensor]:
    """Inputs whose covariance has no inverse, or hardly one."""
    planes = entry.planes(torch.float32)
    real, _ = planes.chunk(2, 1)
    none = torch.zeros_like(real)
    return [
        torch.cat((real, none), 1),
        torch.cat((real, 3.0 * real), 1),
        torch.cat((1e3 * real, 1e3 * real), 1),
        *(torch.full_like(planes, value) for value in (5.0, 0.0, 1e-23, 1e-40)),
    ]


def _peak_kilobytes() -> int:
    """Largest memory of the process so far; 0 where that is not known."""
    if find_spec("resource") is None:  # Windows
        return 0
    resource = importlib.import_module("resource")
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def check_training(entry: Entry) -> None:
    """A thousand steps at rank-deficient input: everything stays finite, and memory stays as it is."""
    layer = entry.layer()
    assert isinstance(layer, WhiteningBatchNorm)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
    kinds, n_tensors, peak = awkward(entry), 0, 0
    for step in range(N_STEPS):
        leaf = kinds[step % len(kinds)].clone().requires_grad_()
        optimizer.zero_grad()
        outputs = layer(leaf)
        (outputs - 1.0).square().mean().backward()
        optimizer.step()
        require_finite(outputs, f"output of step {step}")
        require_finite(leaf.grad, f"gradient of the input at step {step}")
        if step in (N_STEPS // 5, N_STEPS - 1):
            gc.collect()
            before, n_tensors = n_tensors, sum(isinstance(thing, Tensor) for thing in gc.get_objects())
            earlier, peak = peak, _peak_kilobytes()
    require(
        n_tensors <= before, f"tensors in memory: {before} after {N_STEPS // 5} steps, {n_tensors} at the end"
    )
    require(peak < earlier + LEAK, f"memory grew by {(peak - earlier) / 1024:.0f} MiB")
    for name, value in layer.state_dict().items():
        require_finite(value, f"{name} after {N_STEPS} steps")
