"""The command line `audiocx evaluate`, in-process: what it writes, prints and returns."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf

from audiocx.apps.evaluate import model_names
from audiocx.apps.main import main
from audiocx.apps.settings import word_list
from audiocx.errors import ConfigError
from audiocx.models.separator import Separator

RATE = 16000
QUICK = ["metrics=[si_sdr_db]", "n_examples=1", "threads=1", "device=cpu"]


def _run(folder: Path, seed: int) -> Path:
    """A run folder with a tiny untrained model."""
    network = {"_target_": "audiocx.models.unet.UNet", "_partial_": True, "widths": [2, 2]}
    network |= {"kernel_sizes": [[5, 3], [5, 3]], "strides": [[2, 2], [2, 1]]}
    model = {"_target_": "audiocx.models.model.MaskingModel", "network": network}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = {"stft": {}, "model": model, "task": "enhance", "n_sources": 1}
        Separator.from_config(config).save(folder / "model")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two runs and a test set of five items, one of them noise alone."""
    generator = np.random.default_rng(0)
    rows = [["name", "kind", "snr_db", "speaker", "noise", "noise_class"]]
    for index in range(5):
        target = 0.2 * np.sin(np.arange(RATE) / (9 + index)) * (np.arange(RATE) % 5000 > 1000)
        kind = "noise" if index == 4 else "dry"
        target *= kind == "dry"
        noise = 0.05 * generator.standard_normal(RATE)
        for part, samples in (("noisy", target + noise), ("clean", target)):
            (tmp_path / "set" / part).mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "set" / part / f"{index}.flac", samples, RATE)
        rows.append(
            [f"{index}.flac", kind, "5.0" if kind == "dry" else "", f"s{index % 2}", f"n{index}", "hiss"]
        )
    with (tmp_path / "set" / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    _run(tmp_path / "a", 0)
    _run(tmp_path / "b", 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _evaluate(*words: str) -> int:
    return main(["evaluate", *words, *QUICK])


def test_a_model_on_a_ready_set(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _evaluate("checkpoint=a", "data.test=set", "hydra.run.dir=out") == 0
    printed = capsys.readouterr().out
    for words in ("Test over 4 noisy items of 5", "log-MMSE", "oracle (phase-sensitive)", "results:"):
        assert words in printed
    summary = json.loads((place / "out" / "test" / "summary.json").read_text(encoding="utf-8"))
    assert summary["files"] == 5
    assert summary["by_kind"]["noise"]["metrics"]["attenuation_db"]["n"] == 1
    assert list(summary["by_input_snr_db"]) == ["5"]
    assert summary["model"]["parameters_real"] > 0
    # Its run tells neither step nor data.
    assert summary["model"]["checkpoint"] == "a"
    assert "step" not in summary["model"]
    assert summary["data_fingerprint"] is None
    environment = json.loads((place / "out" / "environment.json").read_text(encoding="utf-8"))
    assert environment["test_fingerprint"] == summary["test_fingerprint"]
    assert environment["data_fingerprint"] is None
    weights, digest = summary["model"]["weights"], summary["test_fingerprint"]
    for written in (printed, (place / "out" / "test" / "table.md").read_text(encoding="utf-8")):
        assert f"a: checkpoint a, weights {weights}\n" in written
        assert f"test set: {digest}\n" in written
        assert "over 2 talkers and 4 noises" in written
        assert "(wall time, 1 thread)" in written
    assert {path.suffix for path in (place / "out" / "examples").iterdir()} == {".wav", ".png"}
    assert {path.name for path in place.iterdir()} == {"a", "b", "set", "out"}


def test_the_folder_is_dated_and_the_run_untouched(place: Path) -> None:
    before = sorted(path.name for path in (place / "a").rglob("*"))
    assert _evaluate("checkpoint=a/model", "data.test=set") == 0
    (written,) = (place / "outputs" / "evaluate").iterdir()
    assert sorted(path.name for path in written.iterdir()) == [
        "config.yaml",
        "environment.json",
        "examples",
        "test",
    ]
    assert sorted(path.name for path in (place / "a").rglob("*")) == before


def test_several_models_have_differences(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (place / name / "environment.json").write_text('{"data_fingerprint": "beef"}', encoding="utf-8")
    assert _evaluate("checkpoint=[a,b]", "data.test=set", "hydra.run.dir=out") == 0
    assert "a − b" in capsys.readouterr().out
    summary = json.loads((place / "out" / "test" / "summary.json").read_text(encoding="utf-8"))
    assert list(summary["systems"]) == ["a", "b"]
    assert summary["data_fingerprint"] == "beef"
    environment = json.loads((place / "out" / "environment.json").read_text(encoding="utf-8"))
    assert environment["data_fingerprint"] == "beef"
    weights = {summary["systems"][name]["model"]["weights"] for name in "ab"}
    assert len(weights) == 2
    means = [summary["systems"][name]["metrics"]["si_sdr_db"]["mean"] for name in "ab"]
    assert summary["differences"][0]["mean"] == pytest.approx(means[0] - means[1])


def test_estimates_of_any_system(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "done").mkdir()
    for index in (0, 1, 2, 4):
        samples, _ = soundfile.read(place / "set" / "clean" / f"{index}.flac")
        soundfile.write(place / "done" / f"{index}_enhanced.wav", 0.5 * samples, RATE, subtype="FLOAT")
    assert _evaluate("estimates=done", "data.test=set", "hydra.run.dir=out") == 1
    captured = capsys.readouterr().out
    assert "1 failed:" in captured
    assert "3 (done): 3: no estimate in done" in captured
    summary = json.loads((place / "out" / "test" / "summary.json").read_text(encoding="utf-8"))
    assert summary["failed"] == 1
    assert summary["metrics"]["si_sdr_db"]["n"] == 3
    assert summary["metrics"]["si_sdr_db"]["mean"] == pytest.approx(100.0)


def test_estimates_of_no_item_are_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "done").mkdir()
    for name in ("0", "1", "2", "3", "4", "5", "O"):
        soundfile.write(place / "done" / f"{name}.wav", np.zeros(RATE), RATE)
    assert _evaluate("estimates=done", "data.test=set", "hydra.run.dir=out") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "no item" in line]
    assert lines == ["warning: 2 of 7 files in done belong to no item, 5.wav for one"]


def test_the_noisy_phase_beside_the_full_mask(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("data.test=set", "hydra.run.dir=out", "noisy_phase=true")
    assert _evaluate("checkpoint=a", *words) == 0
    summary = json.loads((place / "out" / "test" / "summary.json").read_text(encoding="utf-8"))
    assert list(summary["systems"]) == ["a", "a, |M|"]
    means = [system["metrics"]["si_sdr_db"]["mean"] for system in summary["systems"].values()]
    assert means[0] != means[1]
    assert summary["differences"][0]["mean"] == pytest.approx(means[0] - means[1])
    assert "a, |M|" in capsys.readouterr().out
    assert "a, \\|M\\|" in (place / "out" / "test" / "table.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in (place / "out" / "examples").iterdir()) == ["a", "a, _M_"]
    (place / "done").mkdir()
    soundfile.write(place / "done" / "0.wav", np.zeros(RATE), RATE)
    assert _evaluate("estimates=done", *words) == 2
    assert "noisy_phase=true is about a model's mask" in capsys.readouterr().err


def test_an_unreadable_item_fails_and_the_rest_goes_on(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "set" / "noisy" / "2.flac").write_bytes(b"no audio")
    assert _evaluate("checkpoint=a", "data.test=set", "hydra.run.dir=out") == 1
    assert "2.flac" in capsys.readouterr().out
    rows = list(csv.DictReader((place / "out" / "test" / "per_file.csv").open(encoding="utf-8")))
    assert {row["name"] for row in rows if row["failure"]} == {"2"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "either checkpoint=RUN"),
        (("checkpoint=a", "estimates=a"), "got both"),
        (("checkpoint=nowhere", "data.test=set"), "no such file or folder"),
        (("checkpoint=set", "data.test=set"), "not a run or model folder"),
        (("estimates=nowhere", "data.test=set"), "no such file or folder"),
        (("estimates=a", "data.test=set"), "no audio files"),
        (("estimates=[a,b]", "data.test=set"), "estimates; expected one folder"),
        (("checkpoint=a", "data.test=nowhere"), "nowhere"),
        (("checkpoint=a", "data.test=set", "metric=[stoi]"), "metric"),
        (("checkpoint=a", "data.test=set", "metrics=[si_sdr]"), "did you mean `si_sdr_db`"),
        (("checkpoint=a", "data.test=set", "device=tpu"), "tpu"),
        (("checkpoint=a", "data.test=set", "metrics=[]"), "metrics; expected a list of at least 1"),
        (("checkpoint=a", "data.test=set", "metrics=null"), "got null"),
        (("checkpoint=a", "data.test=set", "metrics=[1]"), "metrics; expected a list"),
        (("checkpoint=a", "data.test=set", "metrics=[os.path.join]"), "fails on a second of noise"),
        (("checkpoint=a", "data.test=set", "metrics=[.x]"), "metrics"),
        (
            ("checkpoint=a", "data.test=set", "trust=null"),
            "trust; expected a list, as trust=[WORD], got null",
        ),
    ],
)
def test_usage_errors_are_one_line_and_leave_nothing(
    place: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = [word for word in QUICK if word.partition("=")[0] not in {w.partition("=")[0] for w in words}]
    assert main(["evaluate", *words, *quick]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not (place / "outputs").exists()


@pytest.mark.parametrize("kept", ["config.yaml", "model", "checkpoints"])
def test_a_training_run_is_never_written_into(
    place: Path, kept: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiocx.apps.evaluate.load", lambda path, trust: pytest.fail("it was loaded"))
    run = place / "run"
    run.mkdir()
    if kept == "config.yaml":
        (run / kept).write_text("trainer: {}\n", encoding="utf-8")
    else:
        (run / kept).mkdir()
    assert _evaluate("checkpoint=a", "data.test=set", "hydra.run.dir=run") == 2
    error = capsys.readouterr().err.strip()
    assert "choose another hydra.run.dir" in error
    assert "\n" not in error
    assert [path.name for path in run.iterdir()] == [kept]


def test_a_single_word_is_a_list_of_one() -> None:
    assert word_list(1, "metrics", "stoi") == ["stoi"]
    assert word_list(0, "trust", OmegaConf.create(["a", "b"])) == ["a", "b"]
    assert word_list(0, "trust", []) == []
    for wrong in ([], None, 3, [""], ["a", None], {"a": 1}):
        with pytest.raises(
            ConfigError, match=r"metrics; expected a list of at least 1, as metrics=\[WORD\], got"
        ):
            word_list(1, "metrics", wrong)


def test_names_of_models(tmp_path: Path) -> None:
    runs = [
        f"{tmp_path}/{model}/2026-01-0{day}_10-00-00"
        for model, day in (("unet", 1), ("unet", 2), ("dual", 3))
    ]
    assert model_names(runs) == ["unet 2026-01-01_10-00-00", "unet 2026-01-02_10-00-00", "dual"]
    assert model_names([f"{runs[2]}/model"]) == ["dual"]
    assert model_names([f"{runs[2]}/checkpoints/best.ckpt"]) == ["dual"]
    assert len(set(model_names([f"{runs[2]}/model", f"{runs[2]}/checkpoints/best.ckpt"]))) == 2
    assert model_names([f"{tmp_path}/mine"]) == ["mine"]
