"""`audiocx train` as a user calls it, in-process, on a corpus small enough for a test."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

import audiocx
from audiocx.apps.main import main
from audiocx.models.counting import count_parameters

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
    "model.network.widths=[2,2,3,3,4]",
    "trainer.accelerator=cpu",
    "logger.log_every_n_steps=1",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def train(cache, tmp_path, monkeypatch):
    """Run the command in an empty folder; gives (exit code, run folder)."""
    monkeypatch.chdir(tmp_path)
    # Every run validates, and rendering and scoring items takes longer than the steps.
    for name, count in (("VALID", 2), ("TEST_NOISY", 4), ("TEST_CLEAN", 1), ("TEST_NOISE", 1)):
        monkeypatch.setattr(f"audiocx.data.synthetic.{name}_ITEMS", count)

    def run(*words: str, name: str = "run") -> tuple[int, Path]:
        code = main(["train", *TINY, f"data.cache_dir={cache}", f"hydra.run.dir={name}", *words])
        return code, tmp_path / name

    return run


def losses(folder: Path) -> dict[int, float]:
    lines = (folder / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    return {int(row["step"]): float(row["train/loss"]) for row in rows if row["train/loss"]}


def test_a_run_from_end_to_end(train, noise, capsys):
    code, folder = train("trainer.max_steps=4", "trainer.val_check_interval=2", "n_examples=1")
    assert code == 0
    printed = capsys.readouterr().out
    assert "complex_unet" in printed
    assert "log-MMSE" in printed
    assert "real parameters" in printed
    assert str(folder.name) in printed
    for place in (
        "config.yaml",
        "environment.json",
        "capacity.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "model/config.json",
        "model/model.safetensors",
        "metrics.csv",
        "test/per_file.csv",
        "test/summary.json",
        "test/table.md",
        "examples/0.png",
        "examples/0_noisy.wav",
        "examples/0_estimate.wav",
        "examples/0_clean.wav",
        "log.txt",
    ):
        assert (folder / place).is_file(), place
    assert list((folder / "tensorboard").glob("events*"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["trainer"]["max_steps"] == 4
    summary = json.loads((folder / "test" / "summary.json").read_text())
    environment = json.loads((folder / "environment.json").read_text())
    assert summary["data_fingerprint"] == environment["data_fingerprint"]
    assert summary["test_fingerprint"] not in (None, "", summary["data_fingerprint"])
    assert summary["model"]["checkpoint"] == str(Path("checkpoints", "best.ckpt"))
    assert f"test set: {summary['test_fingerprint']}" in (folder / "test" / "table.md").read_text()
    assert summary["metrics"]["si_sdr_improvement_db"]["n"] > 0
    for word in ("data ", "stft ", "network ", "metrics "):
        assert word in (folder / "log.txt").read_text()
    assert sorted(losses(folder)) == [0, 1, 2, 3]
    # Checkpoints load without pickled classes, and give what the portable folder gives.
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["global_step"] in (2, 4)
    assert summary["model"]["step"] == checkpoint["global_step"]
    waveform = noise(1, 1, 4000)
    assert torch.equal(
        audiocx.load(folder)(waveform), audiocx.load(folder / "checkpoints" / "best.ckpt")(waveform)
    )


def test_the_same_seed_gives_the_same_run(train):
    words = ("trainer.max_steps=3", "test=false", "trainer.deterministic=true")
    _, first = train(*words, name="first")
    _, second = train(*words, name="second")
    _, other = train(*words, "seed=1", name="other")
    assert losses(first) == losses(second)
    assert losses(first) != losses(other)


def test_jobs_of_a_sweep_fail_apart(train, capsys):
    """One job fails, the other is done: a line for the one, exit code 1."""
    words = ("test=false", "trainer.max_steps=1", "hydra.sweep.dir=sweep", "model.level=utterance,loudest")
    code, folder = train(*words, "-m")
    error = capsys.readouterr().err
    assert code == 1
    assert "loudest" in error
    assert len(list((folder.parent / "sweep").rglob("model.safetensors"))) == 1


def test_another_run_is_not_overwritten(train, capsys):
    words = ("test=false", "trainer.max_steps=1")
    assert train(*words)[0] == 0
    code, folder = train(*words)
    assert code == 2
    assert "holds another run" in capsys.readouterr().err
    assert (folder / "model").is_dir()


def test_what_cannot_be_gone_on_from_says_so(train, capsys):
    _, folder = train("test=false", "trainer.max_steps=1")
    capsys.readouterr()
    for words, expected in (
        (["trainer.max_steps=1"], "at step 1 already"),
        (["trainer.max_steps=2", "model=split_unet"], "its model is another"),
        (["trainer.max_steps=2", "optimizer=adamw"], "another optimizer"),
    ):
        code, _ = train(f"checkpoint={folder}", *words, name="rest")
        error = capsys.readouterr().err
        assert code == 2
        assert expected in error
        assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "model",
    ["magnitude_unet", *(pytest.param(m, marks=pytest.mark.slow) for m in ("split_unet", "dual_unet"))],
)
def test_twins_run_the_same_way(train, model):
    # Test scoring is the same code for all and takes seconds: one of them is enough.
    scored = model == "magnitude_unet"
    code, folder = train(f"model={model}", "trainer.max_steps=1", "n_examples=0", f"test={scored}")
    assert code == 0
    assert (folder / "model" / "config.json").is_file()
    assert (folder / "test" / "table.md").is_file() is scored
    # The ledger tells of the model that was trained and saved, and of the complex one that it was matched to.
    ledger = json.loads((folder / "capacity.json").read_text())
    own, counterpart = ledger["costs"]
    assert own["parameters_real"] == count_parameters(audiocx.load(folder))
    assert own["parameters_real"] == pytest.approx(counterpart["parameters_real"], rel=0.01)
    assert ledger["difference_percent"] == pytest.approx(
        100 * (own["parameters_real"] / counterpart["parameters_real"] - 1)
    )
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["model"]["network"]["widths"] == [2, 2, 3, 3, 4]  # as written: resuming matches them again


def test_a_package_of_ones_own(train, tmp_path, capsys, noise):
    """One file and one yaml beside it train; the model loads again where its package is trusted."""
    (tmp_path / "mynets").mkdir()
    (tmp_path / "mynets" / "__init__.py").write_text("")
    (tmp_path / "mynets" / "tiny.py").write_text(
        "from torch import nn\n"
        "class Tiny(nn.Module):\n"
        "    def __init__(self, arithmetic, in_planes, out_planes, *, width, n_frequencies):\n"
        "        super().__init__()\n"
        "        planes = arithmetic.planes(width)\n"
        "        self.first = arithmetic.convolution(in_planes, planes, (3, 3), (1, 1), (1, 1), bias=True)\n"
        "        self.last = arithmetic.convolution(planes, out_planes, (3, 3), (1, 1), (1, 1), bias=True)\n"
        "    def forward(self, planes):\n"
        "        return self.last(self.first(planes).relu())\n"
    )
    (tmp_path / "myconf" / "model").mkdir(parents=True)
    (tmp_path / "myconf" / "model" / "tiny.yaml").write_text(
        "_target_: audiocx.models.model.MaskingModel\n"
        "network: {_target_: mynets.tiny.Tiny, _partial_: true, width: 2}\n"
    )
    words = [word for word in TINY if not word.startswith("model.")]
    code = main(
        [
            "train",
            "--config-dir",
            str(tmp_path / "myconf"),
            "model=tiny",
            *words,
            "hydra.run.dir=own",
            "trainer.max_steps=1",
            "test=false",
            f"data.cache_dir={tmp_path}",
        ]
    )
    assert code == 0, capsys.readouterr().err
    with pytest.raises(audiocx.AudiocxError, match="--trust mynets"):
        audiocx.load(tmp_path / "own")
    assert audiocx.load(tmp_path / "own", trust=["mynets"])(noise(1, 1, 500)).shape == (1, 1, 1, 500)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mynets"]:
        del sys.modules[name]
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    "loss",
    ["weighted", *(pytest.param(name, marks=pytest.mark.slow) for name in ("si_sdr", "compressed_spectral"))],
)
def test_every_loss_runs(train, loss):
    code, folder = train(f"loss={loss}", "trainer.max_steps=1", "test=false")
    assert code == 0
    assert len(losses(folder)) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=comlpex_unet"], "did you mean `complex_unet`"),
        (["trainer.max_stps=3"], "did you mean `trainer.max_steps`"),
        (["max_steps=3"], "did you mean `trainer.max_steps`"),
        (["--modl=x"], "no option `--modl`"),
        (["+model.bias_typo=1"], "no parameter `bias_typo`"),
        (["model.arithmetic=compelx"], "did you mean `complex`"),
        (["capacity=paramters"], "did you mean `parameters`"),
        (["model.features=magnitude"], "no imaginary part"),
        (["checkpoint=nothing"], "no such file or folder"),
        (["data=folder"], "data.root"),
        (["data=folder", "data.root=missing"], "missing"),
        (["stft.hop_length=700"], "lengths do not fit"),
        (["trainer=gpu"], "trainer"),
        (["model=nope"], "known: complex_dualpath, complex_unet, "),
        (["seed=-1"], "seed"),
        (["trainer.max_steps=abc"], "trainer.max_steps"),
        (["trainer.max_steps=-1"], "at least 1"),
        (["trainer.val_check_interval=0.5"], "trainer.val_check_interval"),
        (["trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches"),
        (["trainer.devices=3"], "trainer.devices"),
        (["trainer.checkpoint_interval=0"], "trainer.checkpoint_interval"),
        (["early_stop.patience=0"], "early_stop.patience"),
        (["init=nothing"], "no such file"),
        (["+optimizer.foo=1"], "optimizer"),
        (["optimizer.lr=abc"], "optimizer"),
        (["optimizer=adamw", "optimizer.lr=-1"], "optimizer"),
        (["+scheduler.foo=1"], "scheduler"),
        (["loss=null"], "do not compose"),
        (["loss.weights.shape=abc"], "loss"),
        (["model.mask_bound=abc"], "model"),
        (["model.network.widths=5"], "model"),
        (["model.network.strides=[[0,1],[2,2],[2,1],[2,1],[2,1]]"], "model"),
        (["model._target_=foo"], "model"),
        (["stft.n_fft=abc"], "stft"),
        (["+stft.foo=1"], "foo"),
        (["stft.sample_rate=0"], "stft"),
        (["data.batch_size=x"], "data"),
        (["hydra.run.dir=afile/run"], "cannot be made"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(words, expected, tmp_path, monkeypatch, capsys):
    if words == ["trainer=gpu"] and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    here = tmp_path / "empty" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    (tmp_path / "afile").write_text("")
    code = main(["train", *[word.replace("afile", str(tmp_path / "afile")) for word in words]])
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert expected in captured.err
    assert len(captured.err.strip().splitlines()) == 1, captured.err
    assert here.is_dir()
    assert not list(here.rglob("*")), "something half-written was left behind"


def test_a_loss_that_is_no_number_stops(train, capsys):
    code, _ = train("trainer.max_steps=30", "test=false", "optimizer=adamw", "optimizer.lr=3e37")
    assert code == 1
    assert "the loss is" in capsys.readouterr().err


def test_interrupt_leaves_a_checkpoint_and_exits_130(cache, tmp_path):
    words = [*TINY, f"data.cache_dir={cache}", "hydra.run.dir=run", "trainer.max_steps=100000", "test=false"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; from audiocx.apps.main import main; sys.exit(main(['train', *{words!r}]))",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        metrics = tmp_path / "run" / "metrics.csv"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not metrics.exists():
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.2)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, printed
    assert "stopped at step" in printed
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] > 0
    assert audiocx.load(tmp_path / "run").n_sources == 1
