"""Asteroid's DCUNet and DCCRNet give the masks that they gave there: recorded ones, and live where it is installed.

studies/record_asteroid.py makes the recordings, and draws weights and waveforms for both.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.torch_version import TorchVersion

import audiocx
from audiocx.errors import CheckpointError
from audiocx.models.asteroid import from_asteroid
from audiocx.models.counting import count_parameters

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = sorted((Path(__file__).parent / "recorded").glob("asteroid_*.npz"))


def load_script() -> Any:
    specification = importlib.util.spec_from_file_location(
        "record_asteroid", ROOT / "studies" / "record_asteroid.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SCRIPT = load_script()


def serialized(name: str) -> tuple[dict[str, Any], np.ndarray, int]:
    """What asteroid would have saved, the mask that it gave, and for how many samples."""
    with np.load(Path(__file__).parent / "recorded" / f"asteroid_{name}.npz") as recording:
        about, mask = json.loads(str(recording["about"])), recording["mask"]
    drawn = SCRIPT.weights({key.removeprefix("masker."): tuple(s) for key, s in about["shapes"].items()})
    state_dict = {f"masker.{key}": value for key, value in drawn.items()}
    state_dict["encoder.filterbank.torch_window"] = torch.ones(about["model_args"]["stft_kernel_size"])
    source = {key: about[key] for key in ("model_name", "model_args")} | {"state_dict": state_dict}
    return source, mask, about["n_samples"]


def mask_of(separator: audiocx.Separator, waveform: torch.Tensor) -> torch.Tensor:
    """The mask (batch, source, frequency, frame) on the frames that asteroid cuts."""
    with torch.no_grad():
        mask: torch.Tensor = separator.model(separator.stft.analyse(waveform))
    return mask[:, :, 0]


@pytest.fixture
def dccrnet() -> dict[str, Any]:
    return serialized("dccrnet_sources")[0]


def test_recordings_are_small_and_there():
    assert {path.stem.removeprefix("asteroid_") for path in RECORDINGS} == set(SCRIPT.RECORDED)
    assert all(path.stat().st_size < 200_000 for path in RECORDINGS)


@pytest.mark.parametrize("name", SCRIPT.RECORDED)
def test_masks_are_asteroids(name):
    """From the waveform on: its filterbank's scale, edges and phases, frames put behind, bins left out, sources."""
    source, expected, n_samples = serialized(name)
    separator = from_asteroid(source)
    mask = mask_of(separator, SCRIPT.waveform(name, n_samples))
    if source["model_name"] == "DCCRNet":
        assert not mask[:, :, -1].any()
        mask = mask[:, :, :-1]
    torch.testing.assert_close(mask, torch.from_numpy(expected), rtol=1e-3, atol=2e-5)
    assert float(mask.abs().std()) > 0.1  # it is not all at its bound
    assert separator.sample_rate == source["model_args"]["sample_rate"]
    assert separator.n_sources == expected.shape[1]
    assert not separator.training


def test_as_many_parameters_as_published():
    """Kernels and the bias of the last layer, and two numbers of a batch norm for every plane."""
    planes = 2 * (32 + 4 * 64) + 2 * (3 * 64 + 32)
    assert count_parameters(from_asteroid(serialized("dcunet_10")[0])) == 1_419_840 + 2 + 2 * planes


def test_a_file_as_asteroid_shares_it(dccrnet, tmp_path):
    """With the versions that it adds, of which one is a class of torch's."""
    versions = {"software_versions": {"torch_version": TorchVersion("2.6.0"), "asteroid_version": "0.7.0"}}
    torch.save({**dccrnet, "infos": versions}, tmp_path / "model.pth")
    separator = from_asteroid(tmp_path / "model.pth")
    separator.save(tmp_path / "ours")
    again = audiocx.load(tmp_path / "ours")
    waveform = SCRIPT.waveform("file", 4000)
    estimate = separator(waveform)
    assert estimate.shape == (1, 2, 1, 4000)
    assert torch.equal(again(waveform), estimate)
    assert torch.equal(from_asteroid(str(tmp_path / "model.pth"))(waveform), estimate)


