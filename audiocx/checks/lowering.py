"""Proofs of other ways to run a layer: bfloat16 under autocast, compiled, exported, in onnxruntime."""

from __future__ import annotations

import copy
import importlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.checks.comparing import ProofError, in_words, relative_error, require, require_equal
from audiocx.checks.entry import Entry, first
from audiocx.checks.numerics import SEED, call

ROUNDING = 2.0**-8
"""Of bfloat16, relative: half a unit in the last place."""

LONG = 1000
"""Frames over which errors of a state could add up."""

COEFFICIENTS = ("factor", "modulus", "matrix")
"""Methods of recurrences that give what the state is multiplied with."""


def check_bfloat16(entry: Entry) -> None:
    """Under autocast outputs are near those of float32; statistics, states and coefficients are float32."""
    layer = entry.on_planes(entry.layer())
    if not entry.shape:
        _require_same_under_autocast(layer, "matrix")
        return
    for dtype in (torch.float32, torch.bfloat16):
        _check_rounded(entry, layer, dtype)
    for name in COEFFICIENTS:
        if callable(getattr(layer, name, None)) and entry.family == "recurrence":
            _require_same_under_autocast(getattr(layer, name), name)
    if entry.has_state:
        _check_long_state(entry, layer)


def _check_rounded(entry: Entry, layer: nn.Module, dtype: torch.dtype) -> None:
    """Outputs, gradients and buffers of inputs of one type."""
    precise, rough = copy.deepcopy(layer), copy.deepcopy(layer)
    planes = entry.planes(torch.float32).to(dtype)
    inputs = [planes.float().requires_grad_(), planes.clone().requires_grad_()]
    wanted = call(precise, inputs[0])
    with torch.autocast("cpu", torch.bfloat16):
        found = call(rough, inputs[1])
    weight = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(SEED))
    exact, near = (
        torch.autograd.grad(outputs, leaf, weight.to(outputs.dtype))[0].float()
        for outputs, leaf in zip((wanted, found), inputs, strict=True)
    )
    for what, rounded, whole, limit in (
        ("output", found.float(), wanted, entry.bfloat16_tolerance),
        ("gradient", near, exact, 2.0 * entry.bfloat16_tolerance),
    ):
        error = relative_error(rounded, whole)
        require(error <= limit, f"{what} of {dtype} is off by {error:.2g}, at most {limit:.2g}")
    for (name, kept), (_, same) in zip(rough.named_buffers(), precise.named_buffers(), strict=True):
        require(kept.dtype == same.dtype, f"{name} is {kept.dtype} under autocast")
        if kept.is_floating_point():
            require_equal(kept, same, 1e-5, f"{name} under autocast")
    if entry.family == "norm" and dtype == torch.bfloat16:
        # Computed in float32 and rounded once: no sum in bfloat16 is as near.
        excess = float((found.float() - wanted).abs().sub(1.01 * ROUNDING * wanted.abs()).detach().max())
        require(excess < 1e-6, f"a norm is not computed in float32: off by {excess:.2g} beyond rounding")


def _require_same_under_autocast(make: Any, name: str) -> None:
    wanted = make()
    with torch.autocast("cpu", torch.bfloat16):
        found = make()
    require(found.dtype == torch.float32, f"{name} is {found.dtype} under autocast")
    require_equal(found, wanted, 0.0, f"{name} under autocast")


def _check_long_state(entry: Entry, layer: nn.Module) -> None:
    """The state is float32, and errors do not add up in it."""
    planes = entry.planes(torch.float32)
    n_repeats = LONG // planes.shape[-1] + 1
    planes = planes.repeat(*[1] * (planes.ndim - 1), n_repeats)
    with torch.no_grad():
        wanted, exact = layer(planes)
        with torch.autocast("cpu", torch.bfloat16):
            found, state = layer(planes)
    require(state.dtype in (torch.float32, torch.complex64), f"the state is {state.dtype} under autocast")
    for name, rough, precise in (("state", state, exact), ("end", found[..., -100:], wanted[..., -100:])):
        error = relative_error(rough.float(), precise)
        require(
            error <= entry.bfloat16_tolerance,
            f"{name} after {planes.shape[-1]} frames is off by {error:.2g}, "
            f"at most {entry.bfloat16_tolerance:.2g}",
        )


