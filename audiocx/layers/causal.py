"""Convolutions that see no later frame, with the frames that they still need as their state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe


class CausalConvolution(nn.Module):
    """A convolution of any arithmetic, over frames as its last axis, that sees the frame at hand and those before.

    A transposed convolution goes in with its own padding of frames as large as its reach: of the frames that it
    makes beyond its input the later ones are then dropped, so that none moves forward.

    Formula:
        y_t = Σ_k W_k x_{t - d k},   k from 0 to taps - 1, d the dilation; before the first frame is the state, or 0

    Source:
        van den Oord et al. 2016 (WaveNet), §2.1; the state is the usual one of streaming convolutions.

    Args:
        convolution: over frames or (frequency, frame), with frame stride 1; without padding of frames, a transposed
            one with dilation * (taps - 1) of it.
        n_past: frames before the one at hand that its kernel covers, dilation * (taps - 1); None reads it from
            the convolution, which a module without `kernel_size` does not allow.

    Shapes:
        (batch, plane, ..., frame) -> (batch, plane', ..., frame); the state is the last `n_past` frames of the
        input.

    Raises:
        ConfigError: the convolution has another stride, padding or reach.
    """

    def __init__(self, convolution: nn.Module, n_past: int | None = None) -> None:
        super().__init__()
        reach = _reach(convolution)
        if reach is None and n_past is None:
            raise ConfigError(describe("causal convolution: it tells no kernel_size", do="give n_past"))
        if None not in (reach, n_past) and n_past != reach:
            expected = f"dilation * (taps - 1) = {reach}"
            raise ConfigError(describe("causal convolution: n_past", expected=expected, got=n_past))
        self.n_past = next(number for number in (n_past, reach) if number is not None)
        self.convolution = convolution

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, output_size: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Convolve; without a state the frames before the first one are zeros.

        Args:
            inputs: (batch, plane, ..., frame), planar or complex.
            state: what the piece before left.
            output_size: of a transposed convolution, the size of each axis.
        """
        if state is None:
            padded = functional.pad(inputs, (self.n_past, 0))
        else:
            padded = torch.cat((state.to(inputs.dtype), inputs), -1)
        # A copy: a view would keep the whole piece in memory until the next one comes.
        state = padded[..., padded.shape[-1] - self.n_past :].clone()
        if output_size is None:
            return self.convolution(padded), state
        return self.convolution(padded, output_size), state


def _reach(convolution: nn.Module) -> int | None:
    """Frames before the one at hand, if the convolution is as it must be and tells its kernel."""
    if not hasattr(convolution, "kernel_size"):
        return None
    sizes = ("kernel_size", "dilation", "stride", "padding")
    taps, dilation, stride, padding = (int(getattr(convolution, size)[-1]) for size in sizes)
    reach = dilation * (taps - 1)
    expected = reach if getattr(convolution, "transposed", False) else 0
    if stride != 1 or padding != expected:
        raise ConfigError(
            describe(
                "causal convolution: over frames",
                expected=f"stride 1 and padding {expected}",
                got=f"stride {stride} and padding {padding}",
            )
        )
    return reach
