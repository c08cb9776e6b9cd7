"""The command line `audiocx benchmark`, in-process: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from audiocx.apps.main import main

KEYS = {"name", "shape", "threads", "forward_seconds", "step_seconds", "peak_megabytes"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A working folder; the number of threads is put back."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.mark.parametrize("what", ["layers", "models"])
def test_smoke_writes_rows(what, place, capsys):
    code = main(["benchmark", f"what={what}", "smoke=true", "memory=false", "bf16=true", "threads=1"])
    printed = capsys.readouterr().out
    assert code == 0
    rows = json.loads((place / "outputs" / "benchmark" / f"{what}.json").read_text(encoding="utf-8"))
    assert all(set(row) >= KEYS for row in rows)
    for row in rows:
        assert row["missing"] or min(row["forward_seconds"], row["step_seconds"]) > 0.0, row
        assert row["threads"] == 1
    ours = next(row for row in rows if row["name"] == "ours")
    assert ours["missing"] is None
    assert ours["shape"] in printed
    half = next(row for row in rows if row["name"] == "ours, bf16")
    assert 1e-4 < half["relative_error"] < 0.1


def test_only_names_and_shapes(place):
    words = ["smoke=true", "memory=false", "only=[ours, 'real twin, 2C']", "shapes=[LSTM]", "clock=cpu"]
    assert main(["benchmark", "what=models", *words]) == 0
    rows = json.loads((place / "outputs" / "benchmark" / "models.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in rows] == ["ours", "real twin, 2C"]
    assert all("LSTM" in row["shape"] and row["clock"] == "cpu" for row in rows)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["what=layer"], "layers"),
        (["what=layers", "only=[asteroids]"], "asteroid"),
        (["what=layers", "shapes=[DCUNet-11]"], "DCUNet-11"),
        (["what=layers", "repeats=0"], "repeats"),
        (["what=layers", "clock=sun"], "clock=sun"),
        (["what=layers", "threads=[1,0]"], "at least 1"),
        ([], "what"),
    ],
)
def test_wrong_words_exit_2(words, told, place, capsys):
    assert main(["benchmark", *words]) == 2
    printed = capsys.readouterr().err
    assert told in printed
    assert printed.count("\n") == 1
    assert not list(place.rglob("*.json"))
