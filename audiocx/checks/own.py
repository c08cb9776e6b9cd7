"""A user's own layer or model class as an entry of the proofs: what it takes is found by trying."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.checks.comparing import distance, in_words
from audiocx.checks.entry import Entry, Reference, as_planes
from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.gate import RealValuedLayer
from audiocx.layers.planar import PlanarLayer
from audiocx.models.words import import_path

FORMS = ("auto", "both", "native", "planar")
SHAPES = ((2, 4, 6, 5), (2, 4, 9), (2, 4), (2, 1, 6, 5), (2, 8, 6, 5))
TOLERANCE = 0.05
"""Of bfloat16, for a layer of which nothing is known."""

WORDS: dict[str, object] = {
    "features": 4,
    "channels": 4,
    "hidden": 4,
    "size": 4,
    "width": 4,
    "dim": 4,
    "kernel": 3,
    "heads": 2,
    "groups": 2,
    "layers": 2,
    "depth": 2,
    "probability": 0.4,
}
"""Values for arguments whose names have these words in them; the later word wins."""


@dataclass(frozen=True)
class Own:
    """What is said of a user's own layer.

    Attributes:
        path: `mypackage:MyLayer`.
        arguments: of its class; what is missing and has no default is guessed.
        shape: of a complex input, (batch, feature, ...); None: the first that it takes of some usual ones.
        form: `native`, `planar`, `both`, or `auto`, which tries.
        reference: `module:name` of a callable (layer in double precision, complex128 input) -> output.
        training: prove it in training mode.
    """

    path: str
    arguments: Mapping[str, object]
    shape: tuple[int, ...] | None = None
    form: str = "auto"
    reference: str | None = None
    training: bool = False


def own_entry(own: Own) -> tuple[Entry, str]:
    """Make the entry of a user's own layer.

    Returns:
        The entry, and a line that says what was made and how it is called.

    Raises:
        ConfigError: it cannot be imported, made or called.
    """
    layer_class = _named(own.path, "layer")
    if not (inspect.isclass(layer_class) and issubclass(layer_class, nn.Module)):
        raise ConfigError(describe(f"`{own.path}` is no class of torch modules", expected="a nn.Module"))
    arguments = fill_in(layer_class, own.arguments)
    make = functools.partial(layer_class, **arguments)
    try:
        layer = make().eval()
    except Exception as error:
        words = f"{own.path} cannot be made with {dict(arguments)}"
        raise ConfigError(describe(words, got=in_words(error), do="give --arguments '{...}'")) from error
    entry = Entry(
        name=own.path.rpartition(":")[2],
        family="own",
        make=make,
        shape=(),
        reference=_reference(own.reference),
        training=own.training,
        holomorphic=None,
        bfloat16_tolerance=TOLERANCE,
        must_declare=False,
    )
    entry = _called(entry, layer, own)
    settings = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    forms = " and ".join(word for word in ("native", "planar") if getattr(entry, word))
    state = ", with a state" if entry.has_state else ""
    return entry, f"{own.path}({settings}) on complex {entry.shape}, {forms}{state}"


def _named(path: str, what: str) -> Any:
    """Import `module:name`.

    Raises:
        ConfigError: it does not read like that, or cannot be imported.
    """
    module, _, name = path.partition(":")
    if not (module and name):
        raise ConfigError(describe(f"{what}: `{path}`", expected="mypackage:Name"))
    try:
        return import_path(f"{module}.{name}", where=what)
    except ConfigError:
        raise
    except Exception as error:  # whatever a module raises while it is imported
        raise ConfigError(describe(f"{what}: cannot import `{path}`", got=in_words(error))) from error


def _reference(path: str | None) -> Reference | None:
    if path is None:
        return None
    found = _named(path, "reference")
    if not callable(found):
        raise ConfigError(describe(f"reference: `{path}`", expected="a callable (layer, input) -> output"))
    reference: Reference = found
    return reference


def fill_in(layer_class: Callable[..., Any], given: Mapping[str, object]) -> dict[str, object]:
    """Add a guess for every argument that has no default and is not given.

    Raises:
        ConfigError: there is no argument of a given name, or nothing to guess from.
    """
    parameters = inspect.signature(layer_class).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name in given:
        if name not in named and not takes_any:
            raise ConfigError(describe(f"arguments: no `{name}`", do=nearest(name, named)))
    filled = dict(given)
    for name, parameter in named.items():
        if name in filled or parameter.default is not parameter.empty:
            continue
        guesses = [value for word, value in WORDS.items() if word in name]
        if not guesses and parameter.annotation in (int, "int"):
            guesses = [4]
        if not guesses:
            raise ConfigError(
                describe(f"arguments: no guess for `{name}`", do=f"""give --arguments '{{"{name}": ...}}'""")
            )
        filled[name] = guesses[-1]
    return filled


def _called(entry: Entry, layer: nn.Module, own: Own) -> Entry:
    """Find a shape and the forms in which the layer can be called."""
    failures = []
    for shape in [own.shape] if own.shape is not None else SHAPES:
        entry = replace(entry, shape=tuple(shape))
        numbers, planes = entry.numbers_in(torch.float32), entry.planes(torch.float32)
        with torch.no_grad():
            native, planar = _try(layer, numbers), _try(layer, planes)
        takes_native, takes_planar = _forms(layer, native, planar, own.form)
        entry = replace(entry, native=takes_native, planar=takes_planar)
        outputs = native if entry.native else planar
        if (entry.native or entry.planar) and isinstance(outputs, tuple):
            return replace(
                entry,
                real_output=_is_real(layer, outputs[0], entry.native),
                has_state=len(outputs) == 2 and _takes_state(layer, numbers if entry.native else planes),
            )
        failures += [result for result in (native, planar) if isinstance(result, str)]
    shapes = "give --shape, and --form where it takes one form alone"
    raise ConfigError(describe(f"{own.path} cannot be called", got=(failures or ["no tensor"])[0], do=shapes))


def _is_real(layer: nn.Module, outputs: Tensor, native: bool) -> bool:
    """Whether real numbers come out: what cannot be pairs of planes is real, too."""
    if isinstance(layer, RealValuedLayer):
        return True
    return not outputs.is_complex() if native else outputs.ndim < 2 or outputs.shape[1] % 2 == 1


def _try(layer: nn.Module, inputs: Tensor) -> tuple[Tensor, ...] | str:
    """Outputs, or what was raised in words."""
    try:
        torch.manual_seed(0)
        outputs = layer(inputs)
    except Exception as error:
        return in_words(error)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return outputs if isinstance(outputs[0], Tensor) else f"an output {type(outputs[0]).__name__}"


def _forms(
    layer: nn.Module, native: tuple[Tensor, ...] | str, planar: tuple[Tensor, ...] | str, form: str
) -> tuple[bool, bool]:
    """Whether the layer takes native numbers, and whether planes.

    A real tensor that a layer does not refuse need not be planes to it: of one that is no `PlanarLayer` both
    forms count only where they agree.
    """
    takes_native = isinstance(native, tuple) and form != "planar"
    takes_planar = isinstance(planar, tuple) and not planar[0].is_complex() and form != "native"
    if form == "auto" and takes_native and takes_planar and not isinstance(layer, PlanarLayer):
        assert isinstance(native, tuple)
        assert isinstance(planar, tuple)
        wanted = as_planes(native[0])
        takes_planar = wanted.shape == planar[0].shape and distance(planar[0], wanted) < 1e-5
    if form == "both":
        return takes_native and takes_planar, takes_native and takes_planar
    return takes_native, takes_planar


def _takes_state(layer: nn.Module, inputs: Tensor) -> bool:
    """Whether the second output can be handed back."""
    try:
        with torch.no_grad():
            outputs = layer(inputs, layer(inputs)[1])
    except Exception:  # it is something else, then
        return False
    return isinstance(outputs, tuple) and isinstance(outputs[1], Tensor)
