"""Pictures of what a model did: magnitudes of noisy, estimate and clean, and where the phase is wrong."""

from __future__ import annotations

from typing import Any

import librosa.display
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from torch import Tensor

from audiocx.signal.stft import STFT

RANGE_DB = 80.0
"""Colours reach this far below the loudest bin of the clean recording."""
PHASE_RANGE_DB = 50.0
"""Phase differences fade where the clean recording is further below its loudest bin."""
FADE_DB = 10.0
"""Width of the fading."""
BACKGROUND = "#14101f"
# Fixed, because an automatic layout would draw everything twice.
PLACES = {"left": 0.05, "right": 0.915, "top": 0.89, "bottom": 0.08, "wspace": 0.08, "hspace": 0.16}

# Muted where phases agree, orange and pink a quarter turn off on either side, bright where they are opposed.
PHASE_COLOURS = LinearSegmentedColormap.from_list(
    "phase_difference", ["#fff3d6", "#e2528f", "#2f5d7c", "#f0902f", "#fff3d6"]
)

Array = NDArray[np.float64]


def _decibels(magnitude: Array, reference: float) -> Array:
    return np.asarray(20.0 * np.log10(np.maximum(magnitude / reference, 10 ** (-2 * RANGE_DB / 20))))


def _panel(
    axes: Axes, values: Array, stft: STFT, title: str, *, colours: Any, low: float, high: float
) -> QuadMesh:
    """Draw values (frequency, frame) with seconds and kHz on the axes."""
    # A frame is drawn around its middle; it begins `n_overlap` samples before its hop.
    middle = np.arange(values.shape[1]) * stft.hop_length - stft.n_overlap + stft.win_length / 2
    frequencies = np.arange(stft.n_frequencies) * stft.sample_rate / stft.n_fft
    mesh = librosa.display.specshow(
        values,
        x_coords=middle / stft.sample_rate,
        y_coords=frequencies / 1000.0,
        x_axis=None,
        y_axis=None,
        ax=axes,
        rasterized=True,
        cmap=colours,
        vmin=low,
        vmax=high,
    )
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_facecolor(BACKGROUND)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=8, length=3, color="#666666")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return mesh


def _opacity(clean: Array, reference: float) -> Array:
    """How much of the phase is shown in each bin: the clean recording's level decides."""
    if not clean.any():
        return np.zeros_like(clean)
    # The mean power of a bin and its neighbours, so that the fading does not follow single bins.
    neighbourhood = np.sqrt(np.maximum(uniform_filter(np.square(clean), 3), 0.0))
    return np.clip((_decibels(neighbourhood, reference) + PHASE_RANGE_DB) / FADE_DB + 0.5, 0.0, 1.0)


def _label_axes(grid: Any, n_samples: int, stft: STFT) -> None:
    for axes in grid.flat:
        axes.label_outer(remove_inner_ticks=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("frequency (kHz)", fontsize=9)
    for axes in grid[1, :]:
        axes.set_xlabel("time (s)", fontsize=9)
    grid[0, 0].set_xlim(0.0, max(n_samples, 2) / stft.sample_rate)
    grid[0, 0].set_ylim(0.0, stft.sample_rate / 2000.0)


def _add_colour_bars(figure: Figure, grid: Any, levels: QuadMesh, phases: QuadMesh) -> None:
    bars = [
        figure.add_axes((0.93, axes.get_position().y0, 0.011, axes.get_position().height))
        for axes in grid[:, 1]
    ]
    scale = figure.colorbar(levels, cax=bars[0])
    scale.set_label("dB re. the clean maximum", fontsize=8)
    circle = figure.colorbar(phases, cax=bars[1])
    circle.set_ticks([-np.pi, -np.pi / 2, 0.0, np.pi / 2, np.pi], labels=["−π", "−π/2", "0", "π/2", "π"])
    circle.set_label("phase difference (rad)", fontsize=8)
    if circle.solids is not None:
        circle.solids.set_alpha(1.0)
    for bar in (scale, circle):
        bar.ax.tick_params(labelsize=8, length=3)
        bar.outline.set_visible(False)


def spectrogram_figure(noisy: Tensor, estimate: Tensor, clean: Tensor, stft: STFT, title: str = "") -> Figure:
    """Draw one item: three magnitudes on one scale, and the phase of the estimate against the clean one.

    Args:
        noisy: waveform (sample,).
        estimate: waveform (sample,).
        clean: waveform (sample,); where it is silent, the scale refers to the noisy one.
        stft: the transform to show, on the CPU.
        title: stands above the panels.

    Returns:
        A figure of its own, unknown to pyplot; `figure.savefig(path)` writes it.
    """
    with torch.no_grad():
        spectra = [stft(waveform.detach().cpu().float()).numpy() for waveform in (noisy, estimate, clean)]
    magnitudes = [np.abs(spectrum).astype(np.float64) for spectrum in spectra]
    reference = float(magnitudes[2].max()) or float(magnitudes[0].max()) or 1.0
    levels = [_decibels(magnitude, reference) for magnitude in magnitudes]

    figure = Figure(figsize=(11.0, 6.4), dpi=110)
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 2, sharex=True, sharey=True, gridspec_kw=PLACES)
    mesh = None
    for axes, level, name in zip(grid.flat, levels, ("noisy", "estimate", "clean"), strict=False):
        mesh = _panel(axes, level, stft, name, colours="magma", low=-RANGE_DB, high=0.0)
    assert mesh is not None

    difference = np.angle(spectra[1] * np.conj(spectra[2])).astype(np.float64)
    phases = _panel(
        grid[1, 1],
        difference,
        stft,
        "phase of the estimate against clean",
        colours=PHASE_COLOURS,
        low=-np.pi,
        high=np.pi,
    )
    phases.set_alpha(_opacity(magnitudes[2], reference))  # type: ignore[arg-type]  # an array

    _label_axes(grid, noisy.shape[-1], stft)
    _add_colour_bars(figure, grid, mesh, phases)
    if title:
        figure.suptitle(title, fontsize=11, x=0.05, y=0.975, ha="left")
    return figure
