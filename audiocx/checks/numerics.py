"""Proofs of values and gradients: the independent reference, gradcheck, the edges of numbers, Wirtinger's facts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocx.checks.comparing import ProofError, distance, in_words, require, require_equal, require_finite
from audiocx.checks.entry import Entry, as_planes, first
from audiocx.layers.planar import to_complex

SEED = 7
STEP = 1e-6

OFFSET = 1.0 - 2.0j
"""Mean of a second input: what centring must take away."""

SINGLE = 1e-4
"""Of outputs in float32, relative to the largest."""

EDGES = (0.0, -0.0, 1e-23, 1e-40, 5.0, 1e4)
"""Zeros, a number whose square vanishes in float32, a denormal one, a constant, a loud one."""


def call(layer: nn.Module, *arguments: Tensor) -> Tensor:
    """Output of a layer; one that draws draws the same every time."""
    torch.manual_seed(SEED)
    return first(layer(*arguments))


def check_reference(entry: Entry) -> None:
    """In double precision the layer equals what is written anew in native numbers, in every form that it takes."""
    assert entry.reference is not None
    layer = entry.layer(torch.float64)
    with torch.no_grad():
        if not entry.shape:
            wanted = entry.reference(layer, torch.empty(0))
            require_equal(layer(), wanted, entry.reference_tolerance, "output")
            return
        numbers = entry.numbers_in()
        for inputs in (numbers, 0.5 * numbers + (OFFSET if entry.is_complex else OFFSET.real)):
            _require_reference(entry, layer, inputs)


def _require_reference(entry: Entry, layer: nn.Module, numbers: Tensor) -> None:
    assert entry.reference is not None
    wanted = first(entry.reference(layer, numbers))
    if entry.native or not entry.is_complex:
        require_equal(call(layer, numbers), wanted, entry.reference_tolerance, "output")
    if not entry.planar:
        return
    planes, wanted = as_planes(numbers), as_planes(wanted)
    require_equal(call(layer, planes), wanted, entry.reference_tolerance, "planar output")
    if planes.ndim == 4:
        planes = planes.contiguous(memory_format=torch.channels_last)
        require_equal(call(layer, planes), wanted, entry.reference_tolerance, "channels-last output")
    single = call(entry.layer(), planes.float())
    require_equal(single.double(), wanted, SINGLE, "output in float32")


def check_gradients(entry: Entry) -> None:
    """Gradients of input, state and parameters are those of finite differences, and finite at the edges."""
    layer = entry.layer(torch.float64)
    on_planes = entry.on_planes(layer)
    names = [name for name, _ in on_planes.named_parameters()]
    arguments = entry.arguments(layer, torch.float64)
    n_arguments = len(arguments)

    def run(*leaves: Tensor) -> Tensor | tuple[Tensor, ...]:
        torch.manual_seed(SEED)
        parameters = dict(zip(names, leaves[n_arguments:], strict=True))
        outputs: Tensor | tuple[Tensor, ...] = torch.func.functional_call(
            on_planes, parameters, leaves[:n_arguments]
        )
        return outputs

    leaves = [leaf.detach().clone().requires_grad_() for leaf in (*arguments, *on_planes.parameters())]
    try:
        torch.autograd.gradcheck(run, leaves, fast_mode=True, nondet_tol=1e-12)
    except RuntimeError as error:
        raise ProofError(f"gradcheck: {in_words(error)}") from error
    if entry.shape:
        check_edges(entry)
    if entry.is_complex and entry.native:
        check_wirtinger(entry)


def check_edges(entry: Entry) -> None:
    """Outputs and gradients are finite in float32 at zeros, denormals, constants and where sound ends."""
    layer = entry.layer()
    on_planes = entry.on_planes(layer)
    planes = entry.planes(torch.float32)
    ending = planes.clone()
    ending[..., planes.shape[-1] // 2 :] = 0.0
    cases = {f"at {value:g}": torch.full_like(planes, value) for value in EDGES}
    cases |= {f"at noise times {value:g}": planes * value for value in (1e-23, 1e-40)}
    for where, inputs in {**cases, "where sound ends in silence": ending}.items():
        leaf = inputs.requires_grad_()
        layer.zero_grad()
        outputs = call(on_planes, leaf)
        require_finite(outputs, f"output {where}")
        generator = torch.Generator().manual_seed(SEED)
        (outputs * torch.randn(outputs.shape, generator=generator)).sum().backward()
        require_finite(leaf.grad, f"gradient of the input {where}")
        for name, parameter in layer.named_parameters():
            if parameter.grad is not None or parameter.requires_grad:
                require_finite(parameter.grad, f"gradient of {name} {where}")


def check_wirtinger(entry: Entry) -> None:
    """Native gradients are 2 ∂L/∂z̄, and the derivative by the conjugate is 0 as declared.

    With f(z + h d) - f(z) = h (f_z d + f_z̄ d̄) and L real: dL = Re(conj(z.grad) d).
    """
    layer, z = entry.layer(torch.float64), entry.numbers_in()
    generator = torch.Generator().manual_seed(SEED)
    direction = torch.randn(z.shape, generator=generator, dtype=z.dtype)
    leaf = z.clone().requires_grad_()
    outputs = call(layer, leaf)
    weight = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    (outputs * weight).abs().square().sum().backward()
    assert leaf.grad is not None

    def slope(towards: Tensor) -> Tensor:
        with torch.no_grad():
            ahead, behind = call(layer, z + STEP * towards), call(layer, z - STEP * towards)
        return (ahead - behind) / (2.0 * STEP)

    along = slope(direction)
    wanted = (2.0 * weight.abs().square() * (outputs.detach().conj() * along)).sum().real
    found = (leaf.grad.conj() * direction).sum().real
    error = float((found - wanted).abs()) / max(float(wanted.abs()), 1e-3)
    require(error < 1e-5, f"z.grad is not 2 ∂L/∂z̄: off by {error:.2g}")
    if entry.holomorphic is None or not outputs.is_complex():
        return
    conjugate = 0.5 * (along + 1j * slope(1j * direction))  # f_z̄ times the conjugate of the direction
    size = distance(conjugate + along, along)
    require(
        (size < 1e-6) is entry.holomorphic,
        f"holomorphic is {entry.holomorphic}, and the derivative by the conjugate is {size:.2g} of the whole",
    )


def check_forms(entry: Entry) -> None:
    """Native complex in and out equals planes in and out, with the gradient, bit for bit."""
    layer, z = entry.layer(torch.float64), entry.numbers_in().requires_grad_()
    planes = entry.planes().requires_grad_()
    twin = entry.layer(torch.float64)
    native, flat = call(layer, z), call(twin, planes)
    joined = flat if entry.real_output else to_complex(flat)
    require_equal(native, joined, 0.0, "native output")
    native.abs().square().sum().backward()
    joined.abs().square().sum().backward()
    assert z.grad is not None
    assert planes.grad is not None
    require_equal(z.grad, to_complex(planes.grad), 1e-12, "gradient of the native input")
    if entry.has_state:
        require_equal(layer(z)[1], _state(entry, twin(planes)[1], layer(z)[1]), 0.0, "state")


def _state(entry: Entry, planar: Tensor, native: Tensor) -> Tensor:
    """Turn the state of a convolution, which is input, into the form of its input."""
    del entry
    return to_complex(planar) if native.is_complex() else planar
