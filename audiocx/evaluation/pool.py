"""Scoring items in processes beside the one that runs the systems."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocx.evaluation.items import ItemScores, score_item
from audiocx.metrics.table import Metric
from audiocx.signal.stft import STFT

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Array = NDArray[np.float32]


def available_cpus() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def single_threaded_children() -> Iterator[None]:
    """Let processes started inside use one thread each.

    Their libraries read the environment when they load; this process has long loaded them.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let torch use one thread inside.

    Beside children that take every processor, threads of one operation wait for each other more than they work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _score_arrays(
    estimates: Mapping[str, Array],
    target: Array,
    mixture: Array,
    metrics: Sequence[Metric],
    stft_settings: dict[str, Any],
    is_clean: bool,
) -> dict[str, ItemScores]:
    """Run in the child: arrays travel between processes more simply than tensors."""
    torch.set_num_threads(1)
    return score_item(
        {system: torch.from_numpy(estimate) for system, estimate in estimates.items()},
        torch.from_numpy(target),
        torch.from_numpy(mixture),
        metrics=metrics,
        stft=STFT(**stft_settings),
        is_clean=is_clean,
    )


class ScoringPool:
    """Scores items at once, or in `n_processes` children started by `spawn`.

    Results come as futures either way. Where the children cannot start at all (a main module that cannot be
    imported again, as in an interactive session), items are scored at once. Where one dies, the items that
    were under way fail, and new children take the next ones.

    Args:
        n_processes: number of children; below 2 there are none.
        metrics: what to measure.
        stft: the evaluation's transform.
    """

    def __init__(self, n_processes: int, metrics: Sequence[Metric], stft: STFT) -> None:
        self.metrics = list(metrics)
        self.stft = stft
        self.n_processes = n_processes if n_processes > 1 else 0
        self.executor: ProcessPoolExecutor | None = None
        if self.n_processes:
            self.executor = self._make_executor()
            if not self._starts():
                self.close()
                self.executor = None

    def _make_executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.n_processes, mp_context=multiprocessing.get_context("spawn"))

    def _starts(self) -> bool:
        assert self.executor is not None
        with single_threaded_children():
            tries = [self.executor.submit(torch.set_num_threads, 1) for _ in range(self.n_processes)]
            try:
                for future in tries:
                    future.result()
            except BrokenProcessPool:
                return False
        return True

    def submit(
        self, estimates: Mapping[str, Tensor], target: Tensor, mixture: Tensor, is_clean: bool
    ) -> Future[dict[str, ItemScores]]:
        """Score one item, now or later; a failure is the future's exception."""
        if self.executor is None:
            return self._score_now(estimates, target, mixture, is_clean)
        arrays = {system: estimate.numpy() for system, estimate in estimates.items()}
        settings = dict(self.stft.settings)
        with single_threaded_children():
            for _ in range(2):
                try:
                    return self.executor.submit(
                        _score_arrays,
                        arrays,
                        target.numpy(),
                        mixture.numpy(),
                        self.metrics,
                        settings,
                        is_clean,
                    )
                except BrokenProcessPool:
                    self.close()
                    self.executor = self._make_executor()
        return self._score_now(estimates, target, mixture, is_clean)

    def _score_now(
        self, estimates: Mapping[str, Tensor], target: Tensor, mixture: Tensor, is_clean: bool
    ) -> Future[dict[str, ItemScores]]:
        done: Future[dict[str, ItemScores]] = Future()
        try:
            done.set_result(
                score_item(
                    estimates, target, mixture, metrics=self.metrics, stft=self.stft, is_clean=is_clean
                )
            )
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """Stop the children; what they have not begun is dropped."""
        if self.executor is not None:
            self.executor.shutdown(wait=True, cancel_futures=True)
