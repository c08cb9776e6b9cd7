"""One run: contests are made, measured and told as rows."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from audiocx.benchmarks import layers, models
from audiocx.benchmarks.case import Case, Contest, Unavailable, Work
from audiocx.benchmarks.memory import peak_megabytes
from audiocx.benchmarks.timing import CLOCKS, Times, time_interleaved
from audiocx.errors import ConfigError, OutputError, describe, nearest

WHAT: dict[str, Callable[..., list[Contest]]] = {"layers": layers.contests, "models": models.contests}


@dataclass(frozen=True)
class Row:
    """What was measured of one case.

    Attributes:
        name: of the case, `ours` for audiocx's own.
        shape: what the work is.
        threads: processor threads.
        forward_seconds, step_seconds: forward pass of a training step, and the whole step without an optimizer;
            medians, as all seconds here. None where the case cannot run.
        inference_seconds: eval mode, without gradients.
        peak_megabytes: of a training step, see `audiocx.benchmarks.memory`.
        step_smallest_seconds, inference_smallest_seconds: shortest repeat.
        step_spread, inference_spread: half the distance between quartiles over the median.
        relative_error: of half precision, root mean square of the difference from float32 over that of float32.
        device: kind of device.
        clock: what seconds were read from.
        missing: why the case did not run.
    """

    name: str
    shape: str
    threads: int
    forward_seconds: float | None = None
    step_seconds: float | None = None
    inference_seconds: float | None = None
    peak_megabytes: float | None = None
    step_smallest_seconds: float | None = None
    inference_smallest_seconds: float | None = None
    step_spread: float | None = None
    inference_spread: float | None = None
    relative_error: float | None = None
    device: str = "cpu"
    clock: str = "wall"
    missing: str | None = None


@dataclass(frozen=True)
class Session:
    """Settings of a run.

    Attributes:
        what: `layers` or `models`.
        repeats: rounds that count.
        device: to run on.
        batch, n_frames: spectra that enter the networks; 129 frames are 2 s at 16 kHz, padded as DCUNet needs it.
        only: names of cases; none: all.
        shapes: parts of shapes; none: all.
        bf16: measure ours under autocast in bfloat16, too.
        clock: `wall`, or `cpu` for a machine that others use, too.
        memory: measure peaks, each in a fresh process.
        smoke: tiny shapes.
    """

    what: str
    repeats: int = 9
    device: str = "cpu"
    batch: int = 2
    n_frames: int = 129
    only: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    bf16: bool = False
    clock: str = "wall"
    memory: bool = True
    smoke: bool = False

    def contests(self) -> list[Contest]:
        """Make what is to be measured.

        Raises:
            ConfigError: there is no such thing, or nothing has such a name or shape.
        """
        for key, word, words in (("what", self.what, WHAT), ("clock", self.clock, CLOCKS)):
            if word not in words:
                raise ConfigError(describe(f"{key}={word}", do=nearest(word, words)))
        made = WHAT[self.what](self.batch, self.n_frames, bf16=self.bf16, smoke=self.smoke)
        for word in self.shapes:
            if not any(word in contest.shape for contest in made):
                raise ConfigError(
                    describe(
                        f"shapes: nothing has `{word}` in it", expected=f"a part of {made[0].shape}, say"
                    )
                )
        names = list(dict.fromkeys(case.name for contest in made for case in contest.cases))
        for name in self.only:
            if name not in names:
                raise ConfigError(describe(f"only: no case `{name}`", do=nearest(name, names)))
        kept = [
            dataclasses.replace(
                contest,
                cases=tuple(case for case in contest.cases if not self.only or case.name in self.only),
            )
            for contest in made
            if not self.shapes or any(word in contest.shape for word in self.shapes)
        ]
        return [contest for contest in kept if contest.cases]

    def run(self, threads: int) -> Iterator[list[Row]]:
        """Measure; the rows of one contest after the other, in the order of its cases."""
        torch.set_num_threads(threads)
        for contest in self.contests():
            yield self._measure(contest, threads)

    def _measure(self, contest: Contest, threads: int) -> list[Row]:
        device = torch.device(self.device)
        works: dict[str, tuple[Work, bool]] = {}
        missing: dict[str, str] = {}
        for case in contest.cases:
            try:
                torch.manual_seed(0)
                works[case.name] = case.make(device), case.half
            except Unavailable as reason:
                missing[case.name] = str(reason)
        errors = {name: _relative_error(*entry) for name, entry in works.items() if entry[1]}
        times = time_interleaved(works, self.repeats, device, self.clock)
        del works
        rows = []
        for case in contest.cases:
            row = Row(case.name, contest.shape, threads, device=device.type, clock=self.clock)
            row = dataclasses.replace(row, missing=missing.get(case.name))
            if case.name in times:
                row = _with_times(row, times[case.name], errors.get(case.name))
                row = dataclasses.replace(row, peak_megabytes=self._peak(contest, case))
            rows.append(row)
        return rows

    def _peak(self, contest: Contest, case: Case) -> float | None:
        if not self.memory:
            return None
        arguments = (self.what, self.batch, self.n_frames, self.smoke, contest.shape, case.name)
        return peak_megabytes(find_case, arguments, self.device)


def find_case(what: str, batch: int, n_frames: int, smoke: bool, shape: str, name: str) -> Case:
    """Find a case by its shape and name, in whatever process."""
    made = WHAT[what](batch, n_frames, bf16=True, smoke=smoke)
    return next(
        case for contest in made if contest.shape == shape for case in contest.cases if case.name == name
    )


def _with_times(row: Row, times: Times, relative_error: float | None) -> Row:
    return dataclasses.replace(
        row,
        forward_seconds=times.median("forward"),
        step_seconds=times.median("step"),
        inference_seconds=times.median("inference"),
        step_smallest_seconds=times.smallest("step"),
        inference_smallest_seconds=times.smallest("inference"),
        step_spread=times.spread("step"),
        inference_spread=times.spread("inference"),
        relative_error=relative_error,
    )


def _relative_error(work: Work, half: bool) -> float:
    """Of the output under autocast, against float32 with the same weights."""
    work.module.eval()
    results = []
    for enabled in (False, half):
        with torch.no_grad(), torch.autocast(_device_of(work), torch.bfloat16, enabled=enabled):
            outputs = work.forward()
        results.append(outputs if isinstance(outputs, torch.Tensor) else torch.stack(outputs))
    exact, rounded = results[0], results[1].to(results[0].dtype)
    return float(torch.linalg.vector_norm(rounded - exact) / torch.linalg.vector_norm(exact))


def _device_of(work: Work) -> str:
    return next(work.module.parameters()).device.type


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows as JSON, a list of objects, under a temporary name first.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n"
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(describe(f"{path}: cannot be written", got=error.strerror)) from error
