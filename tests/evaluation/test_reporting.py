"""Reports: tables, notes, files."""

from __future__ import annotations

import csv
import io
import json
import math
from itertools import combinations
from pathlib import Path

import pytest
from rich.console import Console

from audiocx.errors import OutputError
from audiocx.evaluation.baselines import NOISY
from audiocx.evaluation.facts import ModelFacts, Origin
from audiocx.evaluation.notes import failures, notes
from audiocx.evaluation.reporting import per_file_csv, print_report, summary_json, write_report, write_text
from audiocx.evaluation.scoring import Row, Scores
from audiocx.evaluation.summary import paired_differences, summarise
from audiocx.evaluation.tables import Report, headline_table, tables
from audiocx.metrics.table import WORDS, improvement_name


def _report(
    models: tuple[str, ...] = ("net",),
    metrics: tuple[str, ...] = ("si_sdr_db", "stoi"),
    kinds: tuple[str, ...] = ("dry",),
) -> Report:
    rows = []
    for index in range(12):
        for number, system in enumerate((NOISY, *models)):
            scores: dict[str, float] = {}
            for metric in metrics:
                scores[f"input_{metric}"] = index / 4
                scores[metric] = index / 4 + 3.0 * number + 0.1 * (index % 3) * number
                scores[improvement_name(metric)] = scores[metric] - scores[f"input_{metric}"]
            tags = {
                "kind": kinds[index % len(kinds)],
                "noise_class": "rain|hail",
                "snr_db": str(5 * (index % 2)),
            }
            clusters = {"talker": f"t{index % 4}", "noise": f"n{index % 5}"}
            rows.append(Row(system, index, f"item-{index}", clusters, tags, scores))
    rows[3].scores["stoi"] = math.nan
    rows[3].reasons["stoi"] = "silent estimate"
    rows[-1].scores, rows[-1].failure = {}, "a.wav: no samples"
    factors = dict.fromkeys(models, 0.012)
    scores = Scores(rows, [NOISY, *models], list(metrics), 12, factors, "f00d", n_threads=2)
    facts = {
        model: ModelFacts(431_234, 287_000_000, Origin(f"runs/{model}", "abcd", data_fingerprint="beef"))
        for model in models
    }
    summaries = [summarise(scores, name, facts=facts.get(name)) for name in (NOISY, *models)]
    differences = paired_differences(scores, list(combinations(models, 2)))
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
    assert table.title == "Test over 12 noisy items of 12"
    # Without a failure the title's number is everyone's.
    whole = [row for row in report.scores.rows if row.index < 11]
    report.scores.rows[:] = whole
    report.summaries = [summarise(report.scores, name) for name in (NOISY, "net")]
    assert headline_table(report).columns == ["system", "SI-SDR dB", "gain", "STOI", "reals"]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("clean", "dry"), "6 noisy items of 12"),
        (("clean",), "12 clean items of 12"),
        (("noise", "clean"), "12 clean and noise items of 12"),
    ],
)
def test_the_title_calls_items_what_they_are(kinds: tuple[str, ...], words: str) -> None:
    assert headline_table(_report(kinds=kinds)).title == f"Test over {words}"


def test_intervals_stand_where_there_are_talkers_and_noises_enough() -> None:
    report = _report()
    headline, _, by_snr, by_noise = tables(report)
    assert headline.note.startswith("±: 95 % interval over 4 talkers and 5 noises;\n")
    assert "5 files, 4 talkers, 4 noises or more" in headline.note
    assert "±" in by_noise.rows[0][-1]
    # Every second item: six files, but two talkers.
    assert [row[1] for row in by_snr.rows] == ["6", "6"]
    assert "±" not in "".join(cell for row in by_snr.rows for cell in row)
    for row in report.scores.rows:
        row.clusters["noise"] = f"n{row.index % 2}"
    few = [summarise(report.scores, summary.system) for summary in report.summaries]
    table = headline_table(Report(report.scores, few, report.models))
    assert table.note.startswith("no ±: too few for an interval over 4 talkers and 2 noises;\n")
    assert "±" not in "".join(cell for row in table.rows for cell in row)


def test_what_a_perfect_score_counts_is_told_of_clean_items() -> None:
    notes_by_kind = [tables(_report(kinds=kinds))[1].note for kinds in (("dry",), ("dry", "clean"))]
    assert notes_by_kind == ["", "a perfect score counts 100 dB"]


def test_all_tables_and_notes_are_printed() -> None:
    text = _printed(_report())
    for words in ("by kind", "by input SNR", "by noise class", "rain|hail", "test set: f00d"):
        assert words in " ".join(text.split())  # titles of narrow tables are folded
    assert "431,234 real parameters, 0.287 GMAC" in text
    assert "real-time factor 0.012 (wall time, 2 threads)\n" in text
    assert "net: checkpoint runs/net, weights abcd, trained on data beef\n" in text
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
    assert "the seed of training is not in them" in text
    assert "not adjusted for the number of comparisons" in text


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
    assert summary["data_fingerprint"] == "beef"
    assert summary["test_fingerprint"] == "f00d"
    assert summary["systems"]["two"]["model"]["weights"] == "abcd"


def test_models_of_other_data_have_no_common_fingerprint() -> None:
    report = _report(("one", "two"))
    report.summaries[2].facts = ModelFacts(origin=Origin("runs/two", "abcd", data_fingerprint="cafe"))
    summary = json.loads(summary_json(report))
    assert summary["data_fingerprint"] is None
    assert [summary["systems"][name]["data_fingerprint"] for name in ("one", "two")] == ["beef", "cafe"]


def test_no_two_columns_have_one_name() -> None:
    tags = {name: name.upper() for name in ("system", "index", "failure", "tag_index", "snr_db")}
    row = Row("net", 0, "x", {"talker": "t"}, tags, {"snr_db": 3.0})
    (read,) = csv.DictReader(io.StringIO(per_file_csv([row], ["snr_db"])))
    assert list(read) == [
        *("system", "index", "name", "talker"),
        *("tag_system", "tag_index", "tag_failure", "tag_tag_index", "mixed_snr_db", "snr_db"),
        *("reasons", "failure"),
    ]
    assert (read["system"], read["tag_system"]) == ("net", "SYSTEM")
    assert (read["tag_index"], read["tag_tag_index"]) == ("INDEX", "TAG_INDEX")


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
    assert notes(report) == ["test set: f"]


def test_writing_is_whole_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "table.md", "y")
    write_text(tmp_path / "new" / "table.md", "z")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.md"]
