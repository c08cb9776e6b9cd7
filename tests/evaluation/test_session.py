"""A test from end to end: folders, baselines, several models, interruption."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from audiocx.data.test_set import TestSet
from audiocx.errors import ConfigError
from audiocx.evaluation import session
from audiocx.evaluation.baselines import OracleMask
from audiocx.evaluation.facts import Origin
from audiocx.evaluation.session import TestOptions, compared, report_systems, report_test, stft_remarks
from audiocx.metrics.waveform import si_sdr_db
from audiocx.models.separator import Separator
from audiocx.signal.oracle import phase_sensitive_mask
from audiocx.signal.stft import STFT

METRICS = ["si_sdr_db", "phase_error_rad"]


class Lowpass(nn.Module):
    """A model that keeps the bins below a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, mixture_stft: Tensor, conditions: object = None) -> Tensor:
        mask = torch.zeros_like(mixture_stft)
        mask[..., : self.limit, :] = 1.0
        return mask.unsqueeze(1)

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        return mixture_stft.unsqueeze(1) * mask


def _separator(limit: int, n_sources: int = 1, sample_rate: int = 16000, hop_length: int = 256) -> Separator:
    config = {"task": "enhance", "n_sources": n_sources}
    return Separator(STFT(sample_rate=sample_rate, hop_length=hop_length), Lowpass(limit), config)


def _console() -> Console:
    return Console(file=io.StringIO(), width=100)


def test_one_model(make_set: Callable[..., TestSet], tmp_path: Path) -> None:
    console = _console()
    report = report_test(
        {"net": _separator(40)},
        make_set(),
        tmp_path,
        metrics=METRICS,
        n_examples=2,
        origins={"net": Origin("runs/net", "abcd", 300, "beef")},
        console=console,
    )
    assert report.scores.n_failed == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples", "test"]
    assert len(list((tmp_path / "examples").iterdir())) == 8
    summary = json.loads((tmp_path / "test" / "summary.json").read_text(encoding="utf-8"))
    assert summary["data_fingerprint"] == "beef"
    assert summary["test_fingerprint"] == "memory"
    assert summary["model"]["parameters_real"] == 3
    assert summary["model"]["macs_per_second"] == 0
    assert summary["model"]["real_time_factor"] > 0
    # Keeping the bins around the tone removes most of white noise.
    assert summary["metrics"]["si_sdr_improvement_db"]["mean"] > 5
    rows = list(csv.DictReader((tmp_path / "test" / "per_file.csv").open(encoding="utf-8")))
    systems = ["noisy", "log-MMSE", "net", "oracle (phase-sensitive)"]
    assert [row["system"] for row in rows[:4]] == systems
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(system in text for system in systems)
    assert "3 real parameters" in text
    table = (tmp_path / "test" / "table.md").read_text(encoding="utf-8")
    for written in (text, table):
        assert "net: checkpoint runs/net, step 300, weights abcd, trained on data beef\n" in written
        assert "test set: memory\n" in written
        assert "STFTs differ" not in written
    # The oracle is the best real mask, as its name says.
    example = make_set()[0]
    estimate = OracleMask(STFT(), phase_sensitive_mask).estimate(example)[0, 0]
    expected = float(si_sdr_db(estimate, example.target[0, 0]))
    assert float(rows[3]["si_sdr_db"]) == pytest.approx(expected, abs=1e-3)


def test_two_models_and_a_failing_item(make_set: Callable[..., TestSet], tmp_path: Path) -> None:
    console = _console()
    separators = {"narrow": _separator(40), "wide": _separator(200)}
    report = report_test(
        separators, make_set(broken=1), tmp_path, metrics=METRICS, n_examples=1, console=console
    )
    assert report.scores.n_failed == 1
    assert sorted(path.name for path in (tmp_path / "examples").iterdir()) == ["narrow", "wide"]
    summary = json.loads((tmp_path / "test" / "summary.json").read_text(encoding="utf-8"))
    difference = summary["differences"][0]
    assert (difference["first"], difference["second"]) == ("narrow", "wide")
    assert difference["low"] > 0
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "narrow − wide" in text
    assert "\n  item-1: item-1: truncated\n" in text


def test_of_models_with_other_stfts_the_report_says_whose_counts(
    make_set: Callable[..., TestSet], tmp_path: Path
) -> None:
    separators = {"short": _separator(40, hop_length=128), "long": _separator(40)}
    assert stft_remarks({"one": separators["long"], "two": _separator(9)}) == []
    report = report_test(
        separators, make_set(n_noisy=1), tmp_path, metrics=["snr_db"], n_examples=0, console=_console()
    )
    (line,) = report.remarks
    assert "short 512/128/512 sqrt_hann, long 512/256/512 sqrt_hann" in line
    assert line.endswith("use that of short, the first given")
    assert f"- {line}\n" in (tmp_path / "test" / "table.md").read_text(encoding="utf-8")


def test_several_sources_have_no_log_mmse(make_set: Callable[..., TestSet], tmp_path: Path) -> None:
    options = TestOptions(["si_sdr_db"], n_examples=1)
    systems = {"same": lambda mixture: mixture.unsqueeze(0).repeat(2, 1, 1)}
    report_systems(systems, {}, STFT(), make_set(n_sources=2), tmp_path, options, _console())
    rows = list(csv.DictReader((tmp_path / "test" / "per_file.csv").open(encoding="utf-8")))
    assert [row["system"] for row in rows[:3]] == ["noisy", "same", "oracle (phase-sensitive)"]
    assert (tmp_path / "examples" / "0_estimate_2.wav").is_file()


@pytest.mark.parametrize(
    ("separator", "message"),
    [
        (_separator(9, n_sources=2), "number of sources"),
        (_separator(9, sample_rate=8000), "sample rate"),
    ],
)
def test_models_of_another_kind_are_refused(
    make_set: Callable[..., TestSet], tmp_path: Path, separator: Separator, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        report_test({"net": _separator(9), "other": separator}, make_set(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_one_line(
    make_set: Callable[..., TestSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    monkeypatch.setattr(session, "missing_packages", lambda metrics: "pesq_wb: no scores")
    console = _console()
    options = TestOptions(["si_sdr_db", "pesq_wb"], n_examples=0, n_processes=0)
    report_systems({"same": lambda x: x.unsqueeze(0)}, {}, STFT(), make_set(), tmp_path, options, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("pesq_wb: no scores") == 1
    assert "undefined" not in text
    summary = json.loads((tmp_path / "test" / "summary.json").read_text(encoding="utf-8"))
    assert summary["metrics"]["pesq_wb"] == {"mean": None, "low": None, "high": None, "n": 0}


def test_interrupted_keeps_finished_rows(make_set: Callable[..., TestSet], tmp_path: Path) -> None:
    calls = []

    def interrupted(mixture: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return mixture.unsqueeze(0)

    options = TestOptions(["si_sdr_db"], n_examples=0)
    with pytest.raises(KeyboardInterrupt):
        report_systems({"x": interrupted}, {}, STFT(), make_set(), tmp_path, options, _console())
    rows = list(csv.DictReader((tmp_path / "test" / "per_file.csv").open(encoding="utf-8")))
    assert {row["name"] for row in rows} == {"item-0", "item-1"}


def test_models_are_compared_with_each_other_and_with_their_own_modulus() -> None:
    assert compared(["a", "a, |M|", "b", "b, |M|"]) == [("a", "b"), ("a", "a, |M|"), ("b", "b, |M|")]
    assert compared(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert compared(["a"]) == []
