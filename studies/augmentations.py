"""Draw what each augmentation does to one sentence: docs/images/augmentations.png.

python studies/augmentations.py [FILE]. Spectrograms of an espeak-ng voice (without the extra `demo`, a harmonic
one) before and after each entry of conf/data/augmentation: of 20 draws the one that changes it most, to be seen.
The last row shows what conf/data/mix.yaml sets: a room and what of it is wanted, a noise, and a second noise
over it (room and noises are generated).
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

from audiocx.data.mix_maker import SECOND_NOISE_DB
from audiocx.data.mixing import Waveform, mix, set_level
from audiocx.data.noises import render
from audiocx.data.randomness import Stream, generator
from audiocx.data.reverberation import make_response, reverberate
from audiocx.data.sound_parts import normalised
from audiocx.data.voices import choose_engine, plan_voices, render_voices
from audiocx.signal.stft import STFT

ROOT = Path(__file__).resolve().parents[1]
RATE = 16000
SECONDS = 2.0
RANGE_DB = 60.0
DRAWS = 20
RT60_SECONDS = 0.5
NOISES = ("rain", "birds")
SNR_DB = 10.0


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


def in_room(speech: Waveform) -> tuple[Waveform, Waveform]:
    """What is heard of speech (sample,) in a generated room, and what of that is wanted."""
    random = generator(0, 0, Stream.NOISE)
    time = np.arange(round(RT60_SECONDS * RATE)) / RATE
    taps = 0.05 * random.standard_normal(len(time)) * 10 ** (-3 * time / RT60_SECONDS)
    taps[0] = 1.0
    response = make_response(taps.astype(np.float32), RATE)
    return reverberate(np.pad(speech, (response.lead, response.direct)), response)


def with_noises(speech: Waveform) -> tuple[Waveform, Waveform]:
    """Speech (sample,) with a generated noise, and with that and a second one, in the middle of its range."""
    first, second = (
        normalised(render(family, generator(0, number, Stream.NOISE), len(speech), RATE, []))
        for number, family in enumerate(NOISES)
    )
    both = first + np.float32(10 ** (np.mean(SECOND_NOISE_DB) / 20)) * second
    one, two = (mix(speech, noise, SNR_DB, -25.0, RATE)[0] for noise in (first, both))
    return one, two


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
    shown = ("reverberation", "of it: the target", "a noise", "a second noise")
    for name, waveform in zip(shown, (*in_room(before), *with_noises(before)), strict=True):
        panels[name] = decibels(waveform, stft)
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    axes = figure.subplots(3, 4, sharex=True, sharey=True)
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
