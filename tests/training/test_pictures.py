"""Pictures: scales, axes, fading, and that pyplot knows nothing of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from audiocx.signal.stft import STFT
from audiocx.training.pictures import spectrogram_figure


def _tone(level: float, n: int = 16000) -> torch.Tensor:
    return level * torch.sin(2 * torch.pi * 1000 * torch.arange(n) / 16000)


def _meshes(figure):  # type: ignore[no-untyped-def]
    return [axes.collections[0] for axes in figure.axes[:4]]


def test_one_scale_below_the_clean_maximum() -> None:
    figure = spectrogram_figure(_tone(0.1), _tone(0.01), _tone(0.1), STFT(), "title")
    noisy, estimate, clean, _ = _meshes(figure)
    assert {mesh.get_clim() for mesh in (noisy, estimate, clean)} == {(-80.0, 0.0)}
    assert clean.get_array().max() == pytest.approx(0.0)
    assert estimate.get_array().max() == pytest.approx(-20.0, abs=1e-3)
    # The tone is drawn at 1 kHz: bin 32 of 512 at 16 kHz.
    assert clean.get_array()[:, 30].argmax() == 32
    assert figure.axes[0].get_ylim() == (0.0, 8.0)
    assert figure.axes[0].get_xlim() == (0.0, 1.0)
    assert figure.axes[0].get_ylabel() == "frequency (kHz)"
    assert figure.axes[2].get_xlabel() == "time (s)"
    assert figure._suptitle.get_text() == "title"


def test_phase_difference_and_fading() -> None:
    stft = STFT()
    clean = _tone(0.1)
    figure = spectrogram_figure(clean, -clean, clean, stft)
    phase = _meshes(figure)[3]
    opacity = np.asarray(phase.get_alpha()).reshape(phase.get_array().shape)
    assert abs(phase.get_array()[32, 30]) == pytest.approx(np.pi, abs=1e-3)
    assert opacity[32, 30] == 1.0
    assert opacity[200, 30] == 0.0
    assert set(phase.get_clim()) == {-np.pi, np.pi}
    low, high = phase.get_cmap()(0.0), phase.get_cmap()(1.0)
    assert low == pytest.approx(high, abs=1e-6)  # -π and π are one


@pytest.mark.parametrize("n_samples", [1, 100, 5000])
def test_silence_and_short_signals_are_drawn(n_samples: int, tmp_path) -> None:  # type: ignore[no-untyped-def]
    silence = torch.zeros(n_samples)
    figure = spectrogram_figure(_tone(0.1, n_samples), silence, silence, STFT())
    figure.savefig(tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_pyplot_does_not_hold_the_figure() -> None:
    figure = spectrogram_figure(_tone(0.1), _tone(0.1), _tone(0.1), STFT())
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
    assert type(figure.canvas).__name__ == "FigureCanvasAgg"