def check_compiled(entry: Entry, *, backend: str = "eager") -> None:
    """`torch.compile(fullgraph=True)` gives the same output, state and gradient.

    Args:
        entry: the layer.
        backend: `eager` (no graph break), or `inductor`.
    """
    tolerance = 1e-5 if backend == "eager" else 1e-4
    layer = entry.on_planes(entry.layer())
    results = []
    torch._dynamo.reset()
    # Nobody else's limit on layers of one type, and torch's recurrences, which it compiles only when told to.
    with (
        torch._dynamo.config.patch(allow_rnn=True),
        torch._inductor.config.patch(fallback_random=True),
    ):
        twin = copy.deepcopy(layer)
        compiled = torch.compile(twin, backend=backend, fullgraph=True)
        for module, form in ((layer, layer), (twin, compiled)):
            arguments = [argument.requires_grad_() for argument in entry.arguments(layer)]
            torch.manual_seed(SEED)
            try:
                outputs = form(*arguments)
            except Exception as error:
                raise ProofError(f"does not compile: {in_words(error)}") from error
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            leaves = [*arguments, *module.parameters()]
            if leaves:
                torch.manual_seed(SEED)
                # Not the power of the outputs: norms keep it, and its gradient would be rounding.
                weights = [torch.randn_like(output) for output in outputs]
                gradients = torch.autograd.grad(outputs, leaves, weights, materialize_grads=True)
                outputs = (*outputs, *gradients)
            results.append(outputs)
    torch._dynamo.reset()
    for wanted, found in zip(*results, strict=True):
        require_equal(found, wanted, tolerance, f"compiled by {backend}")


def check_exported(entry: Entry) -> None:
    """`torch.export` gives the same, in a graph without operators of audiocx; recurrences also as a step."""
    layer = entry.on_planes(entry.layer().eval())
    with torch.no_grad():
        for arguments, others in _calls(entry, layer):
            layer(*arguments)  # what layers keep of their weights must not become part of the program
            try:
                program = torch.export.export(layer, arguments, strict=False)
            except Exception as error:
                raise ProofError(f"is not exported: {in_words(error)}") from error
            own = {str(node.target) for node in program.graph.nodes if str(node.target).startswith("audiocx")}
            require(not own, f"the exported graph needs audiocx: {sorted(own)}")
            # Buffers that are not saved are constants by right.
            constants = set(program.constants) - {name for name, _ in layer.named_buffers()}
            require(not constants, f"the exported graph has constants: {sorted(constants)}")
            for given in (arguments, others):
                found, wanted = program.module()(*given), layer(*given)
                require_equal(first(found), first(wanted), 1e-5, "exported output")
                if entry.has_state:
                    require_equal(found[1], wanted[1], 1e-5, "exported state")


def _calls(entry: Entry, layer: nn.Module) -> list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
    """Arguments to export with and others to compare on: at a stated length, and for recurrences as a step."""
    arguments = entry.arguments(layer)
    others = tuple(argument.flip(0) * 0.7 for argument in arguments)
    calls = [(arguments, others)]
    if entry.has_state:
        calls.append(((arguments[0][..., :1], arguments[1]), (others[0][..., :1], others[1])))
    return calls


class _Many(nn.Module):
    """Layers side by side, so that one file holds all."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, arguments: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Outputs and states of all, one after the other."""
        outputs: list[Tensor] = []
        for layer, given in zip(self.layers, arguments, strict=True):
            found = layer(*given)
            outputs += found if isinstance(found, tuple) else (found,)
        return tuple(outputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings of packages that are not there."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def check_onnx(entries: Sequence[Entry]) -> dict[str, str | None]:
    """Layers give the same in onnxruntime, recurrences at a stated length and as a step.

    All go into one file, since making one takes seconds; if that fails, each goes into one of its own.

    Returns:
        Why a layer's proof does not hold, or None, by name.
    """
    try:
        _run_onnx(entries)
    except Exception as error:
        if len(entries) == 1:
            return {entries[0].name: str(error) if isinstance(error, ProofError) else in_words(error)}
        return {name: why for entry in entries for name, why in check_onnx([entry]).items()}
    return {entry.name: None for entry in entries}


def _run_onnx(entries: Sequence[Entry]) -> None:
    onnxruntime = importlib.import_module("onnxruntime")
    layers, arguments = [], []
    for entry in entries:
        layer = entry.on_planes(entry.layer().eval())
        for given, _ in _calls(entry, layer):
            layers.append(layer)
            arguments.append(given)
    many = _Many(layers).eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), _quiet():
        path = str(Path(folder) / "layers.onnx")
        try:
            torch.onnx.export(many, (arguments,), path, dynamo=True, verbose=False, optimize=False)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ProofError(f"does not go into ONNX: {' '.join(lines[-1:])[:200]}") from error
        flat = [tensor.numpy() for given in arguments for tensor in given]
        names = [argument.name for argument in session.get_inputs()]
        outputs = session.run(None, dict(zip(names, flat, strict=True)))
        for found, wanted in zip(outputs, many(arguments), strict=True):
            require_equal(torch.from_numpy(found), wanted, 1e-4, "output of onnxruntime")
