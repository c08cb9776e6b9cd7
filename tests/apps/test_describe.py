"""`audiocx train describe=true`: a table, a line for programs, and nothing else."""

from __future__ import annotations

import pytest

from audiocx.apps.main import main

TINY = ["train", "describe=true", "model.network.widths=[2,2,3,3,4]"]
FLAT = "model.network.strides=[[2,1],[2,1],[2,1],[2,1],[2,1]]"


@pytest.mark.parametrize(
    ("words", "kind", "receptive_field", "latency"),
    [
        ([], "CReLU", 0.96, 512),
        (["model.network.causal=true", "model.level=running", FLAT], "CReLU", 0.352, 32),
        pytest.param(
            ["model=split_unet", "model.network.bottleneck=lstm"],
            "RealRecurrence",
            float("inf"),
            float("inf"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_model_is_described(words, kind, receptive_field, latency, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    facts = dict(pair.split("=") for pair in lines[-1].split(" "))
    assert float(facts["receptive_field_seconds"]) == receptive_field
    assert float(facts["latency_ms"]) == latency
    assert int(facts["parameters_without_norms"]) < int(facts["parameters_real"])
    assert int(facts["macs_per_second"]) > 0
    assert any(kind in line for line in lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.network.causal=true"], "model.network.strides: a causal network skips no frames"),
        (["model.network.bottleneck=lsmt"], "did you mean `lstm`"),
        (["describe=maybe"], "describe; expected true or false"),
    ],
)
def test_what_does_not_fit_is_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
