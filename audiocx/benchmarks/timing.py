"""Interleaved timing: every round runs each case once, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import contextlib
import functools
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch

from audiocx.benchmarks.case import Work

KINDS = ("forward", "step", "inference")


@dataclass
class Times:
    """Seconds of each repeat of a case: forward of a training step, the whole step, inference."""

    forward: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    inference: list[float] = field(default_factory=list)

    def median(self, kind: str) -> float:
        """Median over repeats."""
        return statistics.median(getattr(self, kind))

    def smallest(self, kind: str) -> float:
        """Shortest repeat: the one that was disturbed least."""
        return min(getattr(self, kind))

    def spread(self, kind: str) -> float:
        """Half the distance between the quartiles over the median."""
        values = getattr(self, kind)
        if len(values) < 2:
            return 0.0
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return (high - low) / 2.0 / self.median(kind)


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""What seconds are read from: the clock on the wall, or what processors spent on this process, which waiting for a
processor that others hold does not lengthen."""


def time_interleaved(
    works: Mapping[str, tuple[Work, bool]], repeats: int, device: torch.device, clock: str = "wall"
) -> dict[str, Times]:
    """Time training steps, then inference, `repeats` rounds each after one that does not count.

    A step is forward and backward, without an optimizer; inference is in eval mode without gradients, with
    whatever a layer keeps of its weights kept. The order within a round moves on by one from round to round.

    Args:
        works: by name, the work and whether it runs under autocast in bfloat16.
        repeats: rounds that count.
        device: of the work; it is waited for.
        clock: word of `CLOCKS`.
    """
    read = functools.partial(_now, device, CLOCKS[clock])
    times = {name: Times() for name in works}
    with _without_collection():
        for name, round_index in _turns(list(works), repeats + 1):
            work, half = works[name]
            work.module.train()
            forward, step = _train(work, half, device, read)
            if round_index:
                times[name].forward.append(forward)
                times[name].step.append(step)
        for work, _ in works.values():
            work.module.eval()
        for name, round_index in _turns(list(works), repeats + 1):
            seconds = _infer(*works[name], device, read)
            if round_index:
                times[name].inference.append(seconds)
    return times


def _turns(names: list[str], n_rounds: int) -> Iterator[tuple[str, int]]:
    for round_index in range(n_rounds):
        turn = round_index % len(names)
        yield from ((name, round_index) for name in names[turn:] + names[:turn])


def _train(work: Work, half: bool, device: torch.device, read: Callable[[], float]) -> tuple[float, float]:
    """Seconds of the forward pass and of the whole step."""
    work.clear()
    began = read()
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        outputs = work.forward()
    between = read()
    work.backward(outputs)
    ended = read()
    return between - began, ended - began


def _infer(work: Work, half: bool, device: torch.device, read: Callable[[], float]) -> float:
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        began = read()
        work.forward()
        return read() - began


def _now(device: torch.device, clock: Callable[[], float]) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock()


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Keep Python's garbage collector from running in the middle of a repeat."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
