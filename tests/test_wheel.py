"""A built wheel, installed elsewhere, does what the checkout does: from an empty folder, with no network."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
TINY = [
    "data.corpus.voices=harmonic",
    "data.corpus.train_voices=2",
    "data.corpus.valid_voices=1",
    "data.corpus.test_voices=2",
    "data.corpus.voice_seconds=6.0",
    "data.corpus.noise_recordings=4",
    "data.corpus.noise_seconds=4.5",
    "data.num_workers=0",
    "data.batch_size=2",
    "data.segment_seconds=0.5",
    "trainer.accelerator=cpu",
    "trainer.max_steps=2",
]
NO_NETWORK = {"PIP_NO_INDEX": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}

MODEL = '''
import torch
from torch import nn


class Gains(nn.Module):
    """A model of one's own, of nothing but torch: a real gain for each frequency."""

    def __init__(self, n_sources, n_frequencies, start):
        super().__init__()
        self.gains = nn.Parameter(torch.full((n_sources, 1, n_frequencies, 1), float(start)))

    def forward(self, mixture_stft, conditions=None):
        return self.gains * torch.ones_like(mixture_stft)[:, None]

    def apply_mask(self, mixture_stft, mask):
        return mask * mixture_stft[:, None]
'''

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", str(ROOT), "--no-build-isolation", "-w", str(folder))
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip("install", str(wheel), "--target", str(folder))
    return folder


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--no-deps", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **NO_NETWORK})
    assert done.returncode == 0, done.stderr


@pytest.fixture
def audiocx(site: Path, tmp_path: Path) -> Callable[..., str]:
    """Run the installed command in an empty folder; gives what it printed."""

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, str(site / "bin" / "audiocx"), *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={
                **os.environ,
                **NO_NETWORK,
                "PYTHONPATH": str(site),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
            },
            timeout=300,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


def test_what_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    yamls = {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml")}
    assert yamls <= {name.removeprefix("audiocx/") for name in names}
    assert "audiocx/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"audiocx"}


def test_it_runs_as_a_module_too(site: Path, tmp_path: Path) -> None:
    code = "import audiocx; print(audiocx.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for words, expected in ((["-c", code], str(site)), (["-m", "audiocx", "--version"], "audiocx 0")):
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(expected)


def test_train_evaluate_and_enhance(audiocx: Callable[..., str], tmp_path: Path) -> None:
    audiocx("train", *TINY, "model.network.widths=[2,2,2,2,2]", "n_examples=0")
    (run,) = (tmp_path / "outputs" / "train" / "complex_unet").iterdir()

    quick = ["metrics=[si_sdr_db]", "n_examples=0"]
    printed = audiocx(
        "evaluate", f"checkpoint={run}", *quick, *[word for word in TINY if "trainer" not in word]
    )
    assert "complex_unet" in printed
    assert list((tmp_path / "outputs" / "evaluate").rglob("summary.json"))

    soundfile.write(tmp_path / "talk.flac", np.sin(np.arange(9000) / 9), 44_100)
    audiocx("enhance", "talk.flac", "--checkpoint", str(run))
    info = soundfile.info(tmp_path / "enhanced" / "talk_enhanced.wav")
    assert (info.frames, info.samplerate, info.subtype) == (9000, 44_100, "PCM_16")


def test_a_package_of_ones_own_beside_it(audiocx: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "gains.py").write_text(MODEL)
    (tmp_path / "myconf" / "model").mkdir(parents=True)
    (tmp_path / "myconf" / "model" / "gains.yaml").write_text("_target_: mypackage.gains.Gains\nstart: 0.5\n")
    audiocx("train", "--config-dir", "myconf", "model=gains", *TINY, "hydra.run.dir=run", "test=false")
    goes_on = ["trainer.max_steps=3", "test=false", "hydra.run.dir=run2"]
    audiocx("train", "--config-dir", "myconf", "model=gains", *TINY, "checkpoint=run", *goes_on)

    waveform = 0.5 * np.sin(np.arange(9000) / 9)
    soundfile.write(tmp_path / "talk.wav", waveform, 16_000, subtype="FLOAT")
    assert "--trust mypackage" in audiocx("enhance", "talk.wav", "--checkpoint", "run2", code=2)
    audiocx("enhance", "talk.wav", "--checkpoint", "run2", "--trust", "mypackage")
    estimate, _ = soundfile.read(tmp_path / "enhanced" / "talk_enhanced.wav")
    assert np.abs(estimate - 0.5 * waveform).max() < 0.05  # gains of 0.5 that three steps have hardly moved
