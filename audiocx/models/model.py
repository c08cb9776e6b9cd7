"""A model: features, a network and a head that know nothing of each other, put together.

model(mixture_stft, conditions)      -> mask            (batch, source, channel, frequency, frame), complex64
model.apply_mask(mixture_stft, mask) -> estimate_stft   (batch, source, channel, frequency, frame), complex64
model.step(mixture_stft, conditions) -> mask, state     causal models: the same code, piece by piece
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.models.arithmetic import arithmetic_of
from audiocx.models.conditions import Conditions, ModelState
from audiocx.models.features import FEATURES, Features
from audiocx.models.heads import HEADS, Head
from audiocx.models.words import import_module_class
from audiocx.signal.checks import check_complex, check_shape


class SpectralModel(nn.Module):
    """What a Separator asks of a model; any class with these methods will do."""

    causal: bool = False
    """No frame of the mask depends on a later one, so `step` may go through a stream."""

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        """Apply a mask to a mixture."""
        raise NotImplementedError

    def step(self, mixture_stft: Tensor, conditions: Conditions | None = None) -> tuple[Tensor, ModelState]:
        """Estimate the mask of the next piece of a stream, where the model is causal."""
        raise NotImplementedError


class MaskingModel(SpectralModel):
    """Complex STFT of a mixture to a mask for every source; single-channel networks see every channel alone.

    Args:
        network: called with (arithmetic, in_planes, out_planes, n_frequencies=...), gives the topology.
        arithmetic: word or import path, see `audiocx.models.arithmetic`.
        features: `complex`, `split`, `magnitude`, `complex_and_modulus`, `split_and_modulus`, or an import path.
        head: `complex_mask`, `complex_map`, `magnitude_mask`, `plain_mask`, `real_imag_mask`, or an import path.
        level: `utterance`, `running` or `none`, see `audiocx.models.features`.
        level_jitter_db: variation of the level in training.
        compression: exponent of the modulus that the network sees.
        mask_bound: largest modulus of the mask, None for a free one.
        n_sources: sources that the mixture holds.
        n_frequencies: bins of the STFT.

    Raises:
        ConfigError: a word is not known, or features or head do not fit the arithmetic.
    """

    def __init__(
        self,
        network: Callable[..., nn.Module],
        *,
        arithmetic: str = "complex",
        features: str = "complex",
        head: str = "complex_mask",
        level: str = "utterance",
        level_jitter_db: float = 6.0,
        compression: float = 0.5,
        mask_bound: float | None = 2.0,
        n_sources: int = 1,
        n_frequencies: int = 257,
    ) -> None:
        super().__init__()
        numbers = arithmetic_of(arithmetic)
        self.features: Features = _named(FEATURES, features, "features")(level, compression, level_jitter_db)
        self.head: Head = _named(HEADS, head, "head")(mask_bound)
        if numbers.paired:
            for word, part in ((features, self.features), (head, self.head)):
                if part.n_planes % 2 if isinstance(part, Features) else part.planes_per_source % 2:
                    raise ConfigError(
                        describe(
                            f"model: `{word}` has no imaginary part, which arithmetic `{arithmetic}` needs",
                            do="take arithmetic=real, or complex features and a complex head",
                        )
                    )
        self.n_sources = n_sources
        self.n_frequencies = n_frequencies
        self.network = network(
            numbers,
            self.features.n_planes,
            n_sources * self.head.planes_per_source,
            n_frequencies=n_frequencies,
        )

    @property
    def phase_equivariant(self) -> bool:
        """The estimate turns with a global phase of the mixture, by construction."""
        network = bool(getattr(self.network, "phase_equivariant", False))
        return self.features.phase_equivariant and self.head.phase_equivariant and network

    def forward(self, mixture_stft: Tensor, conditions: Conditions | None = None) -> Tensor:
        """Estimate a mask for every source.

        Args:
            mixture_stft: complex STFT (batch, channel, frequency, frame).
            conditions: what the call may know besides.

        Returns:
            Complex mask (batch, source, channel, frequency, frame).

        Raises:
            ShapeError: the spectrum is real or has other axes.
        """
        planes, level, _ = self._planes(mixture_stft, conditions or Conditions())
        return self._mask(self.network(planes), level)

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """The network says so, and the level knows no later frame."""
        return bool(getattr(self.network, "causal", False)) and self.features.level != "utterance"

    def step(self, mixture_stft: Tensor, conditions: Conditions | None = None) -> tuple[Tensor, ModelState]:
        """Estimate the mask of the next piece of a stream; pieces of any lengths give what the whole gives.

        Args:
            mixture_stft: complex STFT of the piece (batch, channel, frequency, frame).
            conditions: with the state that the call before returned; none starts a stream.

        Returns:
            Complex mask (batch, source, channel, frequency, frame) and the next state.

        Raises:
            ConfigError: the model is not causal.
            ShapeError: the spectrum is real or has other axes.
        """
        if not self.causal:
            raise ConfigError(
                describe(
                    "this model sees later frames and cannot go through a stream",
                    expected="a causal network and level=running or none",
                )
            )
        conditions = conditions or Conditions()
        planes, level, level_state = self._planes(mixture_stft, conditions)
        state = None if conditions.state is None else conditions.state.network
        advance: Any = self.network.step
        output, state = advance(planes, state)
        return self._mask(output, level), ModelState(level_state, state)

    def _planes(self, mixture_stft: Tensor, conditions: Conditions) -> tuple[Tensor, Tensor, Tensor | None]:
        """Check a spectrum; give planes (batch * channel, plane, frequency, frame), level, and its state."""
        check_complex(mixture_stft, name="mixture_stft")
        check_shape(
            mixture_stft, "batch channel frequency frame", name="mixture_stft", frequency=self.n_frequencies
        )
        state = None if conditions.state is None else conditions.state.level
        level, state = self.features.measure_level(mixture_stft, conditions, state)  # (batch, channel, frame)
        planes = self.features(mixture_stft, level).contiguous(memory_format=torch.channels_last)
        return planes, level, state

    def _mask(self, output: Tensor, level: Tensor) -> Tensor:
        """Turn what the network gives (batch * channel, plane, frequency, frame) into a mask with all axes."""
        output = output if output.dtype == torch.float64 else output.float()
        mask = self.head(output, level.flatten(0, 1))
        return mask.unflatten(0, level.shape[:2]).transpose(1, 2)

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        """Apply a mask to the unscaled mixture.

        Args:
            mixture_stft: complex STFT (batch, channel, frequency, frame).
            mask: what `forward` gave.

        Returns:
            Complex STFT of the estimates (batch, source, channel, frequency, frame).
        """
        return self.head.apply_mask(mixture_stft, mask)


def _named(table: dict[str, type], word: str, kind: str) -> Callable[..., Any]:
    if "." in word:
        return import_module_class(word, where=f"model.{kind}")
    if word not in table:
        raise ConfigError(describe(f"model.{kind}: no {kind} `{word}`", do=nearest(word, table)))
    return table[word]
