"""Folders of estimates: matching, lengths, rates, several sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiocx.data.batch import Example
from audiocx.errors import ConfigError, DataError
from audiocx.evaluation.systems import EstimateFolder, ModulusSystem, SeparatorSystem, gives_mask
from audiocx.models.separator import Separator

RATE, HOP = 16000, 256


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., np.ndarray]:
    def make(
        name: str, n_samples: int = 4000, rate: int = RATE, n_channels: int = 1, seed: int = 0
    ) -> np.ndarray:
        path = tmp_path / "estimates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * np.random.default_rng(seed).standard_normal((n_samples, n_channels))
        soundfile.write(path, samples, rate, subtype=None if path.suffix == ".flac" else "FLOAT")
        return samples.T.astype(np.float32)

    return make


def _example(name: str = "sub/007", n_sources: int = 1, n_samples: int = 4000) -> Example:
    return Example(torch.zeros(1, n_samples), torch.zeros(n_sources, 1, n_samples), 0, name)


def _folder(tmp_path: Path) -> EstimateFolder:
    return EstimateFolder(tmp_path / "estimates", RATE, HOP)


@pytest.mark.parametrize("name", ["sub/007.wav", "sub/007_enhanced.wav"])
def test_matched_by_relative_stem(tmp_path: Path, write, name: str) -> None:  # type: ignore[no-untyped-def]
    samples = write(name)
    write("007.wav", seed=1)
    for item in ("sub/007", "sub/007.flac"):
        estimate = _folder(tmp_path).estimate(_example(item))
        torch.testing.assert_close(estimate, torch.from_numpy(samples)[None])


def test_names_with_dots_are_names(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    samples = write("take.1.wav")
    torch.testing.assert_close(_folder(tmp_path).estimate(_example("take.1"))[0], torch.from_numpy(samples))


def test_lengths_within_a_hop_are_cut_or_filled(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    long, short = write("long.wav", 4100), write("short.wav", 3900)
    write("wrong.wav", 3000)
    folder = _folder(tmp_path)
    assert np.array_equal(folder.estimate(_example("long"))[0].numpy(), long[:, :4000])
    filled = folder.estimate(_example("short"))[0].numpy()
    assert np.array_equal(filled[:, :3900], short)
    assert not filled[:, 3900:].any()
    with pytest.raises(DataError, match="expected 4000 samples at 16000 Hz, got 3000"):
        folder.estimate(_example("wrong"))


def test_another_rate_is_resampled(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    write("a.wav", 12000, rate=48000)
    assert _folder(tmp_path).estimate(_example("a")).shape == (1, 1, 4000)


def test_sources(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    first, second = write("speaker_1/x.wav"), write("speaker_2/x.wav", seed=1)
    write("y_1.wav")
    write("y_2.wav", seed=1)
    for name in ("x", "y"):
        estimate = _folder(tmp_path).estimate(_example(name, n_sources=2))
        torch.testing.assert_close(estimate, torch.from_numpy(np.stack([first, second])))


def test_what_cannot_be_matched(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="no such folder"):
        EstimateFolder(tmp_path / "nowhere", RATE, HOP)
    (tmp_path / "estimates").mkdir()
    with pytest.raises(ConfigError, match="no audio files"):
        _folder(tmp_path)
    write("twice.wav")
    write("twice.flac")
    write("stereo.wav", n_channels=2)
    with pytest.raises(DataError, match=r"missing: no estimate in .*missing_enhanced"):
        _folder(tmp_path).estimate(_example("missing"))
    with pytest.raises(DataError, match="two estimates"):
        _folder(tmp_path).estimate(_example("twice"))
    assert _folder(tmp_path).estimate(_example("stereo")).shape == (1, 1, 4000)


def test_files_of_no_item(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    for name in ("a.wav", "sub/b_enhanced.flac", "c.wav", "b.wav", "a_enhanced_2.wav"):
        write(name)
    strangers = _folder(tmp_path).strangers(["a.flac", "sub/b", "d"], 1)
    assert sorted(path.name for path in strangers) == ["a_enhanced_2.wav", "b.wav", "c.wav"]
    of_two = _folder(tmp_path).strangers(["a"], 2)
    assert sorted(path.name for path in of_two) == ["a.wav", "b.wav", "b_enhanced.flac", "c.wav"]


def _separator(head: str, arithmetic: str = "complex") -> Separator:
    network = {"_target_": "audiocx.models.unet.UNet", "_partial_": True, "widths": [2, 2]}
    network |= {"kernel_sizes": [[5, 3], [5, 3]], "strides": [[2, 2], [2, 1]]}
    features = "magnitude" if head == "magnitude_mask" else "complex"
    model = {"_target_": "audiocx.models.model.MaskingModel", "network": network, "head": head}
    model |= {"arithmetic": arithmetic, "features": features}
    return Separator.from_config({"stft": {}, "model": model, "task": "enhance", "n_sources": 1}).eval()


@pytest.mark.parametrize(
    ("head", "arithmetic", "expected"),
    [("complex_mask", "complex", True), ("magnitude_mask", "real", True), ("complex_map", "complex", False)],
)
def test_which_heads_give_masks(head: str, arithmetic: str, expected: bool) -> None:
    assert gives_mask(_separator(head, arithmetic)) is expected


def test_the_modulus_of_a_mask_keeps_the_noisy_phase() -> None:
    separator = _separator("complex_mask")
    mixture = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        estimate, full = ModulusSystem(separator)(mixture), SeparatorSystem(separator)(mixture)
        mixture_stft = separator.stft(mixture[None])
        mask = separator.model(mixture_stft).abs()[:, 0]
        expected = separator.stft.inverse(mask * mixture_stft, 8000)
    torch.testing.assert_close(estimate, expected)
    assert estimate.shape == full.shape == (1, 1, 8000)
    assert float((estimate - full).norm() / full.norm()) > 1e-3


def test_the_modulus_of_a_real_mask_is_the_mask() -> None:
    separator = _separator("magnitude_mask", "real")
    mixture = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ModulusSystem(separator)(mixture), SeparatorSystem(separator)(mixture))
