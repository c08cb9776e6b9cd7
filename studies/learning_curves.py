"""Draw what runs gained over steps and over seconds of one thread: docs/images/learning_curves.png.

python studies/learning_curves.py RUN... [--picture FILE] [--rounds N]. Each RUN is a folder of `audiocx train`;
its gains on the validation set come from `metrics.csv`. The seconds are steps times the seconds of a step of the
network, which are measured here, all in turn on one thread (medians of N rounds), so that what else the machine did
while they trained does not count. A table in Markdown is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from audiocx.models.checkpoint import load
from audiocx.models.counting import count_parameters
from audiocx.training.ledger import measure_step

ROOT = Path(__file__).resolve().parents[1]
GAIN = "val/si_sdr_improvement_db"


@dataclass
class Curve:
    """Gains in dB at steps, and what a step of the network costs."""

    name: str
    steps: list[int]
    gains_db: list[float]
    parameters: int
    hours_of_audio_per_step: float
    step_seconds: float


def read_gains(run: Path) -> tuple[list[int], list[float]]:
    """Steps and gains of a run's validations; of two at one step (a run that was stopped) the later."""
    found: dict[int, float] = {}
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row.get(GAIN):
                found[int(row["step"]) + 1] = float(row[GAIN])
    steps = sorted(found)
    return steps, [found[step] for step in steps]


def measured(runs: list[Path], n_rounds: int) -> list[Curve]:
    """Read the curves of runs and time a step of each network, in turn."""
    curves, models, batches = [], [], []
    for run in runs:
        separator = load(run)
        config = OmegaConf.load(run / "config.yaml")
        n_samples = round(float(config.data.segment_seconds) * separator.sample_rate)
        batch_size = int(config.data.batch_size)
        steps, gains = read_gains(run)
        hours = batch_size * n_samples / separator.sample_rate / 3600
        curves.append(Curve(run.name, steps, gains, count_parameters(separator), hours, 0.0))
        models.append(separator.model)
        batches.append((batch_size, 1, separator.stft.n_frequencies, separator.stft.n_frames(n_samples)))
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(n_rounds):
        for model, batch, seconds in zip(models, batches, times, strict=True):
            seconds.append(measure_step(model, batch, contextlib.nullcontext)[1])
    for curve, seconds in zip(curves, times, strict=True):
        curve.step_seconds = statistics.median(seconds)
    return curves


def table(curves: list[Curve]) -> str:
    """Markdown: the last gain of each, and what it took."""
    lines = [
        "| run | real parameters | seconds a step | steps | hours of audio | minutes of one thread | gain dB |",
        "|---|---|---|---|---|---|---|",
    ]
    for curve in curves:
        steps = curve.steps[-1]
        minutes = steps * curve.step_seconds / 60
        lines.append(
            f"| {curve.name} | {curve.parameters:,} | {curve.step_seconds:.3f} | {steps:,} "
            f"| {steps * curve.hours_of_audio_per_step:.1f} | {minutes:.0f} | {curve.gains_db[-1]:+.2f} |"
        )
    return "\n".join(lines)


def draw(curves: list[Curve], place: Path) -> None:
    """Gains over steps beside gains over minutes, both on a logarithmic axis."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for curve in curves:
        left.plot(curve.steps, curve.gains_db, marker=".", label=curve.name)
        minutes = [step * curve.step_seconds / 60 for step in curve.steps]
        right.plot(minutes, curve.gains_db, marker=".", label=curve.name)
    for axis, label in ((left, "steps"), (right, "minutes of one thread, network alone")):
        axis.set_xscale("log")
        axis.set_xlabel(label)
        axis.grid(alpha=0.3, which="both")
    left.set_ylabel("SI-SDR gain on validation in dB")
    left.legend(fontsize=8)
    place.parent.mkdir(parents=True, exist_ok=True)
    figure.set_dpi(80)
    FigureCanvasAgg(figure).print_png(str(place))


def main() -> None:
    """Read, time, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "learning_curves.png")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    curves = measured(options.runs, options.rounds)
    print(table(curves))
    draw(curves, options.picture)
    print(options.picture)


if __name__ == "__main__":
    main()
