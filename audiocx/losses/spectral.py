"""Losses on spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from audiocx.errors import ConfigError, describe
from audiocx.losses.base import SMALLEST_ENERGY, Loss, check_pair, reference_energy
from audiocx.signal.masking import compress
from audiocx.signal.stft import STFT

PARALLEL_WAVEGAN = (
    {"n_fft": 1024, "hop_length": 120, "win_length": 600},
    {"n_fft": 2048, "hop_length": 240, "win_length": 1200},
    {"n_fft": 512, "hop_length": 50, "win_length": 240},
)
"""Resolutions of Yamamoto et al. 2020, table 1, in samples."""


def _unit(target: Tensor, mixture: Tensor | None) -> Tensor:
    """Root mean square of the mixture, or of all targets, (batch, 1, 1, 1); never zero."""
    reference = (target.sum(1) if mixture is None else mixture).float()
    level = reference.square().mean((-2, -1)).clamp_min(SMALLEST_ENERGY).sqrt()
    return level.view(-1, 1, 1, 1)


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()


class CompressedSpectral(Loss):
    """(1 - β) mean(|S|^c - |Ŝ|^c)² + β mean|S^c - Ŝ^c|², with S^c = |S|^c e^{j∠S}: magnitude and complex part.

    Braun and Tashev 2020 ("A consolidated view of loss functions"). Both spectra are divided by the mixture's
    root mean square, so the loss does not depend on the level of a recording, but keeps the estimate's. Defined
    for silent targets as it stands.

    Args:
        exponent: c.
        complex_weight: β.
        n_fft, hop_length: of the spectra, in samples; periodic Hann window.
    """

    def __init__(
        self,
        exponent: float = 0.3,
        complex_weight: float = 0.3,
        n_fft: int = 512,
        hop_length: int = 128,
    ) -> None:
        super().__init__()
        self.exponent = exponent
        self.complex_weight = complex_weight
        self.stft = STFT(n_fft=n_fft, hop_length=hop_length, window="hann")

    def forward(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> Tensor:
        """Return the loss."""
        check_pair(estimate, target)
        # The window's gain besides: the mixture's bins have mean power one.
        unit = _unit(target, mixture) * self.stft.window.square().sum().sqrt()
        of_estimate, of_target = self.stft(estimate / unit), self.stft(target / unit)
        power_estimate, power_target = _power(of_estimate), _power(of_target)
        gain_estimate = compress(power_estimate, self.exponent)
        gain_target = compress(power_target, self.exponent)
        difference = of_estimate * gain_estimate - of_target * gain_target
        complex_part = (difference.real.square() + difference.imag.square()).mean()
        # |z| with a floor of its own, so that its gradient is finite at zero.
        modulus_estimate = (power_estimate + 1e-12).sqrt() * gain_estimate
        modulus_target = (power_target + 1e-12).sqrt() * gain_target
        magnitude_part = (modulus_estimate - modulus_target).square().mean()
        return (1 - self.complex_weight) * magnitude_part + self.complex_weight * complex_part


class MultiResolutionSTFT(Loss):
    """Mean over resolutions of ‖|S| - |Ŝ|‖ / ‖|S|‖ (spectral convergence) and mean |ln|S| - ln|Ŝ||.

    Yamamoto, Song, Kim 2020 ("Parallel WaveGAN"), eq. 3-6. Phases do not count: add a waveform loss. Two things
    are ours, so that a recording's level does not matter and silence has a gradient: spectra are divided by the
    mixture's root mean square and the window's gain, and ε is added to every |S|², |Ŝ|². Where the target is
    silent, convergence is relative to the mixture's norm.

    Args:
        resolutions: `n_fft`, `hop_length`, `win_length` of each, in samples; periodic Hann windows.
        convergence_weight: of spectral convergence.
        log_weight: of the distance of logarithms.
        epsilon: ε, relative to the mean power of the mixture's bins; weaker bins hardly count.

    Raises:
        ConfigError: no resolution, or one with unknown words or lengths that do not fit.
    """

    def __init__(
        self,
        resolutions: Sequence[Mapping[str, int]] = PARALLEL_WAVEGAN,
        convergence_weight: float = 1.0,
        log_weight: float = 1.0,
        epsilon: float = 1e-6,
    ) -> None:
        super().__init__()
        lengths = {"n_fft", "hop_length", "win_length"}
        if not resolutions or any(set(resolution) != lengths for resolution in resolutions):
            raise ConfigError(
                describe(
                    "loss.resolutions", expected=f"mappings of {', '.join(sorted(lengths))}", got=resolutions
                )
            )
        self.stfts = nn.ModuleList(STFT(window="hann", **resolution) for resolution in resolutions)
        self.convergence_weight = convergence_weight
        self.log_weight = log_weight
        self.epsilon = epsilon

    def forward(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> Tensor:
        """Return the loss."""
        check_pair(estimate, target)
        unit = _unit(target, mixture)
        estimate, target = estimate / unit, target / unit
        reference, silent = reference_energy(target, None if mixture is None else mixture / unit.squeeze(1))
        values = [self._at(stft, estimate, target, reference, silent) for stft in self.stfts]
        return torch.stack(values).mean()

    def _at(
        self, stft: nn.Module, estimate: Tensor, target: Tensor, reference: Tensor, silent: Tensor
    ) -> Tensor:
        """Return the loss at one resolution.

        Args:
            stft: the resolution.
            estimate, target: levelled waveforms (batch, source, channel, sample).
            reference: energy of the target or, where that is silent, the mixture (batch, source).
            silent: the target is silent (batch, source).
        """
        assert isinstance(stft, STFT)
        gain = stft.window.square().sum()
        power_estimate = _power(stft(estimate)) / gain + self.epsilon
        power_target = _power(stft(target)) / gain + self.epsilon
        bins = (-3, -2, -1)  # channel, frequency, frame
        distance = (power_estimate.sqrt() - power_target.sqrt()).square().sum(bins)
        # By Parseval, half of the bins: the norm that a spectrum of the reference's energy has.
        of_mixture = reference * stft.n_fft / (2 * stft.hop_length)
        norm = torch.where(silent, of_mixture, power_target.sum(bins)).clamp_min(SMALLEST_ENERGY)
        convergence = ((distance + SMALLEST_ENERGY) / norm).sqrt()
        log_distance = 0.5 * (power_estimate.log() - power_target.log()).abs().mean(bins)
        return (self.convergence_weight * convergence + self.log_weight * log_distance).mean()
