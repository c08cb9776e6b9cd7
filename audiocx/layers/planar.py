"""Planar tensors, the form that complex numbers have inside networks, and the base of all complex layers.

A planar tensor is real, (batch, 2 * feature, ...): its feature axis holds the real parts of all features, then
their imaginary parts. Autocast, channels-last, every optimizer, compilation and export work on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.errors import ShapeError, describe


def to_planar(complex_tensor: Tensor) -> Tensor:
    """Turn a complex tensor (batch, feature, ...) into a planar one (batch, 2 * feature, ...)."""
    return torch.cat((complex_tensor.real, complex_tensor.imag), 1)


def to_complex(planar: Tensor) -> Tensor:
    """Turn a planar tensor (batch, 2 * feature, ...) into a complex one (batch, feature, ...), in float32 at least.

    Raises:
        ShapeError: the number of planes is odd.
    """
    real, imaginary = planes(planar)
    if real.dtype in (torch.float16, torch.bfloat16):
        real, imaginary = real.float(), imaginary.float()
    return torch.complex(real.contiguous(), imaginary.contiguous())


def planes(planar: Tensor) -> tuple[Tensor, Tensor]:
    """Return views of the real and the imaginary half, each (batch, feature, ...).

    Raises:
        ShapeError: the number of planes is odd.
    """
    n_planes = planar.shape[1]
    if n_planes % 2:
        raise ShapeError(
            describe(
                "a planar tensor has an odd number of planes",
                expected="(batch, 2 * feature, ...)",
                got=tuple(planar.shape),
            )
        )
    # chunk, not two slices: its gradient is one concatenation, that of slices is two zero-filled tensors and a sum.
    real, imaginary = planar.chunk(2, 1)
    return real, imaginary


def concatenate(tensors: Sequence[Tensor]) -> Tensor:
    """Join planar tensors along their features: real parts together, then imaginary parts."""
    halves = [planes(tensor) for tensor in tensors]
    return torch.cat([real for real, _ in halves] + [imaginary for _, imaginary in halves], 1)


class PlanarLayer(nn.Module):
    """Base of complex layers: takes planar or native complex tensors and gives back the form it took.

    Subclasses write `transform` for planar tensors only and state whether a rotation of the input by a global
    phase rotates the output by the same phase. A recurrent layer gives (outputs, state); the state stays planar.
    """

    phase_equivariant: bool = False
    transform: Callable[..., Any]

    def forward(self, inputs: Tensor, *arguments: Any) -> Any:
        """Apply the layer to a planar (batch, 2 * feature, ...) or complex (batch, feature, ...) tensor.

        Args:
            inputs: planar or complex tensor.
            arguments: what the layer's `transform` takes besides.
        """
        if inputs.is_complex():
            outputs = self.transform(to_planar(inputs), *arguments)
            if isinstance(outputs, tuple):
                return to_complex(outputs[0]), *outputs[1:]
            return to_complex(outputs)
        return self.transform(inputs, *arguments)


def is_phase_equivariant(module: nn.Module) -> bool:
    """Whether all layers of a module, joined as they may be, let a global phase pass through.

    A layer answers for itself and for its parts, as `PlanarLayer` has it; anything else by all its parts, and then
    must have no parameters of its own. What a module does by functions in its `forward` is not seen.
    """
    if isinstance(module, nn.Identity):
        return True
    parts = list(module.children())
    if isinstance(module, PlanarLayer) or not parts:
        return getattr(module, "phase_equivariant", False) is True
    if any(True for _ in module.parameters(recurse=False)):
        return False
    return all(is_phase_equivariant(part) for part in parts)
