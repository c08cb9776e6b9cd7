"""Running systems over a test set: one row of scores for each system and item.

A system takes a mixture (channel, sample) and gives estimates (source, channel, sample). What needs to know
more than the mixture (an oracle, a folder of finished estimates) is an `InformedSystem` and is given the
example.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from statistics import median

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from audiocx.data.batch import Example
from audiocx.data.test_set import TestSet
from audiocx.errors import AudiocxError, DataError, describe
from audiocx.evaluation.items import ItemScores
from audiocx.evaluation.pool import ScoringPool, available_cpus, single_threaded
from audiocx.metrics.table import QUICK, find_metrics
from audiocx.signal.stft import STFT

FEWEST_FOR_PROCESSES = 16
"""Below this many estimates, starting processes takes longer than scoring."""


class InformedSystem(ABC):
    """A system that is given the whole example: an upper bound, or estimates that were made elsewhere."""

    @abstractmethod
    def estimate(self, example: Example) -> Tensor:
        """Return estimates (source, channel, sample) for an example."""


System = Callable[[Tensor], Tensor]
AnySystem = System | InformedSystem


@dataclass
class Row:
    """One system on one item.

    Attributes:
        system: name of the system.
        index: position of the item in its set.
        name: name of the item.
        clusters: what statistics treat as random: `talker`, `noise`, `room`.
        tags: what scores are grouped by: `kind`, `noise_class`, `snr_db` and others.
        scores: values by name, NaN where undefined.
        reasons: why a value is NaN, by name.
        failure: why there are no scores at all; empty where there are.
    """

    system: str
    index: int
    name: str
    clusters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    failure: str = ""


@dataclass
class Scores:
    """All rows of an evaluation.

    Attributes:
        rows: by item, then by system, in the order given.
        systems: names, in the order given.
        metrics: names of the metrics, in the order given.
        n_items: items in the test set.
        real_time_factors: median over items of the seconds taken for a second of audio, of systems that
            work on the mixture alone.
        test_fingerprint: digest of the test set.
        n_threads: that the systems ran on.
        n_scoring: processes that scored beside them.
    """

    rows: list[Row]
    systems: list[str]
    metrics: list[str]
    n_items: int
    real_time_factors: dict[str, float]
    test_fingerprint: str
    n_threads: int = 1
    n_scoring: int = 0

    def of(self, system: str) -> list[Row]:
        """Rows of one system, in the order of items."""
        return [row for row in self.rows if row.system == system]

    @property
    def failures(self) -> list[Row]:
        """Rows without scores."""
        return [row for row in self.rows if row.failure]

    @property
    def n_failed(self) -> int:
        """Items that failed, for one system or all."""
        return len({row.index for row in self.failures})


def word_failure(error: BaseException) -> str:
    """Word an exception in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, AudiocxError):
        return text
    if isinstance(error, BrokenProcessPool):
        return "its process died"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def run_system(system: AnySystem, example: Example) -> Tensor:
    """Run a system on an example and check what it gives."""
    with torch.inference_mode():
        if isinstance(system, InformedSystem):
            estimate = system.estimate(example)
        else:
            estimate = system(example.mixture)
    if estimate.shape != example.target.shape:
        raise DataError(
            describe(
                "the estimate has another shape than the target",
                expected=f"(source, channel, sample) = {tuple(example.target.shape)}",
                got=tuple(estimate.shape),
            )
        )
    if not bool(torch.isfinite(estimate).all()):
        raise DataError(describe("the estimate has NaN or infinite samples"))
    return estimate.detach().float().cpu().contiguous()


@contextmanager
def _progress_bar(total: int, shown: bool, console: Console | None) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("scoring", total=total)
        yield lambda: progress.advance(task)


