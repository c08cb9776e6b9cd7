"""How a proof fails: one error, and the comparisons that raise it."""

from __future__ import annotations

import torch
from torch import Tensor

LONGEST = 200
"""Letters of other people's messages."""


class ProofError(Exception):
    """A proof does not hold; the message is one line."""


def in_words(error: Exception) -> str:
    """Kind and message of an error, in one line of bounded length: the end of what holds a traceback."""
    message = " ".join(str(error).split())
    cut = message[-LONGEST:] if "Traceback" in message else message[:LONGEST]
    return f"{type(error).__name__}: {cut}"


def require(holds: bool, message: str) -> None:
    """Fail unless a statement holds.

    Raises:
        ProofError: it does not.
    """
    if not holds:
        raise ProofError(message)


def require_finite(tensor: Tensor | None, what: str) -> None:
    """Fail where a tensor is missing or has numbers that are not finite.

    Raises:
        ProofError: it has.
    """
    require(tensor is not None, f"{what}: there is none")
    if tensor is not None and not bool(torch.isfinite(tensor).all()):
        raise ProofError(f"{what}: {int((~torch.isfinite(tensor)).sum())} of {tensor.numel()} not finite")


def distance(found: Tensor, wanted: Tensor) -> float:
    """Largest difference, relative to the largest number wanted (to 1 where that is 0)."""
    if not wanted.numel():
        return 0.0
    largest = float(wanted.detach().abs().max())
    difference = float((found.detach() - wanted.detach()).abs().max())
    return difference / largest if largest > 0.0 else difference


def relative_error(found: Tensor, wanted: Tensor) -> float:
    """Root mean square of the difference, relative to that of what is wanted."""
    size = float(torch.linalg.vector_norm(wanted.detach()))
    error = float(torch.linalg.vector_norm(found.detach() - wanted.detach()))
    return error / size if size > 0.0 else error


def require_equal(found: Tensor, wanted: Tensor, tolerance: float, what: str) -> None:
    """Fail unless shape and kind are the same and the largest difference is small.

    Args:
        found, wanted: what is compared.
        tolerance: relative to the largest number wanted.
        what: the words of the message.

    Raises:
        ProofError: they differ.
    """
    same_kind = found.shape == wanted.shape and found.is_complex() == wanted.is_complex()
    if not same_kind:
        raise ProofError(
            f"{what}: {tuple(found.shape)} {found.dtype}, wanted {tuple(wanted.shape)} {wanted.dtype}"
        )
    error = distance(found, wanted)
    # A comparison with nan is false.
    require(error <= tolerance, f"{what}: differs by {error:.2g} of the largest, at most {tolerance:.2g}")
