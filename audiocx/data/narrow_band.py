"""Which recordings have nothing above 4 kHz: a network that hears many of them learns to say nothing there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NARROW_EDGE_HZ = 4300.0
"""Above the pass band of 8 kHz sampling, with room for its filter."""
NARROW_SHARE_DB = -50.0
"""A source whose power above the edge is below this share of all its power counts as narrow-band. Of 400 wide
recordings of many kinds, the darkest had -41 dB; resampled telephone speech is below -60 dB."""


def lacks_highs(spectrum: NDArray[np.float64], rate: int) -> bool:
    """Tell from a summed power spectrum (frequency,) whether a sound has nothing above 4 kHz."""
    high = np.linspace(0, rate / 2, len(spectrum)) > NARROW_EDGE_HZ
    share = spectrum[high].sum() / max(spectrum.sum(), 1e-30)
    return rate / 2 > NARROW_EDGE_HZ * 1.2 and bool(share < 10 ** (NARROW_SHARE_DB / 10))


def summed_spectrum(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Summed power spectrum (frequency,) of windowed pieces of 1024 samples."""
    n_frames = max(1, len(waveform) // 1024)
    frames = np.resize(waveform, n_frames * 1024) if len(waveform) < 1024 else waveform[: n_frames * 1024]
    # The Blackman window's side lobes stay below what is looked for.
    windowed = frames.reshape(n_frames, 1024) * np.blackman(1024).astype(np.float32)
    return np.asarray(np.square(np.abs(np.fft.rfft(windowed, axis=-1))).sum(axis=0), dtype=np.float64)