class _Collector:
    """Runs the systems item by item and gathers rows in order, with a bounded number of items under way."""

    def __init__(
        self,
        systems: Mapping[str, AnySystem],
        pool: ScoringPool,
        rows: list[Row],
        advance: Callable[[], None],
    ) -> None:
        self.systems = systems
        self.pool = pool
        self.rows = rows
        self.advance = advance
        self.pending: list[tuple[dict[str, Row], Future[dict[str, ItemScores]] | None]] = []
        self.ratios: dict[str, list[float]] = {system: [] for system in systems}

    def add(self, test_set: TestSet, index: int) -> None:
        """Run all systems on one item and hand the estimates to scoring."""
        rows = {system: Row(system, index, test_set.name(index)) for system in self.systems}
        estimates: dict[str, Tensor] = {}
        try:
            example = test_set[index]
        except Exception as error:  # one bad item is reported, the rest goes on
            for row in rows.values():
                row.failure = word_failure(error)
            self.pending.append((rows, None))
            return
        seconds = example.mixture.shape[-1] / test_set.sample_rate
        for system, row in rows.items():
            row.clusters, row.tags = dict(example.clusters), dict(example.tags)
            begin = time.perf_counter()
            try:
                estimates[system] = run_system(self.systems[system], example)
                if not isinstance(self.systems[system], InformedSystem):
                    self.ratios[system].append((time.perf_counter() - begin) / seconds)
            except Exception as error:  # as above
                row.failure = word_failure(error)
        is_clean = example.tags.get("kind") == "clean"
        future = self.pool.submit(estimates, example.target, example.mixture, is_clean) if estimates else None
        self.pending.append((rows, future))

    def collect(self, at_most: int) -> None:
        """Wait until at most this many items are under way."""
        while len(self.pending) > at_most:
            rows, future = self.pending.pop(0)
            try:
                results = future.result() if future is not None else {}
                for system, result in results.items():
                    rows[system].scores, rows[system].reasons = result.values, result.reasons
            except Exception as error:  # as above
                for row in rows.values():
                    row.failure = row.failure or f"scoring failed: {word_failure(error)}"
            self.rows.extend(rows.values())
            self.advance()


def score(
    test_set: TestSet,
    systems: Mapping[str, AnySystem],
    *,
    stft: STFT,
    metrics: Sequence[str] = QUICK,
    n_processes: int | None = None,
    finished: list[Row] | None = None,
    show_progress: bool = False,
    console: Console | None = None,
) -> Scores:
    """Score systems on every item of a test set.

    Several sources are scored in the given order and averaged. An item that cannot be read, a system that
    fails on it and an estimate of the wrong shape or with NaN give a row with the reason, and the rest goes
    on.

    Args:
        test_set: the items; its rate must be that of `stft`.
        systems: by the name that tables use.
        stft: the transform of the phase error; gives the sample rate.
        metrics: words or import paths, see `audiocx.metrics.table`.
        n_processes: children that score; None: as many as processors where a slow metric is asked for and
            there are enough items, else none. Beside children the systems run on one thread.
        finished: filled with rows as they come, so that an interrupted call keeps them.
        show_progress: draw a progress bar.
        console: where to draw it.

    Returns:
        A row for each system and item.

    Raises:
        ConfigError: a metric is not known.
        DataError: the set's rate is not that of `stft`, or it is empty.
    """
    if test_set.sample_rate != stft.sample_rate:
        raise DataError(
            describe(
                "test set: wrong rate", expected=f"{stft.sample_rate} Hz", got=f"{test_set.sample_rate} Hz"
            )
        )
    if len(test_set) == 0:
        raise DataError(describe("test set: no items", expected="at least one"))
    chosen = find_metrics(metrics)
    if n_processes is None:
        pays = any(m.is_slow for m in chosen) and len(test_set) * len(systems) >= FEWEST_FOR_PROCESSES
        n_processes = available_cpus() if pays else 0
    rows = [] if finished is None else finished
    pool = ScoringPool(n_processes, chosen, stft)
    try:
        beside_children = single_threaded() if pool.n_processes else nullcontext()
        with beside_children, _progress_bar(len(test_set), show_progress, console) as advance:
            collector = _Collector(systems, pool, rows, advance)
            n_threads = torch.get_num_threads()
            for index in range(len(test_set)):
                collector.add(test_set, index)
                collector.collect(at_most=2 * pool.n_processes)
            collector.collect(at_most=0)
    finally:
        pool.close()
    return Scores(
        rows=rows,
        systems=list(systems),
        metrics=[metric.name for metric in chosen],
        n_items=len(test_set),
        real_time_factors={name: median(ratios) for name, ratios in collector.ratios.items() if ratios},
        test_fingerprint=test_set.fingerprint(),
        n_threads=n_threads,
        n_scoring=0 if pool.executor is None else pool.n_processes,
    )
