"""What the proofs have to know of a layer: how it is made, what it takes, and what it must equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from audiocx.layers.planar import is_phase_equivariant, to_complex

Reference: TypeAlias = "Callable[[Any, Tensor], Tensor]"
"""(layer in double precision, complex128 or float64 input) -> output, written anew in native numbers."""

SIZE = 0.3
"""Deviation of what is added to parameters, relative to their size: no proof rests on zeros and ones."""


@dataclass(frozen=True)
class Entry:
    """A layer, in one form that matters, as the proofs take it.

    Attributes:
        name: unique; the class, and after a comma what is special about this form.
        family: convolution, linear, norm, activation, gate, dropout, pool, recurrence, unitary matrix, attention,
            halves.
        make: makes a small layer in float32.
        shape: of an input, (batch, feature, ...), complex features counted once; () for a layer without input.
        numbers: `complex`, or `real` for real twins and for layers that know nothing of pairs.
        reference: what the layer must equal; None: `without` says why not under `reference`.
        reference_tolerance: relative to the largest output, in double precision.
        real_output: real numbers come out of complex ones.
        native, planar: takes native complex tensors, takes planar ones.
        has_state: called with (inputs, state), gives (outputs, state); frames are the last axis.
        training: the mode that the proofs run in.
        draws: random numbers are drawn in every call; proofs seed before.
        holomorphic: the derivative by the conjugate is 0 wherever there is a derivative; None: not known.
        bfloat16_tolerance: relative error of the output under autocast, in the root mean square.
        must_declare: has to say whether a global phase passes, or to be made of layers that do.
        without: by the key of a proof why it does not apply to this layer.
    """

    name: str
    family: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    numbers: str = "complex"
    reference: Reference | None = None
    reference_tolerance: float = 1e-10
    real_output: bool = False
    native: bool = True
    planar: bool = True
    has_state: bool = False
    training: bool = False
    draws: bool = False
    holomorphic: bool | None = False
    bfloat16_tolerance: float = 0.01
    must_declare: bool = True
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def layer_class(self) -> type[nn.Module]:
        """Class of the layer."""
        return type(self.make())

    @property
    def is_complex(self) -> bool:
        """Whether features are complex numbers."""
        return self.numbers == "complex"

    def layer(self, dtype: torch.dtype = torch.float32, seed: int = 3) -> nn.Module:
        """Make the layer with parameters off their start, and buffers off theirs where statistics are kept.

        Args:
            dtype: of parameters.
            seed: of all that is drawn.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layer = self.make()
            with torch.no_grad():
                for parameter in layer.parameters():
                    size = float(parameter.abs().square().mean().sqrt()) if parameter.numel() else 0.0
                    parameter.add_(SIZE * (size or 1.0) * torch.randn_like(parameter))
                # Only now, so that layers of all types have the same parameters.
                layer = _of_type(layer, dtype)
                if any(name.startswith("running") for name, _ in _buffers(layer)):
                    for offset in (1.0, -0.5):
                        self.on_planes(layer).train()(self.planes(dtype) * (1.0 + offset / 2) + offset)
        return layer.train(self.training)

    def numbers_in(
        self, dtype: torch.dtype = torch.float64, *, seed: int = 5, batch: int | None = None
    ) -> Tensor:
        """Draw an input as native numbers: circular normal complex ones with E|z|² = 1, or real ones.

        Args:
            dtype: of a part.
            seed: of the draw.
            batch: items, if not those of `shape`.
        """
        generator = torch.Generator().manual_seed(seed)
        shape = self.shape if batch is None else (batch, *self.shape[1:])
        kind = torch.complex128 if self.is_complex else torch.float64
        drawn = torch.randn(shape, generator=generator, dtype=kind)
        return drawn.to(dtype.to_complex() if self.is_complex else dtype)

    def planes(
        self, dtype: torch.dtype = torch.float64, *, seed: int = 5, batch: int | None = None
    ) -> Tensor:
        """Draw the same input as planes.

        Args:
            dtype: of the planes.
            seed: of the draw.
            batch: items, if not those of `shape`.
        """
        numbers = self.numbers_in(seed=seed, batch=batch)
        return (torch.cat((numbers.real, numbers.imag), 1) if self.is_complex else numbers).to(dtype)

    def on_planes(self, layer: nn.Module) -> nn.Module:
        """Give the layer as one that takes and gives planes, whichever it takes."""
        return layer if self.planar or isinstance(layer, OnPlanes) else OnPlanes(layer)

    def arguments(self, layer: nn.Module, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
        """Draw what the layer on planes is called with: nothing, planes, or planes and a state that it left."""
        if not self.shape:
            return ()
        planes = self.planes(dtype)
        if not self.has_state:
            return (planes,)
        with torch.no_grad():
            return planes, self.on_planes(layer)(self.planes(dtype, seed=6))[1]

    def declares(self, layer: nn.Module) -> bool | None:
        """Whether the layer, or those that it wraps, say that a global phase passes; None: it says nothing."""
        declared = getattr(layer, "phase_equivariant", None)
        if declared is None and self.must_declare:
            return is_phase_equivariant(layer)
        return None if declared is None else bool(declared)


class OnPlanes(nn.Module):
    """A layer of native complex tensors as one of planes.

    Args:
        layer: takes complex tensors (batch, feature, ...) alone.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, planes: Tensor, *state: Tensor) -> Any:
        """Turn into complex numbers and back."""
        outputs = self.layer(to_complex(planes), *state)
        if isinstance(outputs, tuple):
            return (as_planes(outputs[0]), *outputs[1:])
        return as_planes(outputs)


def as_planes(tensor: Tensor) -> Tensor:
    """Complex numbers as planes, real ones as they are."""
    return torch.cat((tensor.real, tensor.imag), 1) if tensor.is_complex() else tensor


def first(outputs: Any) -> Tensor:
    """Output of a layer that may give a state with it."""
    tensor: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
    return tensor


Row: TypeAlias = "tuple[str, Callable[[], nn.Module], Reference | None]"


def entries(family: str, shape: tuple[int, ...], rows: Sequence[Row], **options: Any) -> list[Entry]:
    """Entries of one family and shape, and with the same options."""
    return [
        Entry(name, family, make, shape, reference=reference, **options) for name, make, reference in rows
    ]


def _of_type(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Turn all numbers into a type; `to` would make complex parameters real."""

    def turn(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(dtype.to_complex())
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return layer._apply(turn)


def _buffers(layer: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name.rpartition(".")[2], value) for name, value in layer.named_buffers()]
