"""What the proofs have to know of a layer: how it is made, what it takes, and what it must equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from audiocx.layers.planar import is_phase_equivariant

Reference: TypeAlias = "Callable[[Any, Tensor], Tensor]"
"""(layer in double precision, complex128 or float64 input) -> output, written anew in native numbers."""

SIZE = 0.3
"""Deviation of what is added to initial parameters, so that no proof rests on zeros and ones."""


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
        native: takes native complex tensors as well as planar ones.
        has_state: called with (inputs, state), gives (outputs, state); frames are the last axis.
        training: the mode that the proofs run in.
        draws: random numbers are drawn in every call; proofs seed before.
        bfloat16_tolerance: relative error of the output under autocast, in the root mean square.
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
    has_state: bool = False
    training: bool = False
    draws: bool = False
    bfloat16_tolerance: float = 0.02
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
            layer = self.make().to(dtype)
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.add_(SIZE * torch.randn_like(parameter))
                if any(name.startswith("running") for name, _ in _buffers(layer)):
                    for offset in (1.0, -0.5):
                        layer.train()(self.planes(dtype) * (1.0 + offset / 2) + offset)
        return layer.train(self.training)

    def numbers_in(self, dtype: torch.dtype = torch.float64, seed: int = 5) -> Tensor:
        """Draw an input as native numbers: circular normal complex ones with E|z|² = 1, or real ones.

        Args:
            dtype: of a part.
            seed: of the draw.
        """
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(
            self.shape, generator=generator, dtype=torch.complex128 if self.is_complex else torch.float64
        )
        wanted = {torch.float64: torch.complex128, torch.float32: torch.complex64}
        return drawn.to(wanted[dtype] if self.is_complex else dtype)

    def planes(self, dtype: torch.dtype = torch.float64, seed: int = 5) -> Tensor:
        """Draw the same input as planes.

        Args:
            dtype: of the planes.
            seed: of the draw.
        """
        numbers = self.numbers_in(torch.float64, seed)
        return (torch.cat((numbers.real, numbers.imag), 1) if self.is_complex else numbers).to(dtype)

    def declares(self, layer: nn.Module) -> bool:
        """Whether the layer, or those that it wraps, say that they let a global phase pass."""
        declared = getattr(layer, "phase_equivariant", None)
        return is_phase_equivariant(layer) if declared is None else bool(declared)


Row: TypeAlias = "tuple[str, Callable[[], nn.Module], Reference | None]"


def entries(family: str, shape: tuple[int, ...], rows: Sequence[Row], **options: Any) -> list[Entry]:
    """Entries of one family and shape, and with the same options."""
    return [
        Entry(name, family, make, shape, reference=reference, **options) for name, make, reference in rows
    ]


def _buffers(layer: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name.rpartition(".")[2], value) for name, value in layer.named_buffers()]
