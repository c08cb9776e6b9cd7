"""What a model is measured against: nothing done, log-MMSE, and masks that know the target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import exp1
from torch import Tensor

from audiocx.data.batch import Example
from audiocx.evaluation.scoring import InformedSystem, System
from audiocx.signal.oracle import phase_sensitive_mask
from audiocx.signal.stft import STFT

NOISY = "noisy"
LOG_MMSE = "log-MMSE"
ORACLE = "oracle (phase-sensitive)"

START_SECONDS = 0.1
"""The noise is first taken from the beginning of the recording."""
SMOOTHING_SECONDS = 0.072
"""Time constant of the noise power: 0.8 a frame of 16 ms."""
PRIOR_SNR_SPEECH = 10.0 ** (15.0 / 10.0)
"""SNR that speech is assumed to have where it is present (Gerkmann, Hendriks 2012)."""
STUCK_PROBABILITY = 0.99
DECISION_DIRECTED = 0.98
SMALLEST_PRIOR_SNR = 10.0 ** (-25.0 / 10.0)
SMALLEST_POWER = 1e-20

Array = NDArray[np.float64]


def noisy(n_sources: int) -> System:
    """The system that does nothing: every source's estimate is the mixture."""

    def system(mixture: Tensor) -> Tensor:
        return mixture.unsqueeze(0).repeat(n_sources, 1, 1)

    return system


class NoiseTracker:
    """Noise power by the probability that speech is present, without bias compensation or minimum search.

    Gerkmann, Hendriks 2012, "Unbiased MMSE-based noise power estimation with low complexity and low tracking
    delay", with fixed priors.

    Args:
        power: first estimate of the noise power (*batch, frequency).
        smoothing: weight of the previous estimate, a frame.
    """

    def __init__(self, power: Array, smoothing: float) -> None:
        self.power = power
        self.smoothing = smoothing
        self.mean_probability = np.full_like(power, 0.5)

    def update(self, frame_power: Array) -> Array:
        """Take in the power of one frame (*batch, frequency), and return the noise power."""
        snr = frame_power / self.power
        exponent = np.minimum(snr * PRIOR_SNR_SPEECH / (1.0 + PRIOR_SNR_SPEECH), 200.0)
        probability = 1.0 / (1.0 + (1.0 + PRIOR_SNR_SPEECH) * np.exp(-exponent))
        self.mean_probability = 0.9 * self.mean_probability + 0.1 * probability
        # Where speech seems to have been there for long, the noise has risen: never be quite sure.
        stuck = self.mean_probability > STUCK_PROBABILITY
        probability = np.where(stuck, np.minimum(probability, STUCK_PROBABILITY), probability)
        noise_periodogram = probability * self.power + (1.0 - probability) * frame_power
        self.power = self.smoothing * self.power + (1.0 - self.smoothing) * noise_periodogram
        self.power = np.maximum(self.power, SMALLEST_POWER)
        return self.power


def log_mmse_gain(power: Array, *, smoothing: float, n_start: int) -> Array:
    """Gain of the log-spectral amplitude estimator.

    Ephraim, Malah 1985, eq. 20, with the decision-directed a priori SNR of Ephraim, Malah 1984, eq. 51.

    Args:
        power: squared modulus of the mixture's STFT (*batch, frequency, frame).
        smoothing: of the noise power, a frame.
        n_start: frames at the beginning that are averaged for the first noise power.

    Returns:
        Gain (*batch, frequency, frame).
    """
    start = np.maximum(power[..., : max(1, n_start)].mean(-1), SMALLEST_POWER)
    tracker = NoiseTracker(start, smoothing)
    gain = np.empty_like(power)
    previous = np.zeros_like(start)  # power of the clean amplitude of the frame before
    for frame in range(power.shape[-1]):
        noise = tracker.update(power[..., frame])
        posterior = np.clip(power[..., frame] / noise, 1e-6, 1e3)
        prior = DECISION_DIRECTED * previous / noise
        prior += (1.0 - DECISION_DIRECTED) * np.maximum(posterior - 1.0, 0.0)
        prior = np.maximum(prior, SMALLEST_PRIOR_SNR)
        wiener = prior / (1.0 + prior)
        gain[..., frame] = np.minimum(wiener * np.exp(0.5 * exp1(wiener * posterior)), 1.0)
        previous = np.square(gain[..., frame]) * power[..., frame]
    return gain


def log_mmse(stft: STFT) -> System:
    """Classical enhancement without training, for one source: log-MMSE gains with a tracked noise power.

    Args:
        stft: the transform that the gain works on.
    """
    smoothing = float(np.exp(-stft.hop_length / (SMOOTHING_SECONDS * stft.sample_rate)))
    n_start = round(START_SECONDS * stft.sample_rate / stft.hop_length)

    def system(mixture: Tensor) -> Tensor:
        mixture_stft = stft(mixture.cpu())
        power = mixture_stft.abs().double().square().numpy()
        # Levels do not count, but the smallest power does.
        peak = float(power.max())
        gain = log_mmse_gain(power / (peak if peak > 0 else 1.0), smoothing=smoothing, n_start=n_start)
        estimate = stft.inverse(mixture_stft * torch.from_numpy(gain).float(), mixture.shape[-1])
        return estimate.unsqueeze(0)

    return system


class OracleMask(InformedSystem):
    """A mask that is computed from the target: what a real mask in [0, 1] on this STFT can reach.

    Args:
        stft: the transform that is masked.
        mask: one of `audiocx.signal.oracle`: (target_stft, mixture_stft) to mask.
    """

    def __init__(self, stft: STFT, mask: Callable[[Tensor, Tensor], Tensor] = phase_sensitive_mask) -> None:
        self.stft = stft
        self.mask = mask

    def estimate(self, example: Example) -> Tensor:
        """Mask the mixture for every source of an example, (source, channel, sample)."""
        mixture_stft = self.stft(example.mixture)
        target_stft = self.stft(example.target)
        mask = self.mask(target_stft, mixture_stft.expand_as(target_stft))
        return self.stft.inverse(mask * mixture_stft, example.mixture.shape[-1])
