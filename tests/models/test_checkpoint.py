from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

import audiocx
from audiocx.errors import CheckpointError, ConfigError, ShapeError
from audiocx.models.checkpoint import CHECKPOINT_KEY, load
from audiocx.models.separator import CONFIG_NAME, WEIGHTS_NAME, Separator

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def separator() -> Separator:
    model = yaml.safe_load((CONF / "model" / "complex_unet.yaml").read_text())
    model["network"] |= {"widths": [2, 2], "kernel_sizes": [[3, 3]] * 2, "strides": [[2, 2], [2, 1]]}
    stft = yaml.safe_load((CONF / "stft" / "speech_16k.yaml").read_text())
    return Separator.from_config({"task": "enhance", "n_sources": 1, "stft": stft, "model": model}).eval()


@pytest.mark.parametrize("n_samples", [1, 255, 256, 1000])
def test_output_is_as_long_as_the_input(separator, n_samples, noise):
    assert separator(noise(2, 3, n_samples)).shape == (2, 1, 3, n_samples)


def test_waveform_needs_three_axes(separator, noise):
    with pytest.raises(ShapeError, match="batch, channel, sample"):
        separator(noise(2, 100))


def test_saving_replaces_whole_and_leaves_nothing_else(separator, tmp_path):
    separator.save(tmp_path / "model")
    separator.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [CONFIG_NAME, WEIGHTS_NAME]
    config = json.loads((tmp_path / "model" / CONFIG_NAME).read_text())
    assert config["format_version"] == 1
    assert config["audiocx_version"] == audiocx.__version__


def test_loads_a_run_folder_and_a_lightning_checkpoint(separator, tmp_path, noise):
    waveform = noise(1, 1, 2000)
    separator.save(tmp_path / "run" / "model")
    assert torch.equal(load(tmp_path / "run")(waveform), separator(waveform))
    state = {f"separator.{name}": value for name, value in separator.state_dict().items()}
    path = tmp_path / "going-on" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({CHECKPOINT_KEY: separator.config, "state_dict": state}, path)
    assert torch.equal(load(path)(waveform), separator(waveform))
    assert torch.equal(load(tmp_path / "going-on")(waveform), separator(waveform))


def test_a_run_folder_gives_the_best_weights_there_are(separator, tmp_path):
    """`model/` is there only while no training goes on; then the best checkpoint comes, and the last one last."""

    def level_of(separator: Separator) -> float:
        return float(next(iter(separator.model.state_dict().values())).mean())

    def filled(value: float) -> dict[str, torch.Tensor]:
        return {
            f"separator.{name}": torch.full_like(weight, value)
            for name, weight in separator.state_dict().items()
            if name.startswith("model.")
        }

    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="without a checkpoint yet"):
        load(run)
    for name, value in (("last.ckpt", 1.0), ("best.ckpt", 2.0)):
        content = {CHECKPOINT_KEY: separator.config, "state_dict": filled(value)}
        torch.save(content, run / "checkpoints" / name)
        assert level_of(load(run)) == value
    separator.save(run / "model")
    assert level_of(load(run)) == level_of(separator)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_what_is_no_checkpoint_says_so(separator, tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="not a run or model folder"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(write(tmp_path / "a.ckpt", b"no checkpoint"))
    for seed in range(20):
        random = torch.randint(0, 256, (300,), generator=torch.Generator().manual_seed(seed))
        with pytest.raises(CheckpointError, match="cannot be read"):
            load(write(tmp_path / "a.wav", bytes(random.tolist())))
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="not a checkpoint of audiocx"):
        load(tmp_path / "other.ckpt")
    assert CheckpointError.exit_code == 2


def test_broken_model_folders_say_so(separator, tmp_path):
    def changed(name: str, **keys: object) -> Path:
        folder = tmp_path / name
        separator.save(folder)
        config = json.loads((folder / CONFIG_NAME).read_text())
        config.update(keys)
        write(folder / CONFIG_NAME, json.dumps(config))
        return folder

    with pytest.raises(CheckpointError, match="newer audiocx"):
        load(changed("newer", format_version=99))
    with pytest.raises(ConfigError, match=r"names `mypackage\.Net`"):
        load(changed("foreign", model={"_target_": "mypackage.Net"}))
    with pytest.raises(CheckpointError, match="incomplete"):
        load(changed("incomplete", stft={"n_fftt": 3}))
    wider = separator.config["model"] | {"network": separator.config["model"]["network"] | {"widths": [3, 2]}}
    with pytest.raises(CheckpointError, match="weights do not fit"):
        load(changed("wider", model=wider))
    torn = tmp_path / "torn"
    separator.save(torn)
    weights = (torn / WEIGHTS_NAME).read_bytes()
    write(torn / WEIGHTS_NAME, weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(torn)
    write(torn / CONFIG_NAME, "[]")
    separator.save(tmp_path / "list")
    write(tmp_path / "list" / CONFIG_NAME, "[]")
    with pytest.raises(CheckpointError, match="not a model"):
        load(tmp_path / "list")


def test_top_level_names():
    assert set(audiocx.__all__) == {"AudiocxError", "Enhancer", "STFT", "Separator", "__version__", "load"}
    for name in audiocx.__all__:
        assert getattr(audiocx, name) is not None
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        _ = audiocx.nothing
