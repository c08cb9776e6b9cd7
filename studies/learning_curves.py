"""Draw what runs gained over steps and over minutes of one thread: docs/images/learning_curves.png.

python studies/learning_curves.py RUN... [--picture FILE] [--rounds N]. Each RUN is a folder of `audiocx train`;
its gains on the validation set come from `metrics.csv`. The minutes are steps times the processor time of a whole
step (forward, loss, backward, clipping, optimizer; no data), measured here on one thread, all runs in turn (medians
of N rounds), so that what else the machine did while they trained does not count. A learning rate that falls until
the last step makes only the ends comparable over minutes: they are marked. A table in Markdown is printed.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from audiocx.apps.evaluate import model_names
from audiocx.apps.train import make_task
from audiocx.data.batch import Batch
from audiocx.models.checkpoint import load
from audiocx.models.counting import count_parameters
from audiocx.training.task import MONITOR, MaskingTask

ROOT = Path(__file__).resolve().parents[1]
MINUTES = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass
class Curve:
    """Gains in dB at steps, and what a step of the training costs."""

    name: str
    steps: list[int]
    gains_db: list[float]
    parameters: int
    hours_of_audio_per_step: float
    step_seconds: float

    @property
    def minutes(self) -> list[float]:
        """Processor time of one thread up to each of the steps."""
        return [step * self.step_seconds / 60 for step in self.steps]


def read_gains(run: Path) -> tuple[list[int], list[float]]:
    """Steps and gains of a run's validations; of two at one step (a run that was stopped) the later."""
    found: dict[int, float] = {}
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row.get(MONITOR):
                found[int(row["step"]) + 1] = float(row[MONITOR])
    steps = sorted(found)
    return steps, [found[step] for step in steps]


class Stepper:
    """Training steps of a run's model, loss and optimizer on noise as long as its examples."""

    def __init__(self, run: Path, config: DictConfig) -> None:
        separator = load(run)
        self.task: MaskingTask = make_task(config, separator).train()
        self.optimizer = self.task.make_optimizer(list(separator.named_parameters()))
        self.clip = float(config.trainer.gradient_clip_val)
        size, seconds = int(config.data.batch_size), float(config.data.segment_seconds)
        n_samples = round(seconds * separator.sample_rate)
        self.hours_of_audio = size * n_samples / separator.sample_rate / 3600
        self.parameters = count_parameters(separator)
        target, noise = torch.randn(2, size, 1, 1, n_samples)
        mixture = (target + noise).squeeze(1)
        empty: list[dict[str, str]] = [{}] * size
        self.batch = Batch(mixture, target, torch.arange(size), empty, empty, [""] * size)
        self.batch.mixture_stft = separator.stft(mixture)

    def step_seconds(self) -> float:
        """Take a step, and return its processor time."""
        began = time.process_time()
        self.optimizer.zero_grad()
        loss = self.task.loss(self.task(self.batch), self.batch.target, mixture=self.batch.mixture)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.task.parameters(), self.clip)
        self.optimizer.step()
        return time.process_time() - began


def measured(runs: list[Path], n_rounds: int) -> list[Curve]:
    """Read the curves of runs and time a step of each, in turn."""
    steppers = []
    for run in runs:
        config = OmegaConf.load(run / "config.yaml")
        assert isinstance(config, DictConfig)
        steppers.append(Stepper(run, config))
    for stepper in steppers:
        stepper.step_seconds()
    rounds = [[stepper.step_seconds() for stepper in steppers] for _ in range(n_rounds)]
    names = model_names([str(run) for run in runs])
    return [
        Curve(name, *read_gains(run), stepper.parameters, stepper.hours_of_audio, statistics.median(seconds))
        for name, run, stepper, seconds in zip(names, runs, steppers, zip(*rounds, strict=True), strict=True)
    ]


def table(curves: list[Curve]) -> str:
    """Markdown: the last gain of each, and what it took."""
    lines = [
        "| run | real parameters | seconds a step | steps | hours of audio | minutes of one thread | gain dB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for curve in curves:
        steps = curve.steps[-1]
        lines.append(
            f"| {curve.name} | {curve.parameters:,} | {curve.step_seconds:.3f} | {steps:,} "
            f"| {steps * curve.hours_of_audio_per_step:.1f} | {curve.minutes[-1]:.0f} | {curve.gains_db[-1]:+.2f} |"
        )
    return "\n".join(lines)


def _label(axis: Axes, text: str) -> None:
    axis.set_xlabel(text)
    axis.grid(alpha=0.3)


def draw(curves: list[Curve], place: Path) -> None:
    """Gains over steps beside gains over minutes; the ends are marked."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for curve in curves:
        (line,) = left.plot(curve.steps, curve.gains_db, marker=".", label=curve.name)
        right.plot(curve.minutes, curve.gains_db, color=line.get_color(), linewidth=0.8)
        right.plot(curve.minutes[-1], curve.gains_db[-1], "o", color=line.get_color())
    right.set_xscale("log")
    low, high = min(curve.minutes[0] for curve in curves), max(curve.minutes[-1] for curve in curves)
    right.set_xlim(low / 1.2, high * 1.2)
    right.set_xticks([tick for tick in MINUTES if low / 1.2 <= tick <= high * 1.2])
    right.xaxis.set_major_formatter("{x:g}")
    right.xaxis.set_minor_formatter("")
    _label(left, "steps")
    _label(right, "minutes of one thread (only the marked ends compare)")
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
    for run in options.runs:
        if not (run / "metrics.csv").is_file():
            sys.exit(f"learning_curves: {run}: no metrics.csv; expected a run folder of audiocx train")
    torch.set_num_threads(1)
    curves = measured(options.runs, options.rounds)
    print(table(curves))
    draw(curves, options.picture)
    print(options.picture)


if __name__ == "__main__":
    main()
