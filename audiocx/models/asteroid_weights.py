"""Names and forms of asteroid's weights, and of ours in their place.

asteroid                               here
re_module A, im_module B               weight_real A, weight_imag B
their biases a, b of a convolution     bias: a - b, then a + b (each meets both parts)
their batch norms                      one of all planes, real parts first
their PReLU with a slope each          that slope for every feature
output_layer                           decoders.0, as ours count from the outside
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from audiocx.errors import CheckpointError, describe

RECURRENT = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
NORMED = ("weight", "bias", "running_mean", "running_var")


class AsteroidWeights:
    """A state dict of asteroid's, that says what is missing in it and what was left over.

    Args:
        state_dict: of the whole model.
        where: what it is, for the messages.
    """

    def __init__(self, state_dict: Mapping[Any, Any], where: str) -> None:
        self.where = where
        # What stands before `masker` belongs to the filterbank, which is computed.
        self.left = {
            str(name): value for name, value in state_dict.items() if str(name).startswith("masker.")
        }
        self.n_encoders = self.count("masker.encoders.{}.conv.re_module.weight")
        recurrences = f"masker.encoders.{self.n_encoders}.rnn.rnns.{{}}.re_module.rnn.weight_hh_l0"
        self.n_recurrences = self.count(recurrences)
        names = [f"masker.encoders.{level}.conv.re_module.weight" for level in range(self.n_encoders)]
        self.widths = [int(self._look(name).shape[0]) for name in names]
        self.hidden = int(self._look(recurrences.format(0)).shape[1]) if self.n_recurrences else 0

    def count(self, pattern: str) -> int:
        """How many names there are, counted from 0 on."""
        number = 0
        while pattern.format(number) in self.left:
            number += 1
        return number

    def _look(self, name: str) -> Tensor:
        value = self.left.get(name)
        if not isinstance(value, Tensor) or (value.ndim == 0 and "num_batches" not in name):
            raise CheckpointError(describe(f"{self.where}: its state_dict lacks the weight `{name}`"))
        return value

    def _parts(self, prefix: str, leaf: str) -> tuple[Tensor, Tensor]:
        """Take the weights of `re_module` and `im_module`."""
        names = [f"masker.{prefix}.{part}.{leaf}" for part in ("re_module", "im_module")]
        found = self._look(names[0]), self._look(names[1])
        for name in names:
            del self.left[name]
        return found

    def translated(self) -> dict[str, Tensor]:
        """Everything, under the names of our topology.

        Raises:
            CheckpointError: a weight is missing, or is one that has no place here.
        """
        found: dict[str, Tensor] = {}
        recurrent = self.n_recurrences > 0
        for level in range(self.n_encoders):
            # Of a DCCRN, a causal convolution is around the convolution.
            inside = "convolution.convolution" if recurrent else "convolution"
            found |= self._block(f"encoders.{level}", "conv", f"encoders.{level}", inside, recurrent)
        for level in range(1, self.n_encoders):
            # asteroid begins a DCCRN's decoders with one that does nothing.
            theirs = f"decoders.{self.n_encoders - level - (0 if recurrent else 1)}"
            found |= self._block(theirs, "deconv", f"decoders.{level}", "convolution", recurrent)
        found |= self._product("output_layer.0", "decoders.0.convolution", bias=True)
        if recurrent:
            found |= self._bottleneck(f"encoders.{self.n_encoders}")
        if self.left:
            name = min(self.left)
            raise CheckpointError(describe(f"{self.where}: there is no place here for its weight `{name}`"))
        return found

    def _block(self, theirs: str, kernel: str, ours: str, inside: str, prelu: bool) -> dict[str, Tensor]:
        """A convolution, its batch norms and, of a DCCRN, the slopes behind them."""
        found = self._product(f"{theirs}.{kernel}", f"{ours}.{inside}", bias=False)
        for leaf in NORMED:
            found[f"{ours}.norm.parts.{leaf}"] = torch.cat(self._parts(f"{theirs}.norm", leaf))
        n_batches, _ = self._parts(f"{theirs}.norm", "num_batches_tracked")
        found[f"{ours}.norm.parts.num_batches_tracked"] = n_batches
        if prelu:
            n_features = found[f"{ours}.norm.parts.weight"].numel() // 2
            slopes = self._parts(f"{theirs}.activation", "weight")
            for name, slope in zip(("slope_real", "slope_imag"), slopes, strict=True):
                found[f"{ours}.activation.{name}"] = slope.expand(n_features).clone()
        return found

    def _product(self, theirs: str, ours: str, *, bias: bool) -> dict[str, Tensor]:
        """A complex product of two real ones, where each adds its bias to both parts."""
        real, imaginary = self._parts(theirs, "weight")
        found = {f"{ours}.weight_real": real, f"{ours}.weight_imag": imaginary}
        if bias:
            first, second = self._parts(theirs, "bias")
            found[f"{ours}.bias"] = torch.cat((first - second, first + second))
        return found

    def _bottleneck(self, theirs: str) -> dict[str, Tensor]:
        """The recurrences and the linear map that follows them."""
        found: dict[str, Tensor] = {}
        for layer in range(self.n_recurrences):
            for leaf in RECURRENT:
                real, imaginary = self._parts(f"{theirs}.rnn.rnns.{layer}", f"rnn.{leaf}")
                found[f"recurrences.{layer}.real.{leaf}"] = real
                found[f"recurrences.{layer}.imaginary.{leaf}"] = imaginary
        return found | self._product(f"{theirs}.linear", "linear", bias=True)
