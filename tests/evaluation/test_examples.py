"""Examples to hear and see: which items, and what the files hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiocx.data.batch import Example
from audiocx.data.test_set import TestSet
from audiocx.evaluation.baselines import noisy
from audiocx.evaluation.examples import choose_items, picture_title, write_example, write_examples
from audiocx.evaluation.scoring import Row, score
from audiocx.signal.stft import STFT


def _rows(n: int) -> list[Row]:
    return [Row("net", index, str(index), tags={"kind": "dry"}) for index in range(n)]


@pytest.mark.parametrize(
    ("n_rows", "n_items", "chosen"), [(9, 3, [0, 4, 8]), (2, 5, [0, 1]), (9, 1, [0]), (9, 0, []), (0, 3, [])]
)
def test_items_are_spread_over_the_set(n_rows: int, n_items: int, chosen: list[int]) -> None:
    assert [row.index for row in choose_items(_rows(n_rows), n_items)] == chosen


def test_failed_and_clean_items_are_not_shown() -> None:
    rows = _rows(5)
    rows[0].failure = "broken"
    rows[4].tags["kind"] = "clean"
    assert [row.index for row in choose_items(rows, 5)] == [1, 2, 3]


def test_title() -> None:
    row = Row("net", 0, "007", tags={"noise_class": "rain", "snr_db": "5"})
    row.scores = {"input_si_sdr_db": 4.96, "si_sdr_db": 13.04}
    assert picture_title(row) == "007    rain, 5 dB    SI-SDR 5.0 → 13.0 dB"
    assert picture_title(Row("net", 0, "x", scores={"input_si_sdr_db": math.nan})) == "x"


def test_files_of_a_test_set(make_set: Callable[..., TestSet], tmp_path: Path) -> None:
    test_set, system = make_set(), noisy(1)
    rows = score(test_set, {"noisy": system}, stft=STFT(), metrics=["si_sdr_db"]).rows
    write_examples(tmp_path, test_set, system, rows, STFT(), 2)
    names = [f"{n}{end}" for n in (0, 1) for end in (".png", "_clean.wav", "_estimate.wav", "_noisy.wav")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    info = soundfile.info(tmp_path / "0_noisy.wav")
    assert (info.subtype, info.samplerate, info.frames) == ("PCM_16", 16000, 16000)
    samples, _ = soundfile.read(tmp_path / "0_clean.wav")
    assert np.allclose(samples, test_set[0].target[0, 0], atol=1e-4)
    assert (tmp_path / "0.png").read_bytes()[:4] == b"\x89PNG"


def test_what_would_clip_is_turned_down_together(tmp_path: Path) -> None:
    ramp = torch.linspace(-1, 1, 1000).view(1, 1, -1)
    example = Example(2.0 * ramp[0], 0.5 * ramp, 0, "loud")
    write_example(tmp_path, "0", example, 4.0 * ramp, STFT(), "")
    peaks = {
        name: np.abs(soundfile.read(tmp_path / f"0_{name}.wav")[0]).max()
        for name in ("noisy", "estimate", "clean")
    }
    assert peaks["estimate"] == pytest.approx(1.0, abs=1e-3)
    assert peaks["noisy"] == pytest.approx(0.5, abs=1e-3)
    assert peaks["clean"] == pytest.approx(0.125, abs=1e-3)


def test_sources_are_numbered(make_set: Callable[..., TestSet], tmp_path: Path) -> None:
    example = make_set(n_sources=2)[0]
    write_example(tmp_path, "3", example, example.target, STFT(), "")
    assert {path.name for path in tmp_path.glob("*.wav")} == {
        "3_noisy.wav",
        "3_clean_1.wav",
        "3_clean_2.wav",
        "3_estimate_1.wav",
        "3_estimate_2.wav",
    }