def changed(source: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Other model_args, or a weight that is other (`lacks` and `has` name it)."""
    state_dict = dict(source["state_dict"])
    state_dict.pop(changes.pop("lacks", None), None)
    if "has" in changes:
        state_dict[changes.pop("has")] = torch.ones(3)
    return {**source, "model_args": source["model_args"] | changes, "state_dict": state_dict}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_bound": "sigmoid"}, "mask_bound has no counterpart; expected tanh or None, got sigmoid"),
        ({"stft_window": "hann"}, "its argument `stft_window` is not known here"),
        ({"stft_n_filters": 128}, "do not fit together.*n_fft"),
        ({"stft_n_filters": 1024}, "weights do not fit"),
        ({"sample_rate": "fast"}, "do not fit together"),
        (
            {"lacks": "masker.encoders.2.linear.im_module.bias"},
            "lacks the weight `masker.encoders.2.linear.im",
        ),
        ({"lacks": "masker.encoders.0.conv.re_module.weight"}, "expected at least one each"),
        ({"has": "masker.encoders.0.other"}, "no place here for its weight `masker.encoders.0.other`"),
        ({"has": "masker.output_layer.0.re_module.weight"}, "weights do not fit"),
    ],
)
def test_what_does_not_fit_says_so(changes, message, dccrnet):
    with pytest.raises(CheckpointError, match=message) as caught:
        from_asteroid(changed(dccrnet, **changes))
    assert "\n" not in str(caught.value)


def test_other_models_and_no_models_say_so(dccrnet, tmp_path):
    dcunet = serialized("dcunet_10")[0]
    with pytest.raises(CheckpointError, match="expected DCUNet-10, DCUNet-16"):
        from_asteroid(changed(dcunet, architecture="mini"))
    with pytest.raises(CheckpointError, match="no importer for `ConvTasNet`"):
        from_asteroid({**dccrnet, "model_name": "ConvTasNet"})
    with pytest.raises(CheckpointError, match="expected model_name, model_args and state_dict"):
        from_asteroid(dccrnet["state_dict"])
    with pytest.raises(CheckpointError, match="no such file"):
        from_asteroid(tmp_path / "model.pth")
    (tmp_path / "model.pth").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        from_asteroid(tmp_path / "model.pth")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("class_name", "architecture", "n_frames"),
    [
        ("DCUNet", "DCUNet-10", 33),
        ("DCUNet", "DCUNet-16", 17),
        ("DCUNet", "DCUNet-20", 17),
        ("DCUNet", "Large-DCUNet-20", 17),
        ("DCCRNet", "DCCRN-CL", 30),
    ],
)
def test_live_masks_and_waveforms(class_name, architecture, n_frames):
    """The waveforms too, where all windows that overlap are there."""
    pytest.importorskip("asteroid")
    model = SCRIPT.asteroid_model(class_name, architecture, {})
    source = {
        "model_name": class_name,
        "model_args": model.get_model_args(),
        "state_dict": model.state_dict(),
    }
    separator = from_asteroid(source)
    stft = separator.stft
    n_samples = stft.win_length + (n_frames - 1) * stft.hop_length
    waveform = SCRIPT.waveform(architecture, n_samples)
    with torch.no_grad():
        spectrum = model.forward_encoder(waveform)
        expected = model.forward_masker(spectrum)
        expected_estimate = model.forward_decoder(model.apply_masks(spectrum, expected))
        ours = stft.analyse(waveform)
        mask = separator.model(ours)
        estimate = stft.overlap_add(separator.model.apply_mask(ours, mask))[:, 0]
    n_frequencies = expected.shape[2]
    torch.testing.assert_close(mask[:, :, 0, :n_frequencies], expected, rtol=1e-3, atol=2e-5)
    inside = slice(stft.win_length, n_samples - stft.win_length)
    torch.testing.assert_close(estimate[..., inside], expected_estimate[..., inside], rtol=1e-3, atol=2e-5)
    assert estimate[..., inside].shape[-1] > 0


@pytest.mark.slow
def test_the_script_records_what_is_there(tmp_path):
    pytest.importorskip("asteroid")
    SCRIPT.record(tmp_path)
    for path in RECORDINGS:
        with np.load(path) as old, np.load(tmp_path / path.name) as new:
            assert str(old["about"]) == str(new["about"])
            np.testing.assert_allclose(new["mask"], old["mask"], atol=2e-5)
