"""Losses on spectra."""

from __future__ import annotations

from torch import Tensor

from audiocx.losses.base import SMALLEST_ENERGY, Loss, check_pair
from audiocx.signal.masking import compress
from audiocx.signal.stft import STFT


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
        reference = (target.sum(1) if mixture is None else mixture).float()
        level = reference.square().mean((-2, -1)).clamp_min(SMALLEST_ENERGY).sqrt()
        # The window's gain besides: the mixture's bins have mean power one.
        unit = level.view(-1, 1, 1, 1) * self.stft.window.square().sum().sqrt()
        of_estimate, of_target = self.stft(estimate / unit), self.stft(target / unit)
        power_estimate = of_estimate.real.square() + of_estimate.imag.square()
        power_target = of_target.real.square() + of_target.imag.square()
        gain_estimate = compress(power_estimate, self.exponent)
        gain_target = compress(power_target, self.exponent)
        difference = of_estimate * gain_estimate - of_target * gain_target
        complex_part = (difference.real.square() + difference.imag.square()).mean()
        # |z| with a floor of its own, so that its gradient is finite at zero.
        modulus_estimate = (power_estimate + 1e-12).sqrt() * gain_estimate
        modulus_target = (power_target + 1e-12).sqrt() * gain_target
        magnitude_part = (modulus_estimate - modulus_target).square().mean()
        return (1 - self.complex_weight) * magnitude_part + self.complex_weight * complex_part
