"""Separators whose right answer is known, with the interface of the trained ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from audiocx.models.conditions import Conditions
from audiocx.models.separator import Separator
from audiocx.signal.stft import STFT

CONF = Path(__file__).parents[2] / "conf"


class KnownSeparator(nn.Module):
    """Applies gains (source,), or a filter over frequencies, and remembers what it was told."""

    def __init__(
        self,
        gains: tuple[float, ...] = (1.0,),
        *,
        frequency_gain: Tensor | None = None,
        uses_utterance_level: bool = False,
        stft: STFT | None = None,
    ) -> None:
        super().__init__()
        self.stft = stft if stft is not None else STFT()
        self.gains = gains
        self.frequency_gain = frequency_gain
        self.uses_utterance_level = uses_utterance_level
        self.n_sources = len(gains)
        self.sample_rate = self.stft.sample_rate
        self.task = "enhance"
        self.causal = False
        self.levels: list[Tensor | None] = []
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, waveform: Tensor, conditions: Conditions | None = None) -> Tensor:
        self.levels.append(None if conditions is None else conditions.level)
        self.shapes.append(tuple(waveform.shape))
        estimate = waveform
        if self.frequency_gain is not None:
            spectrum = self.stft(waveform) * self.frequency_gain[:, None]
            estimate = self.stft.inverse(spectrum, waveform.shape[-1])
        return torch.stack([gain * estimate for gain in self.gains], dim=1)


@pytest.fixture
def known_separator() -> type[KnownSeparator]:
    return KnownSeparator


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Band-limited noise (sample, channel) that survives resampling to 16 kHz: nothing above 3 kHz."""

    def make(n_samples: int, n_channels: int = 1, sample_rate: int = 16_000, seed: int = 0) -> np.ndarray:
        generator = np.random.default_rng(seed)
        time = np.arange(n_samples)[:, None] / sample_rate
        waveform = np.zeros((n_samples, n_channels))
        for frequency in generator.uniform(100, 3000, 12):
            phases = generator.uniform(0, 2 * np.pi, n_channels)
            waveform += np.sin(2 * np.pi * frequency * time + phases)
        return (0.5 * waveform / max(1e-9, np.abs(waveform).max())).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def tiny_separator() -> Separator:
    """The default model, narrow and untrained, its weights stirred so that its mask is far from 1."""
    config = yaml.safe_load((CONF / "model" / "complex_unet.yaml").read_text())
    config["network"]["widths"] = [2, 2, 2, 2, 2]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        separator = Separator.from_config({"stft": {}, "model": config, "task": "enhance", "n_sources": 1})
        for parameter in separator.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return separator.eval()


@pytest.fixture(scope="session")
def causal_separator() -> Separator:
    """The causal dual-path model, narrow and untrained."""
    config = yaml.safe_load((CONF / "model" / "complex_dualpath.yaml").read_text())
    config["network"] |= {"widths": [2, 2], "band_hidden": 2, "frame_hidden": 3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Separator.from_config({"stft": {}, "model": config, "task": "enhance", "n_sources": 1}).eval()
