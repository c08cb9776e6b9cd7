"""Reports: tables, notes, files."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from audiocx.errors import OutputError
from audiocx.evaluation.baselines import NOISY
from audiocx.evaluation.notes import failures, notes
from audiocx.evaluation.reporting import print_report, write_report, write_text
from audiocx.evaluation.scoring import Row, Scores
from audiocx.evaluation.summary import ModelFacts, paired_differences, summarise
from audiocx.evaluation.tables import Report, headline_table, tables
from audiocx.metrics.table import WORDS, improvement_name


def _report(models: tuple[str, ...] = ("net",), metrics: tuple[str, ...] = ("si_sdr_db", "stoi")) -> Report:
    rows = []
    for index in range(12):
        for number, system in enumerate((NOISY, *models)):
            scores: dict[str, float] = {}
            for metric in metrics:
                scores[f"input_{metric}"] = index / 4
                scores[metric] = index / 4 + 3.0 * number + 0.1 * (index % 3) * number
                scores[improvement_name(metric)] = scores[metric] - scores[f"input_{metric}"]
            tags = {"kind": "dry", "noise_class": "rain|hail", "snr_db": str(5 * (index % 2))}
            clusters = {"talker": f"t{index % 4}", "noise": f"n{index % 5}"}
            rows.append(Row(system, index, f"item-{index}", clusters, tags, scores))
    rows[3].scores["stoi"] = math.nan
    rows[3].reasons["stoi"] = "silent estimate"
    rows[-1].scores, rows[-1].failure = {}, "a.wav: no samples"
    scores = Scores(rows, [NOISY, *models], list(metrics), 12, dict.fromkeys(models, 0.012), "f00d")
    facts = {model: ModelFacts(431_234, 287_000_000) for model in models}
    summaries = [summarise(scores, name, facts=facts.get(name)) for name in (NOISY, *models)]
    differences = paired_differences(scores, models) if len(models) > 1 else []
    return Report(scores, summaries, list(models), differences)


def _printed(report: Report, width: int = 100) -> str:
    text = io.StringIO()
    print_report(report, Console(file=text, width=width))
    return text.getvalue()


def test_headline() -> None:
    report = _report()
    table = headline_table(report)
    assert table.columns == ["system", "files", "SI-SDR dB", "gain", "STOI", "reals"]
    noisy, net = table.rows
    assert noisy[0] == NOISY
    assert noisy[3] == ""
    assert noisy[5] == ""
    assert net[1] == "11"
    assert net[3].startswith("+3.09±")
    assert net[5] == "431 k"
    assert "11 noisy items of 12" in table.title or "12 noisy items of 12" in table.title
    # Without a failure the title's number is everyone's.
    whole = [row for row in report.scores.rows if row.index < 11]
    report.scores.rows[:] = whole
    report.summaries = [summarise(report.scores, name) for name in (NOISY, "net")]
    assert headline_table(report).columns == ["system", "SI-SDR dB", "gain", "STOI", "reals"]


def test_all_tables_and_notes_are_printed() -> None:
    text = _printed(_report())
    for words in ("by kind", "by input SNR", "by noise class", "rain|hail", "real-time factor 0.012"):
        assert words in text
    assert "431,234 real parameters, 0.287 GMAC" in text
    assert "STOI undefined for 1 of 11 files, left out of the mean: silent estimate (1)" in text
    assert "item-11 (net): a.wav: no samples" in text
    assert "Paired" not in text


def test_every_metric_of_a_table_fits_into_a_hundred_columns() -> None:
    report = _report(("complex_unet", "magnitude_unet", "split_unet", "dual_unet"), tuple(WORDS))
    text = _printed(report)
    for table in tables(report):
        assert table.title.split(" (")[0] in text
    for line in text.split("complex_unet: 431")[0].splitlines():
        assert len(line) <= 100
    # Numbers stay whole.
    for cell in headline_table(report).rows[1][2:]:
        assert cell in text


def test_a_pipe_gets_whole_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(_report(tuple("abcd"), tuple(WORDS)), Console(width=40))
    assert "Test over 12 noisy items of 12" in capsys.readouterr().out


def test_several_models_have_differences() -> None:
    report = _report(("one", "two"))
    text = _printed(report)
    assert "one − two" in text
    assert "worse" in text
    assert len(report.differences) == 2


def test_files(tmp_path: Path) -> None:
    report = _report()
    write_report(report, tmp_path / "test")
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == [
        "per_file.csv",
        "summary.json",
        "table.md",
    ]
    header = (tmp_path / "test" / "per_file.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert len(set(header)) == len(header)
    rows = list(csv.DictReader((tmp_path / "test" / "per_file.csv").open(encoding="utf-8")))
    assert len(rows) == 24
    assert rows[1]["system"] == "net"
    assert float(rows[1]["si_sdr_db"]) == report.scores.rows[1].scores["si_sdr_db"]
    assert rows[1]["talker"] == "t0"
    assert rows[1]["noise_class"] == "rain|hail"
    assert rows[3]["reasons"] == "stoi: silent estimate"
    assert rows[-1]["failure"] == "a.wav: no samples"
    summary = json.loads((tmp_path / "test" / "summary.json").read_text(encoding="utf-8"))
    assert summary["files"] == 12
    assert summary["failed"] == 1
    assert summary["metrics"]["stoi"]["n"] == 10
    text = (tmp_path / "test" / "table.md").read_text(encoding="utf-8")
    assert "| net | 11 |" in text
    assert "rain\\|hail" in text
    assert "- item-11 (net): a.wav: no samples" in text


def test_summary_of_several_models(tmp_path: Path) -> None:
    write_report(_report(("one", "two")), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert list(summary["systems"]) == ["one", "two"]
    assert {d["metric"] for d in summary["differences"]} == {"si_sdr_db", "stoi"}
    assert summary["differences"][0]["high"] < 0


def test_an_item_that_fails_for_all_is_told_once() -> None:
    report = _report()
    for row in report.scores.rows:
        if row.index == 4:
            row.failure = "b.wav: truncated"
    assert "item-4: b.wav: truncated" in failures(report.scores)
    assert len(failures(report.scores)) == 2


def test_all_failed_is_still_a_report() -> None:
    rows = [Row(system, 0, "x", failure="broken") for system in (NOISY, "net")]
    scores = Scores(rows, [NOISY, "net"], ["si_sdr_db"], 1, {}, "f")
    report = Report(scores, [summarise(scores, name) for name in scores.systems], ["net"])
    assert "x: broken" in _printed(report)
    assert notes(report) == []


def test_writing_is_whole_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "table.md", "y")
    write_text(tmp_path / "new" / "table.md", "z")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.md"]
