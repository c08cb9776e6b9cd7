"""What topologies share: blocks around a convolution, the states of causal ones, and what they check alike.

A causal topology goes through a stream: `step(planes, state) -> planes, state`, piece by piece, with the very code
that goes over a whole recording. Its state is the row of its layers' states, in the order in which it calls them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.layers.causal import CausalConvolution
from audiocx.layers.planar import is_phase_equivariant
from audiocx.models.arithmetic import Arithmetic
from audiocx.models.words import CENTRING

State = tuple[Tensor, ...]


class States:
    """Gives each layer the state that it left at the piece before, and keeps the one that it leaves at this one.

    Args:
        before: states of the piece before; None starts a stream, or goes over a whole recording.

    Attributes:
        after: states of this piece, in the order of the calls.
    """

    def __init__(self, before: State | None = None) -> None:
        self._before = None if before is None else iter(before)
        self.after: list[Tensor] = []

    def through(self, layer: nn.Module, inputs: Tensor, *arguments: Any) -> Tensor:
        """Call a layer as (inputs, state, ...), which gives outputs and state; in a stream no state may be None."""
        outputs, state = layer(inputs, None if self._before is None else next(self._before), *arguments)
        if state is not None:
            self.after.append(state)
        return outputs


class Topology(nn.Module):
    """Base of networks, planar in, planar out; a subclass writes `run` and, where it may be causal, says so."""

    causal: bool = False
    """No frame of the output depends on a later one of the input."""

    @abstractmethod
    def run(self, planes: Tensor, states: States) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame)."""

    @property
    def phase_equivariant(self) -> bool:
        """A global phase on the input turns the output by the same phase."""
        return is_phase_equivariant(self)

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (batch, in_planes, frequency, frame) to (batch, out_planes, frequency, frame)."""
        return self.run(planes, States())

    def step(self, planes: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map the next piece of a stream; pieces with the state between them equal the whole.

        Args:
            planes: (batch, in_planes, frequency, frame).
            state: what the call before returned; None starts a stream.

        Raises:
            ConfigError: the network is not causal.
        """
        if not self.causal:
            raise ConfigError(
                describe(
                    f"{type(self).__name__}.step: this network sees later frames and cannot go through a stream",
                    do="build it with causal=true",
                )
            )
        states = States(state)
        outputs = self.run(planes, states)
        return outputs, tuple(states.after)


class Block(nn.Module):
    """A convolution, a norm and an activation; a transposed convolution is called with the size that it is to give.

    Shapes:
        (batch, plane, frequency, frame) -> (batch, plane', frequency', frame'); a causal convolution has a state.
    """

    def __init__(self, convolution: nn.Module, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.convolution, self.norm, self.activation = convolution, norm, activation

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, output_size: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Apply the three."""
        if isinstance(self.convolution, CausalConvolution):
            outputs, state = self.convolution(inputs, state, output_size)
        elif output_size is None:
            outputs = self.convolution(inputs)
        else:
            outputs = self.convolution(inputs, output_size)
        return self.activation(self.norm(outputs)), state


@dataclass(frozen=True)
class Blocks:
    """Makes the blocks of a topology, which differ in their sizes alone.

    Attributes:
        arithmetic: makes the layers.
        norm, activation: words of its table.
        bias: biases in the convolutions, but for those before norms that take them away.
    """

    arithmetic: Arithmetic
    norm: str
    activation: str
    bias: bool

    def make(
        self,
        in_planes: int,
        out_planes: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        *,
        transposed: bool = False,
        causal: bool = False,
        last: bool = False,
    ) -> Block:
        """Make a block.

        Args:
            in_planes, out_planes: real feature maps.
            kernel, stride: over (frequency, frame).
            transposed: the convolution is.
            causal: its kernel covers the frame at hand and those before, not as many on both sides.
            last: a bare convolution, without norm and activation.
        """
        taps, n_frames = kernel
        n_past = n_frames - 1
        padding = (taps // 2, n_frames // 2)
        if causal:
            padding = (taps // 2, n_past if transposed else 0)
        norm, activation = ("none", "none") if last else (self.norm, self.activation)
        numbers = self.arithmetic
        convolution = (numbers.transposed_convolution if transposed else numbers.convolution)(
            in_planes,
            out_planes,
            kernel,
            stride,
            padding,
            bias=self.bias and norm not in CENTRING,
            activation=activation,
        )
        if causal:
            convolution = CausalConvolution(convolution, n_past)
        return Block(convolution, numbers.norm(norm, out_planes), numbers.activation(activation, out_planes))


def check_encoders(widths: Sequence[float], kernel_sizes: Sequence[Any], strides: Sequence[Any]) -> None:
    """Check that there is a width, a kernel size and a stride for every encoder, and an encoder.

    Raises:
        ConfigError: the lists differ in length, or are empty.
    """
    if not len(widths) == len(kernel_sizes) == len(strides) > 0:
        raise ConfigError(
            describe(
                "model.network: widths, kernel_sizes and strides differ in length",
                got=f"{len(widths)}, {len(kernel_sizes)} and {len(strides)}",
                do="give one entry for every encoder",
            )
        )


def check_kernels(kernel_sizes: Sequence[Sequence[int]], *, causal: bool) -> None:
    """Check that kernels have a middle: over frequency, and over frames where they look both ways.

    Raises:
        ConfigError: a size is even.
    """
    for kernel in kernel_sizes:
        taps, n_frames = kernel
        if taps % 2 == 0 or (n_frames % 2 == 0 and not causal):
            raise ConfigError(
                describe(
                    f"model.network.kernel_sizes: a kernel is even{' over frequency' if causal else ''}",
                    expected="an odd first size" if causal else "odd sizes",
                    got=list(kernel),
                )
            )


def check_causal_strides(strides: Sequence[Sequence[int]]) -> None:
    """Check that no encoder skips frames: the ones between would have to wait for the next.

    Raises:
        ConfigError: one does.
    """
    for stride in strides:
        if stride[1] != 1:
            raise ConfigError(
                describe(
                    "model.network.strides: a causal network skips no frames",
                    expected=f"[{stride[0]}, 1]",
                    got=list(stride),
                    do="set every second number to 1, or causal=false",
                )
            )
