"""Timing, memory and contests: arms do the same work, rounds interleave, missing libraries are a word."""

from __future__ import annotations

import functools
import sys
import time

import pytest
import torch
from torch import nn

from audiocx.benchmarks import layers, models, rivals
from audiocx.benchmarks.case import Case, Unavailable, Work
from audiocx.benchmarks.memory import peak_megabytes
from audiocx.benchmarks.report import table
from audiocx.benchmarks.rivals import Convolution
from audiocx.benchmarks.session import Row, Session, find_case
from audiocx.benchmarks.timing import time_interleaved
from audiocx.layers.planar import to_complex
from audiocx.models.dcunet import TABLES

CPU = torch.device("cpu")


class Sleeper(nn.Module):
    """Takes its time and notes when it ran."""

    def __init__(self, name: str, seconds: float, log: list[str]) -> None:
        super().__init__()
        self.name, self.seconds, self.log = name, seconds, log
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self) -> torch.Tensor:
        self.log.append(self.name)
        time.sleep(self.seconds)
        return 2.0 * self.weight


def test_rounds_interleave_and_medians_are_seconds():
    log: list[str] = []
    modules = {"quick": Sleeper("quick", 0.001, log), "slow": Sleeper("slow", 0.01, log)}
    times = time_interleaved({n: (Work(m, m), False) for n, m in modules.items()}, 3, CPU)
    assert log[:8] == ["quick", "slow", "slow", "quick", "quick", "slow", "slow", "quick"]
    assert 0.001 <= times["quick"].median("forward") < 0.01 <= times["slow"].median("forward")
    assert len(times["slow"].step) == len(times["slow"].inference) == 3
    assert times["slow"].smallest("step") <= times["slow"].median("step")
    assert times["slow"].spread("step") >= 0.0


def test_processor_time_leaves_waiting_out():
    module = Sleeper("waiting", 0.02, [])
    times = time_interleaved({"waiting": (Work(module, module), False)}, 3, CPU, "cpu")
    assert times["waiting"].median("inference") < 0.01


def hungry(megabytes: int) -> Case:
    """A case whose step holds so much on top of its weights."""

    def make(device: torch.device) -> Work:
        module = nn.Linear(1, 1, bias=False, device=device)

        def forward() -> torch.Tensor:
            return (module.weight.expand(megabytes * 250_000, 1).sin() * module.weight).sum()

        return Work(module, forward)

    return Case("hungry", make)


@pytest.mark.slow
def test_peak_is_what_a_step_holds():
    if not sys.platform.startswith("linux"):
        pytest.skip("the kernel tells no peak")
    peak = peak_megabytes(hungry, (40,), "cpu")
    # The sine is kept for the backward pass, and beside it lie a product or two.
    assert 60.0 < peak < 200.0


def test_shapes_are_those_of_the_network():
    """513 x 129 becomes 17 x 9 in DCUNet-10, and 3 x 9 in -20; real parameters as published."""
    for depth, end, reals in ((10, (17, 9), 1_419_840), (20, (3, 9), 3_523_392)):
        found = list(layers.shapes(TABLES[depth], (513, 129)))
        assert len(found) == depth
        assert found[depth // 2][1] == end
        counted = sum(
            2 * layer.in_features * layer.out_features * layer.kernel[0] * layer.kernel[1]
            for layer, _ in found
        )
        assert counted == reals


@pytest.mark.parametrize("transposed", [False, True])
def test_every_library_does_the_same_work(transposed):
    """With our weights, torch's native layer gives our output; every layer gives one of that shape."""
    layer = Convolution(3, 2, (5, 3), (2, 1), transposed)
    inputs = torch.randn(2, 3, 9, 7, dtype=torch.complex64)
    makers = rivals.convolutions(layer, CPU)
    module, run = makers["ours"]()
    work = run(module, inputs, True)
    outputs = to_complex(work.forward())
    other, run_other = makers["native complex64"]()
    with torch.no_grad():
        other.weight.copy_(torch.complex(module.weight_real, module.weight_imag))
    torch.testing.assert_close(run_other(other, inputs, True).forward(), outputs, rtol=1e-5, atol=1e-5)
    for name, make in makers.items():
        try:
            theirs = run_of(make, inputs)
        except (Unavailable, TypeError):  # missing, or fails on this torch
            continue
        assert theirs.shape[0] == 2, name
        assert theirs.shape[2:] == outputs.shape[2:], name


def run_of(make, inputs: torch.Tensor) -> torch.Tensor:
    module, run = make()
    outputs = run(module, inputs, True).forward()
    return outputs[0] if isinstance(outputs, tuple) else outputs


@pytest.mark.parametrize("depth", [10, 20])
def test_networks_have_equal_tables(depth):
    """Complex ones have equally many real weights in convolutions, the real one twice as many."""
    spectrum = (1, 1, 513, 17)
    ours = models._our_network(depth, spectrum, "complex", "batch", torch.device("meta"))
    real = models._our_network(depth, spectrum, "real", "batch", torch.device("meta"))
    native = models._native_network(TABLES[depth], spectrum, torch.device("meta"))

    def reals(work: Work) -> int:
        return sum(
            parameter.numel() * (2 if parameter.is_complex() else 1)
            for parameter in work.module.parameters()
            if parameter.ndim == 4
        )

    assert reals(ours) == reals(native) == reals(real) // 2
    assert work_shape(ours) == work_shape(real) == work_shape(native) == (1, 1, 513, 17)


def work_shape(work: Work) -> tuple[int, ...]:
    outputs = work.forward()
    return tuple(outputs.flatten(0, -4).unsqueeze(1).flatten(1, -3).shape)


def test_missing_library_is_a_word():
    def make(device: torch.device) -> Work:
        rivals.library("no_such_library")
        raise AssertionError

    with pytest.raises(Unavailable, match="not installed"):
        make(CPU)
    row = Row("theirs", "a shape", 1, missing="not installed")
    made = table([Row("ours", "a shape", 1, 1.0, 2.0, 0.5), row])
    assert made.row_count == 2


def test_only_and_shapes_choose():
    session = Session("models", only=("ours", "asteroid"), shapes=("LSTM",))
    contests = session.contests()
    assert [case.name for case in contests[0].cases] == ["ours", "asteroid"]
    assert all("LSTM" in contest.shape for contest in contests)
    assert len(contests) == 2


def test_cases_are_found_again():
    """What a fresh process is sent finds the same case."""
    for what in ("layers", "models"):
        find = functools.partial(find_case, what, 2, 129, True)
        for contest in Session(what, smoke=True).contests():
            for case in contest.cases:
                assert find(contest.shape, case.name).name == case.name, contest.shape
