"""Losses of the signal-to-distortion family, in dB."""

from __future__ import annotations

import torch
from torch import Tensor

from audiocx.errors import ConfigError, describe
from audiocx.losses.base import SMALLEST_ENERGY, Loss, check_pair, energy, reference_energy

SMALLEST_SHARE = 1e-8
"""Share of the mixture's energy, 80 dB down, that keeps the direction of a silent waveform defined."""


class NegativeSNR(Loss):
    """-10 lg(‖s‖² / (‖e‖² + τ ‖s‖²)), e = ŝ - s: keeps the level, saturates where τ = 10^(-max/10) says.

    For a silent target the mixture x takes the place of s in both energies: 10 lg((‖ŝ‖² + τ ‖x‖²) / ‖x‖²).
    Thresholded SNR of Wisdom et al. 2020 ("MixIT"), eq. 2, and the zero-reference loss of Wisdom et al. 2021.

    Args:
        max_snr_db: SNR at which the loss saturates.
    """

    def __init__(self, max_snr_db: float = 30.0) -> None:
        super().__init__()
        self.max_snr_db = max_snr_db

    def forward(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> Tensor:
        """Return the loss in dB."""
        check_pair(estimate, target)
        reference, _ = reference_energy(target, mixture)
        threshold = 10 ** (-self.max_snr_db / 10)
        return (10 * torch.log10(energy(estimate - target) / reference + threshold)).mean()


class NegativeSISDR(Loss):
    """Negative scale-invariant SDR (Le Roux et al. 2019) without mean removal, saturating at both ends.

    With α = ⟨ŝ, s⟩ / ‖s‖²: 10 lg((‖ŝ - αs‖² + τ ‖αs‖²) / (‖αs‖² + δ ‖ŝ‖²)), δ = 1e-6, so at most 60 dB. The
    estimate's level is free. A silent target takes the loss of `NegativeSNR`.

    Args:
        max_si_sdr_db: SI-SDR at which the loss saturates.
    """

    def __init__(self, max_si_sdr_db: float = 30.0) -> None:
        super().__init__()
        self.max_si_sdr_db = max_si_sdr_db

    def forward(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> Tensor:
        """Return the loss in dB."""
        check_pair(estimate, target)
        reference, silent = reference_energy(target, mixture)
        threshold = 10 ** (-self.max_si_sdr_db / 10)
        scale = (estimate.to(reference.dtype) * target).sum((-2, -1)) / reference  # α, (batch, source)
        scaled = scale[..., None, None] * target
        of_estimate = energy(estimate)
        of_scaled = energy(scaled)
        # Relative to the estimate, so that the loss does not depend on its level; a silent estimate is the worst.
        unit = of_estimate + SMALLEST_ENERGY
        distortion = (energy(estimate - scaled) + threshold * of_scaled + SMALLEST_ENERGY) / unit
        ratio = distortion / (of_scaled / unit + 1e-6)
        residual = of_estimate / reference + threshold
        return (10 * torch.log10(torch.where(silent, residual, ratio))).mean()


class WeightedSDR(Loss):
    """-a cos(s, ŝ) - (1 - a) cos(z, ẑ), with the noise z = x - s, ẑ = x - ŝ and a = ‖s‖² / (‖s‖² + ‖z‖²).

    Choi et al. 2019 ("Phase-aware speech enhancement with deep complex U-Net"), eq. 7. Between -1 (ŝ = s) and
    1. Both cosines are free of levels, but the noise's holds the estimate's level wherever there is noise. In
    each norm 1e-8 of the mixture's energy is added, so that silence has a gradient. For a silent target, where
    the cosines know no level, it is 2 ‖ŝ‖² / (‖ŝ‖² + ‖x‖²) - 1, of the same range.
    """

    def forward(self, estimate: Tensor, target: Tensor, *, mixture: Tensor | None = None) -> Tensor:
        """Return the loss.

        Raises:
            ShapeError: the shapes differ.
            ConfigError: there is no mixture.
        """
        check_pair(estimate, target)
        if mixture is None:
            raise ConfigError(
                describe("loss: weighted SDR is a loss of speech and noise", expected="a mixture", got="none")
            )
        _, silent = reference_energy(target, mixture)
        given = mixture.unsqueeze(1)
        floor = SMALLEST_SHARE * energy(given) + SMALLEST_ENERGY
        of_target, of_noise = energy(target), energy(given - target)
        share = of_target / (of_target + of_noise).clamp_min(SMALLEST_ENERGY)
        speech = _cosine(estimate, target, floor)
        noise = _cosine(given - estimate, given - target, floor)
        of_estimate = energy(estimate)
        residual = 2 * of_estimate / (of_estimate + energy(given) + SMALLEST_ENERGY) - 1
        return torch.where(silent, residual, -share * speech - (1 - share) * noise).mean()


def _cosine(first: Tensor, second: Tensor, floor: Tensor) -> Tensor:
    """Cosine (batch, source) of the angle between waveforms, towards zero where one is below the floor."""
    product = (first.to(floor.dtype) * second).sum((-2, -1))
    # Two roots: the product of two small energies would underflow.
    return product / (energy(first) + floor).sqrt() / (energy(second) + floor).sqrt()
