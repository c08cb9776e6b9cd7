"""How a complex STFT enters a network: levelled, compressed, and in the form that its arithmetic takes.

The network sees a levelled spectrum while the mask is applied to the unscaled mixture, so nothing has to be
scaled back and results do not depend on the level of a recording.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.models.conditions import Conditions
from audiocx.signal.levels import active_level, frame_power, running_level
from audiocx.signal.masking import compress

LEVELS = ("utterance", "running", "none")


class Features(nn.Module, ABC):
    """Base of features: the level first, then the form.

    Args:
        level: `utterance` (root mean power of the active frames), `running` (of the frames up to each one, for
            causal models) or `none`.
        compression: exponent of the modulus that the network sees; 1 leaves it as it is.
        level_jitter_db: in training the level is varied by up to so many dB either way.

    Raises:
        ConfigError: `level` is not known.
    """

    n_planes: ClassVar[int]
    """Real planes that enter the network for one channel."""
    phase_equivariant: ClassVar[bool] = False
    """A global phase of the mixture turns the planes, taken as pairs, and changes nothing else."""
    complex_word: ClassVar[str | None] = None
    """The features of the same model in complex arithmetic; each class says its own."""

    def __init__(
        self, level: str = "utterance", compression: float = 0.5, level_jitter_db: float = 6.0
    ) -> None:
        super().__init__()
        if level not in LEVELS:
            raise ConfigError(describe(f"model.level: no level `{level}`", do=nearest(level, LEVELS)))
        self.level = level
        self.compression = compression
        self.level_jitter_db = level_jitter_db

    def measure_level(
        self, mixture_stft: Tensor, conditions: Conditions, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Find the level that the spectrum is divided by.

        Args:
            mixture_stft: complex STFT (batch, channel, frequency, frame).
            conditions: a level handed in is taken as it is.
            state: of a running level, from the call before.

        Returns:
            (batch, channel, frame), or one frame for all, and the state of a running level.
        """
        if conditions.level is not None:
            handed = conditions.level
            return handed if handed.ndim == 3 else handed.unsqueeze(-1), state
        if self.level == "none":
            return mixture_stft.real.new_ones(*mixture_stft.shape[:2], 1), None
        power = frame_power(mixture_stft)
        if self.level == "running":
            return running_level(power, state)
        return active_level(power).unsqueeze(-1), None

    def forward(self, mixture_stft: Tensor, level: Tensor) -> Tensor:
        """Turn a spectrum into planes, channels folded into the batch.

        Args:
            mixture_stft: complex STFT (batch, channel, frequency, frame).
            level: (batch, channel, frame or 1), from `measure_level`.

        Returns:
            (batch * channel, plane, frequency, frame), float32.
        """
        if self.training and self.level_jitter_db > 0:
            jitter = torch.empty_like(level[..., :1]).uniform_(-self.level_jitter_db, self.level_jitter_db)
            level = level * 10.0 ** (jitter / 20.0)
        scale = 1.0 / level.unsqueeze(2)
        real, imaginary = mixture_stft.real * scale, mixture_stft.imag * scale
        gain = compress(real.square() + imaginary.square(), self.compression)
        return self.form(real.flatten(0, 1), imaginary.flatten(0, 1), gain.flatten(0, 1))

    @abstractmethod
    def form(self, real: Tensor, imaginary: Tensor, gain: Tensor) -> Tensor:
        """Return the planes of a levelled spectrum.

        Args:
            real, imaginary, gain: (batch * channel, frequency, frame); gain is the compression's.
        """


class ComplexFeatures(Features):
    """Real and imaginary part of the compressed spectrum, as one complex feature."""

    n_planes = 2
    phase_equivariant = True
    complex_word = "complex"

    def form(self, real: Tensor, imaginary: Tensor, gain: Tensor) -> Tensor:
        """Stack the parts."""
        return torch.stack((real * gain, imaginary * gain), 1)


class SplitFeatures(ComplexFeatures):
    """The same two planes, meant as two real features: the (2, frequency, frame) of the literature."""

    complex_word = "complex"


class ComplexAndModulus(ComplexFeatures):
    """The compressed spectrum, and its modulus as a second complex feature, whose imaginary part is zero.

    No complex-linear layer can find the modulus by itself, and small networks are the better for it.
    """

    n_planes = 4
    phase_equivariant = False  # the modulus does not turn
    complex_word = "complex_and_modulus"

    def form(self, real: Tensor, imaginary: Tensor, gain: Tensor) -> Tensor:
        """Stack the real parts of both features, then the imaginary parts."""
        modulus = _modulus(real, imaginary)
        return torch.stack((real, modulus, imaginary, torch.zeros_like(modulus)), 1) * gain.unsqueeze(1)


class SplitAndModulus(Features):
    """Real part, imaginary part and modulus as three real features."""

    n_planes = 3
    complex_word = "complex_and_modulus"

    def form(self, real: Tensor, imaginary: Tensor, gain: Tensor) -> Tensor:
        """Stack the three."""
        return torch.stack((real, imaginary, _modulus(real, imaginary)), 1) * gain.unsqueeze(1)


class MagnitudeFeatures(Features):
    """The modulus of the compressed spectrum, one plane."""

    n_planes = 1
    complex_word = "complex"

    def form(self, real: Tensor, imaginary: Tensor, gain: Tensor) -> Tensor:
        """Take the modulus."""
        return (_modulus(real, imaginary) * gain).unsqueeze(1)


def _modulus(real: Tensor, imaginary: Tensor) -> Tensor:
    """|z| with a finite gradient at zero."""
    return (real.square() + imaginary.square()).clamp_min(1e-12).sqrt()


FEATURES: dict[str, type[Features]] = {
    "complex": ComplexFeatures,
    "split": SplitFeatures,
    "complex_and_modulus": ComplexAndModulus,
    "split_and_modulus": SplitAndModulus,
    "magnitude": MagnitudeFeatures,
}
