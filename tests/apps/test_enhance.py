"""The command line `audiocx enhance`, in-process: files, exit codes, and what it prints."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from audiocx.apps.enhance import main, parse
from audiocx.errors import ConfigError
from audiocx.models.separator import Separator
from audiocx.signal.stft import STFT

REPOSITORY = Path(__file__).parents[2]


class Gain(nn.Module):
    """A separator that multiplies by a constant."""

    uses_utterance_level = False
    causal = False
    n_sources = 1
    task = "enhance"
    sample_rate = 16_000

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.stft = STFT()
        self.gain = gain

    def forward(self, waveform, conditions=None):
        return self.gain * waveform[:, None]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    """A run folder with a tiny untrained model."""
    network = {"_target_": "audiocx.models.unet.UNet", "_partial_": True, "widths": [2, 2]}
    network |= {"kernel_sizes": [[5, 3], [5, 3]], "strides": [[2, 2], [2, 1]]}
    model = {"_target_": "audiocx.models.model.MaskingModel", "network": network}
    run = tmp_path_factory.mktemp("run")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = {"stft": {}, "model": model, "task": "enhance", "n_sources": 1}
        Separator.from_config(config).save(run / "model")
    return str(run)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with recordings in `in/`."""
    tone = 0.5 * np.sin(np.arange(8000) / 7)
    for name, subtype in (("in/a.wav", "PCM_16"), ("in/deep/b.flac", "PCM_24"), ("in/c.ogg", "VORBIS")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone, 16_000, subtype=subtype)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def stub_model(monkeypatch, gain: float) -> None:
    monkeypatch.setattr("audiocx.models.checkpoint.load", lambda path, trust: Gain(gain))


def test_a_folder_is_enhanced(folder, checkpoint, capsys):
    assert main(["in", "-o", "out", "--checkpoint", checkpoint]) == 0

    assert files_below(folder / "out") == ["a_enhanced.wav", "c_enhanced.wav", "deep/b_enhanced.wav"]
    for name, subtype in (("a", "PCM_16"), ("c", "PCM_16"), ("deep/b", "PCM_24")):
        info = soundfile.info(folder / "out" / f"{name}_enhanced.wav")
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (16_000, 1, 8000, subtype)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"3 files -> out{os.sep} on {'cuda' if torch.cuda.is_available() else 'cpu'}"
    assert out[-1].startswith("3 enhanced, 0 skipped, 0 failed; 1.5 s of audio in ")
    assert "real-time factor 0." in out[-1]


def test_what_is_there_is_skipped_unless_told(folder, checkpoint, capsys, monkeypatch):
    assert main(["in/a.wav", "--checkpoint", checkpoint]) == 0
    first = (folder / "enhanced/a_enhanced.wav").read_bytes()
    stub_model(monkeypatch, 0.5)

    assert main(["in/a.wav", "in/c.ogg", "--checkpoint", checkpoint]) == 0
    assert (
        "1 enhanced, 1 skipped (there already; --overwrite does them again), 0 failed"
        in capsys.readouterr().out
    )
    assert (folder / "enhanced/a_enhanced.wav").read_bytes() == first

    assert main(["in/a.wav", "--checkpoint", checkpoint, "--overwrite"]) == 0
    halved = soundfile.read(folder / "enhanced/a_enhanced.wav")[0]
    np.testing.assert_allclose(halved, 0.5 * soundfile.read("in/a.wav")[0], atol=2**-15)


def test_outputs_are_no_inputs(folder, checkpoint):
    for _ in range(2):
        assert main([".", "-o", "in/out", "--checkpoint", checkpoint, "--quiet"]) == 0
    assert files_below(folder / "in/out") == [
        "in/a_enhanced.wav",
        "in/c_enhanced.wav",
        "in/deep/b_enhanced.wav",
    ]


def test_globs_in_quotes(folder, checkpoint):
    assert main(["in/**/*.flac", "-o", "out", "--checkpoint", checkpoint]) == 0
    assert files_below(folder / "out") == ["deep/b_enhanced.wav"]


