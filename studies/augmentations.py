"""Draw what each augmentation does to one sentence: docs/images/augmentations.png.

python studies/augmentations.py [FILE]. Spectrograms of an espeak-ng voice (without the extra `demo`, a harmonic
one) before and after each entry of conf/data/augmentation: of 20 draws the one that changes it most, to be seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from audiocx.data.mixing import Waveform, set_level
from audiocx.data.randomness import Stream, generator
from audiocx.data.voices import choose_engine, plan_voices, render_voices
from audiocx.signal.stft import STFT

ROOT = Path(__file__).resolve().parents[1]
RATE = 16000
SECONDS = 2.0
RANGE_DB = 60.0
DRAWS = 20


def sentence() -> Waveform:
    """Two seconds of the first test voice (sample,), at -25 dBFS."""
    voices = plan_voices("test", 1)
    seconds = dict.fromkeys(("train", "valid", "test"), SECONDS + 0.5)
    _, waveform = next(iter(render_voices(voices, seconds, choose_engine("auto"), RATE)))
    waveform = waveform[: round((SECONDS + 0.4) * RATE)]  # a faster one needs more of it
    return set_level(waveform, waveform, -25.0)[0]


def decibels(waveform: Waveform, stft: STFT) -> np.ndarray:
    """Power in dB (frequency, frame) of two seconds."""
    n_samples = round(SECONDS * RATE)
    shown = np.zeros(n_samples, dtype=np.float32)
    shown[: min(n_samples, len(waveform))] = waveform[:n_samples]
    power = stft(torch.from_numpy(shown)[None, None])[0, 0].abs().square()
    return (10 * torch.log10(power + 1e-9)).numpy()


def change(panel: np.ndarray, before: np.ndarray) -> float:
    """Mean difference in dB (of both (frequency, frame)) of what is seen."""
    floor = before.max() - RANGE_DB
    return float(np.abs(np.maximum(panel, floor) - np.maximum(before, floor)).mean())


def main() -> None:
    """Render, change and draw."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", ["data=mix", "data.speech=none", "data.noise=none"])
    stft = STFT()
    before = sentence()
    panels = {"as it was": decibels(before, stft)}
    for number, (name, entry) in enumerate(instantiate(config.data.augmentation, _convert_="all").items()):
        draws = [
            decibels(entry.apply(generator(seed, number, Stream.AUGMENTATION), before[None], RATE)[0], stft)
            for seed in range(DRAWS)
        ]
        panels[str(name)] = max(draws, key=lambda panel: change(panel, panels["as it was"]))
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    axes = figure.subplots(2, 4, sharex=True, sharey=True)
    top = max(panel.max() for panel in panels.values())
    for axis, (name, panel) in zip(axes.flat, panels.items(), strict=True):
        image = axis.imshow(
            panel, origin="lower", aspect="auto", cmap="magma", vmin=top - RANGE_DB, vmax=top,
            extent=(0, SECONDS, 0, RATE / 2000), interpolation="nearest",
        )  # fmt: skip
        axis.set_title(name, fontsize=10)
    figure.supxlabel("time in s", fontsize=9)
    figure.supylabel("frequency in kHz", fontsize=9)
    figure.colorbar(image, ax=axes, label="power in dB", shrink=0.8)
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "augmentations.png"
    figure.set_dpi(80)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # A palette makes the file a third as large.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(128)
    picture.save(place, optimize=True)
    print(place)


if __name__ == "__main__":
    main()
