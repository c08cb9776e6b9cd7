"""What layers derive from their weights and keep in inference: block kernels, unitary matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook


class _Steps:
    """Steps of all optimizers: fused ones change weights and leave their version counters as they are."""

    taken = 0

    @classmethod
    def count(cls, *arguments: object) -> None:
        """Count one; torch calls it after every step. A compiled one would be compiled anew for every number."""
        if not torch.compiler.is_compiling():
            cls.taken += 1


register_optimizer_step_post_hook(_Steps.count)


@dataclass(frozen=True)
class _Kept:
    """Derived tensors, and the weights that they were derived from.

    The weights are held, so that no other tensor can come to lie at their address while these are kept.
    """

    form: str
    sources: tuple[Tensor, ...]
    versions: tuple[int, ...]
    derived: tuple[Tensor, ...]
    steps: int

    def holds(self, form: str, weights: tuple[Tensor, ...]) -> bool:
        return (
            self.form == form
            and self.steps == _Steps.taken
            and self.versions == tuple(weight._version for weight in weights)
            and all(
                source.data_ptr() == weight.data_ptr() and source.dtype == weight.dtype
                for source, weight in zip(self.sources, weights, strict=True)
            )
        )


class KeepsDerived(nn.Module):
    """Base of layers that keep what they derive from their weights.

    In evaluation and without gradients it is derived once and kept until a weight changes (its version counter or
    its memory), an optimizer makes a step, `train` is called or the layer is copied. Writing through `weight.data`
    in evaluation is not seen; call `train` or `eval` after it.
    """

    _kept: _Kept | None = None

    def derived(
        self, form: str, weights: tuple[Tensor, ...], derive: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """Return what is derived, as it was kept or anew.

        Args:
            form: of what is derived; one is kept at a time.
            weights: all that it depends on, parameters of the layer.
            derive: makes it.
        """
        if self.training or torch.is_grad_enabled() or not _can_be_kept(weights):
            return derive()
        kept = self._kept
        if kept is None or not kept.holds(form, weights):
            versions = tuple(weight._version for weight in weights)
            sources = tuple(weight.detach() for weight in weights)
            self._kept = kept = _Kept(form, sources, versions, derive(), _Steps.taken)
        return kept.derived

    def train(self, mode: bool = True) -> KeepsDerived:
        """Set the mode; what was kept is dropped."""
        self._kept = None
        super().train(mode)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles do without what can be derived."""
        return {**self.__dict__, "_kept": None}


def _can_be_kept(weights: tuple[Tensor, ...]) -> bool:
    """Not while something is traced, and not of stand-ins for parameters, as `torch.func` puts in their place."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return all(
        type(weight) is nn.Parameter and weight.device.type != "meta" and not weight.is_inference()
        for weight in weights
    )
