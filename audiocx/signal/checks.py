"""Shape checks at public borders."""

from __future__ import annotations

from torch import Tensor

from audiocx.errors import ShapeError, describe


def check_shape(tensor: Tensor, axes: str, *, name: str, **sizes: int) -> None:
    """Check that a tensor has the named axes, and the stated sizes where they are known.

    Args:
        tensor: any tensor.
        axes: names of the axes in order, separated by blanks; a first name `*x` stands for any leading axes.
        name: what the caller calls the tensor; begins the message.
        sizes: the size that a named axis must have.

    Raises:
        ShapeError: the number of axes or a size differs.

    Example:
        >>> import torch
        >>> check_shape(torch.zeros(2, 1, 100), "batch channel sample", name="mixture", channel=1)
    """
    names = axes.split()
    shape = tuple(tensor.shape)
    leading = bool(names) and names[0].startswith("*")
    fixed = names[1:] if leading else names
    expected = f"({', '.join(names)})" + "".join(f", {axis}={size}" for axis, size in sizes.items())
    if len(shape) < len(fixed) or (not leading and len(shape) != len(fixed)):
        raise ShapeError(describe(f"`{name}` has {len(shape)} axes", expected=expected, got=shape))
    tail = shape[len(shape) - len(fixed) :]
    for axis, size in zip(fixed, tail, strict=True):
        if axis in sizes and sizes[axis] != size:
            raise ShapeError(describe(f"`{name}` has {axis}={size}", expected=expected, got=shape))


def check_complex(tensor: Tensor, *, name: str) -> None:
    """Check that a tensor is complex.

    Raises:
        ShapeError: it is real.
    """
    if not tensor.is_complex():
        raise ShapeError(
            describe(f"`{name}` is real", expected="a complex spectrum", got=tensor.dtype, do="pass an STFT")
        )