def test_failures_are_listed_and_the_rest_goes_on(folder, checkpoint, capsys):
    (folder / "in/0.wav").write_text("no audio")
    (folder / "in/e.wav").touch()
    soundfile.write(folder / "in/n.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    (folder / "out").mkdir()
    (folder / "out/deep").touch()  # where a folder is needed

    assert main(["in", "-o", "out", "--checkpoint", checkpoint]) == 1

    captured = capsys.readouterr()
    assert files_below(folder / "out") == ["a_enhanced.wav", "c_enhanced.wav", "deep"]
    assert "2 enhanced, 0 skipped, 4 failed" in captured.out.splitlines()[-1]
    lines = captured.err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [
        f"in{os.sep}0.wav",
        os.path.join("out", "deep", "b_enhanced.wav"),
        f"in{os.sep}e.wav",
        f"in{os.sep}n.wav",
    ]
    assert "Traceback" not in captured.err


def test_one_broken_file_alone_is_exit_1(folder, checkpoint, capsys):
    (folder / "x.wav").write_bytes(b"RIFF")
    assert main(["x.wav", "--checkpoint", checkpoint, "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("failed: x.wav: ")
    assert captured.err.count("\n") == 1
    assert not (folder / "enhanced").exists()


def test_rescaling_is_told(folder, checkpoint, capsys, monkeypatch):
    stub_model(monkeypatch, 4.0)
    assert main(["in/a.wav", "--checkpoint", checkpoint]) == 0
    assert "a_enhanced.wav: would clip as PCM_16, -6.02 dB" in capsys.readouterr().out
    assert np.abs(soundfile.read("enhanced/a_enhanced.wav")[0]).max() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no input"),
        (["in"], "no model"),
        (["in", "--checkpoint"], "--checkpoint: expected one argument"),
        (["in", "--overwite", "--checkpoint", "RUN"], "no option `--overwite`; did you mean `--overwrite`?"),
        (["in", "--chekpoint=RUN"], "no option `--chekpoint`; did you mean `--checkpoint`?"),
        (["in", "--device", "gpu", "--checkpoint", "RUN"], "--device: invalid choice: 'gpu'"),
        (["in", "--block-seconds", "0", "--checkpoint", "RUN"], "--block-seconds: invalid number of seconds"),
        (
            ["in", "--block-seconds", "nan", "--checkpoint", "RUN"],
            "--block-seconds: invalid number of seconds",
        ),
        (["gone.wav", "--checkpoint", "RUN"], "gone.wav: no such file"),
        (["in", "gone.wav", "--checkpoint", "RUN"], "gone.wav: no such file"),
        (["*.flac", "--checkpoint", "RUN"], "*.flac: the pattern matches nothing"),
        (["empty", "--checkpoint", "RUN"], "no audio files in empty"),
        (["in", "--checkpoint", "gone"], "checkpoint gone: no such file"),
        (["in", "--checkpoint", "in"], "checkpoint in: not a run or model folder"),
        (["in", "--checkpoint", "file"], "checkpoint file: cannot be read"),
        (["in", "-o", "in/a.wav", "--checkpoint", "RUN"], "--output in/a.wav; expected a folder"),
        (["in", "-o", "file", "--checkpoint", "RUN"], "output folder file cannot be made"),
        (["in", "-o", "file/deeper", "--checkpoint", "RUN"], "output folder file/deeper cannot be made"),
        (["in", "in/a.flac", "--checkpoint", "RUN"], "would both be written to"),
    ],
)
def test_what_cannot_begin_is_one_line_and_exit_2(folder, checkpoint, capsys, arguments, words):
    (folder / "empty").mkdir()
    (folder / "file").touch()
    soundfile.write(folder / "in/a.flac", np.zeros(10), 16_000)
    if words.startswith("checkpoint") or "output" in words:
        (folder / "in/a.flac").unlink()
    before = files_below(folder)

    code = main([checkpoint if word == "RUN" else word for word in arguments])

    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.startswith("audiocx enhance: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert files_below(folder) == before
    assert not (folder / "enhanced").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_an_absent_gpu_is_exit_2(folder, checkpoint, capsys):
    assert main(["in", "--checkpoint", checkpoint, "--device", "cuda"]) == 2
    assert "device `cuda` is not there" in capsys.readouterr().err
    assert not (folder / "enhanced").exists()


def test_ctrl_c_keeps_what_is_finished(folder, checkpoint, capsys, monkeypatch):
    separator = Gain(0.5)
    calls = []

    def forward(waveform, conditions=None):
        calls.append(waveform)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return waveform[:, None]

    monkeypatch.setattr(separator, "forward", forward)
    monkeypatch.setattr("audiocx.models.checkpoint.load", lambda path, trust: separator)

    assert main(["in", "-o", "out", "--checkpoint", checkpoint]) == 130
    assert files_below(folder / "out") == ["a_enhanced.wav"]
    assert "interrupted; finished files are kept: 1 enhanced" in capsys.readouterr().out

    stub_model(monkeypatch, 0.5)
    assert main(["in", "-o", "out", "--checkpoint", checkpoint]) == 0  # goes on where it stood
    assert "2 enhanced, 1 skipped" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="signals differ")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_of_a_job_keeps_what_is_finished(folder, checkpoint, capsys, monkeypatch, number):
    separator = Gain(0.5)
    calls = []

    def forward(waveform, conditions=None):
        calls.append(waveform)
        if len(calls) == 2:
            os.kill(os.getpid(), number)
        return waveform[:, None]

    monkeypatch.setattr(separator, "forward", forward)
    monkeypatch.setattr("audiocx.models.checkpoint.load", lambda path, trust: separator)
    before = signal.signal(number, signal.SIG_DFL)  # nohup has it ignored, and so does the command

    try:
        assert main(["in", "-o", "out", "--checkpoint", checkpoint]) == 130
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert files_below(folder / "out") == ["a_enhanced.wav"]  # no hidden ones either
    assert "interrupted; finished files are kept: 1 enhanced" in capsys.readouterr().out


def test_interrupted_at_once_it_leaves_no_folder(folder, checkpoint, monkeypatch):
    def load(path, trust):
        separator = Gain(0.5)
        monkeypatch.setattr(separator, "forward", forward)
        return separator

    def forward(waveform, conditions=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("audiocx.models.checkpoint.load", load)
    assert main(["in", "-o", "out/deep", "--checkpoint", checkpoint]) == 130
    assert not (folder / "out").exists()


def test_options_may_stand_anywhere():
    options = parse(["a.wav", "-o", "out", "b.wav", "--checkpoint=run", "c.wav", "--block-seconds", "7.5"])
    assert options.inputs == ["a.wav", "b.wav", "c.wav"]
    assert (options.output, options.checkpoint, options.block_seconds) == ("out", "run", 7.5)
    with pytest.raises(ConfigError, match="did you mean `--checkpoint`"):
        parse(["a.wav", "--check", "run"])  # no abbreviations: they would break when options are added


def test_help_names_every_option(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--output", "--checkpoint", "--overwrite", "--device", "--block-seconds", "--quiet"):
        assert option in text


IMPORTED = """
import json, sys
from audiocx.apps.enhance import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def imported_by(arguments: list[str], folder: Path) -> tuple[int, set[str]]:
    result = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    code, names = json.loads(result.stderr.splitlines()[-1])
    return code, set(names)


def test_enhancing_needs_no_trainer(folder, checkpoint):
    code, names = imported_by(["in", "--checkpoint", checkpoint], folder)
    assert code == 0
    assert not names & {
        "lightning",
        "torchmetrics",
        "hydra",
        "omegaconf",
        "librosa",
        "numba",
        "torchaudio",
        "scipy",
    }
    assert {"torch", "soundfile"} <= names


def test_a_terminal_without_the_letters_is_no_failure(folder, checkpoint):
    (folder / "in/a.wav").rename(folder / "in/größe 音.wav")
    (folder / "in/größe 話.wav").write_text("no audio")
    result = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts/enhance.py"), "in", "--checkpoint", checkpoint],
        capture_output=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "ascii"},
    )
    assert result.returncode == 1
    assert b"3 enhanced, 0 skipped, 1 failed" in result.stdout
    assert b"Traceback" not in result.stderr
    assert (folder / "enhanced/größe 音_enhanced.wav").exists()


@pytest.mark.skipif(os.name != "posix", reason="pipes differ")
def test_a_reader_that_leaves_stops_nothing(folder, checkpoint):
    command = f'"{sys.executable}" "{REPOSITORY}/scripts/enhance.py" in --checkpoint "{checkpoint}" | true'
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        command, shell=True, capture_output=True, timeout=120, cwd=folder, env=environment
    )
    assert result.stderr == b""
    assert len(files_below(folder / "enhanced")) == 3
