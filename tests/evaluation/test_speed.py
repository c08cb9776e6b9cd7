"""What scoring costs, in processor time, which other work on the machine changes less than clock time."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest
import torch
from scipy.signal import butter, lfilter

from audiocx.data.batch import Example
from audiocx.data.test_set import TestSet
from audiocx.evaluation.baselines import OracleMask, log_mmse, noisy
from audiocx.evaluation.scoring import AnySystem, score
from audiocx.metrics.perception import pesq_wb
from audiocx.metrics.table import WORDS
from audiocx.signal.stft import STFT

RATE = 16000
N_ITEMS = 24
SECONDS = 5


class Syllables(TestSet):
    """Items of five seconds that PESQ takes for speech."""

    sample_rate = RATE
    n_sources = 1

    def __len__(self) -> int:
        return N_ITEMS

    def name(self, index: int) -> str:
        return str(index)

    def fingerprint(self) -> str:
        return "syllables"

    def __getitem__(self, index: int) -> Example:
        generator = np.random.default_rng(index)
        time_ = np.arange(SECONDS * RATE) / RATE
        voice = lfilter(*butter(2, [0.04, 0.3], "bandpass"), np.sign(np.sin(2 * np.pi * 120 * time_)))
        target = 0.3 * voice * np.clip(np.sin(2 * np.pi * 3 * time_ + index), 0.0, 1.0)
        mixture = target + 0.03 * generator.standard_normal(len(target))
        both = torch.from_numpy(np.stack([mixture, target])).float()
        return Example(both[:1], both[1:].unsqueeze(0), index, str(index), {}, {"kind": "dry"})


def _processor_seconds() -> tuple[float, float]:
    """Of this process and of children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), children.ru_utime + children.ru_stime


@pytest.mark.slow
def test_all_metrics_take_little_more_than_pesq_alone() -> None:
    """120 files of 5 s are scored in half a minute on two cores if they take 500 ms of a processor each.

    PESQ of a file's four estimates is a part of that which only its package could change, so it is the measure of
    the machine: everything else (the other metrics, log-MMSE, the oracle, the processes) is to take at most 1.5
    times as long.
    """
    pytest.importorskip("pesq")
    test_set, stft = Syllables(), STFT()

    def halved(mixture: torch.Tensor) -> torch.Tensor:
        return 0.5 * mixture.unsqueeze(0)

    systems: dict[str, AnySystem] = {
        "noisy": noisy(1),
        "log-MMSE": log_mmse(stft),
        "halved": halved,
        "oracle": OracleMask(stft),
    }
    begin = sum(_processor_seconds())
    # Starting the children is a fixed cost: a second set of the same size shows it.
    short = score(test_set, {"noisy": noisy(1)}, stft=stft, metrics=["snr_db"], n_processes=2)
    fixed = sum(_processor_seconds()) - begin
    begin_here, begin_children = _processor_seconds()
    scores = score(test_set, systems, stft=stft, metrics=list(WORDS), n_processes=2)
    here, children = (
        now - before for now, before in zip(_processor_seconds(), (begin_here, begin_children), strict=True)
    )
    assert not scores.failures
    assert not short.failures
    assert children > 2 * here  # the work is where it is parallel

    begin = time.process_time()
    for index in range(4):
        example = test_set[index]
        for estimate in (example.mixture, 0.5 * example.mixture, 0.9 * example.mixture, example.target[0]):
            pesq_wb(estimate[0], example.target[0, 0], sample_rate=RATE)
    pesq_of_a_file = (time.process_time() - begin) / 4
    of_a_file = (here + children - fixed) / N_ITEMS
    print(f"{1000 * of_a_file:.0f} ms a file, PESQ {1000 * pesq_of_a_file:.0f} ms, {fixed:.1f} s to start")
    assert of_a_file < 2.5 * pesq_of_a_file
