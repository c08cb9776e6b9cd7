"""Convolutions that see no later frame, with the frames that they still need as their state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CausalConvolution(nn.Module):
    """A convolution of any arithmetic over (frequency, frame) that sees the frame at hand and those before it.

    Args:
        convolution: with frame stride 1 and no padding of frames.
        n_past: frames before the one at hand that its kernel covers.

    Shapes:
        (batch, plane, frequency, frame) -> (batch, plane', frequency', frame); the state is the last `n_past`
        frames of the input.
    """

    def __init__(self, convolution: nn.Module, n_past: int) -> None:
        super().__init__()
        self.convolution, self.n_past = convolution, n_past

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Convolve; without a state the frames before the first one are zeros."""
        if state is None:
            padded = functional.pad(inputs, (self.n_past, 0))
        else:
            padded = torch.cat((state.to(inputs.dtype), inputs), -1)
        # A copy: a view would keep the whole piece in memory until the next one comes.
        return self.convolution(padded), padded[..., padded.shape[-1] - self.n_past :].clone()
