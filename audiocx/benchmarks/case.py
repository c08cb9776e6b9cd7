"""What is measured: contests, each between cases that do the same work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class Unavailable(Exception):
    """A case cannot run here: a library is missing, or has no such layer. The message is the word that is shown."""


Outputs = Tensor | tuple[Tensor, ...]
"""A tensor, or the real and the imaginary one where a library keeps them apart."""


@dataclass
class Work:
    """A module with its input, ready to run.

    Attributes:
        module: trained and put in evaluation mode by the measurement.
        forward: runs the module on its input.
        inputs: leaves whose gradients a training step computes besides those of the parameters.
    """

    module: nn.Module
    forward: Callable[[], Outputs]
    inputs: Sequence[Tensor] = ()

    def backward(self, outputs: Outputs) -> None:
        """Go back from the gradient of half the outputs' power, which is the outputs."""
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        torch.autograd.backward(several, [output.detach() for output in several])

    def clear(self) -> None:
        """Drop gradients."""
        self.module.zero_grad(set_to_none=True)
        for leaf in self.inputs:
            leaf.grad = None


@dataclass(frozen=True)
class Case:
    """One arm of a contest.

    Attributes:
        name: of what runs, `ours` for audiocx's own.
        make: builds it, from the random state of the moment.
        half: runs under autocast in bfloat16.
    """

    name: str
    make: Callable[[torch.device], Work]
    half: bool = False


@dataclass(frozen=True)
class Contest:
    """Cases that do the same work on the same shape.

    Attributes:
        shape: what the work is, in words.
        cases: the first one is what the others are compared to.
    """

    shape: str
    cases: tuple[Case, ...]
