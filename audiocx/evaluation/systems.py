"""Systems that are scored: trained separators, their masks' moduli alone, and folders of finished estimates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from audiocx.audio.files import read
from audiocx.audio.find import AUDIO_SUFFIXES, find_audio
from audiocx.audio.resampling import resample
from audiocx.data.batch import Example
from audiocx.errors import DataError, describe
from audiocx.evaluation.scoring import InformedSystem
from audiocx.models.separator import Separator

ENHANCED = "_enhanced"
"""What `audiocx enhance` adds to a stem."""


class SeparatorSystem:
    """A separator on a device, one whole item at a time.

    Args:
        separator: in evaluation mode.
        device: where it runs; the separator is moved there.
    """

    def __init__(self, separator: Separator, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.separator = separator.to(self.device).eval()

    def __call__(self, mixture: Tensor) -> Tensor:
        """Estimate the sources of a mixture (channel, sample): (source, channel, sample), on the CPU."""
        estimate: Tensor = self.separator(mixture.unsqueeze(0).to(self.device))
        return estimate.squeeze(0).cpu()


class ModulusSystem(SeparatorSystem):
    """The modulus of a separator's mask on the mixture, whose phase stays: what is lost is what its phase gives.

    Args:
        separator: one that `gives_mask`, in evaluation mode.
        device: where it runs; the separator is moved there.
    """

    def __call__(self, mixture: Tensor) -> Tensor:
        """Estimate the sources of a mixture (channel, sample): (source, channel, sample), on the CPU."""
        stft, model = self.separator.stft, self.separator.model
        mixture_stft = stft(mixture.unsqueeze(0).to(self.device))
        mask: Tensor = model(mixture_stft, None)
        estimate_stft = model.apply_mask(mixture_stft, mask.abs().to(mask.dtype))
        return stft.inverse(estimate_stft, mixture.shape[-1]).squeeze(0).cpu()


def gives_mask(separator: Separator) -> bool:
    """Tell whether a separator's model multiplies the mixture, bin by bin, with what it gives."""
    probe = torch.tensor([[[1.0 + 2.0j], [3.0 - 1.0j]]]).unsqueeze(0)  # (batch, channel, frequency, frame)
    mask = torch.tensor([0.5j, 2.0]).view(1, 1, 1, 2, 1)
    try:
        estimate = separator.model.apply_mask(probe, mask)
    except (RuntimeError, IndexError):  # it wants more than one number a bin
        return False
    return estimate.shape == mask.shape and torch.allclose(estimate, mask * probe.unsqueeze(1))


class EstimateFolder(InformedSystem):
    """Estimates as files, made by any system.

    A file belongs to the item whose name is its path below the folder without the suffix, or that with
    `_enhanced`. Of several sources the files are `speaker_1/<name>`, `speaker_2/<name>` ..., or `<name>_1`,
    `<name>_2` ... Another rate is resampled; a length that differs by less than a hop is cut, or filled with
    zeros. Of files with more channels than the item the first ones are taken.

    Args:
        folder: where the files are.
        sample_rate: of the items, in Hz.
        hop_length: the largest difference in length that is forgiven, in samples.

    Raises:
        DataError: the folder does not exist.
        ConfigError: it holds no audio files.
    """

    def __init__(self, folder: str | Path, sample_rate: int, hop_length: int) -> None:
        self.folder = Path(folder)
        self.sample_rate = sample_rate
        self.hop_length = hop_length
        if not self.folder.is_dir():
            raise DataError(describe(f"estimates={folder}: no such folder"))
        self.files: dict[str, list[Path]] = {}
        for found in find_audio([str(self.folder)]):
            stem = found.relative.with_suffix("").as_posix()
            self.files.setdefault(stem, []).append(found.path)

    def estimate(self, example: Example) -> Tensor:
        """Read the estimates of an example, (source, channel, sample).

        Raises:
            DataError: there is no such file, or more than one, or its length or channels do not fit.
            AudioFileError: it cannot be read.
        """
        n_sources, n_channels, n_samples = example.target.shape
        estimates = [
            self._read(self._find(stems, example.name), n_channels, n_samples)
            for stems in self._candidates(self._stem(example.name), n_sources)
        ]
        return torch.stack(estimates)

    def strangers(self, names: Iterable[str], n_sources: int) -> list[Path]:
        """Find the files that belong to none of the items.

        Args:
            names: of all items.
            n_sources: of every item.
        """
        known = {
            stem
            for name in names
            for stems in self._candidates(self._stem(name), n_sources)
            for stem in stems
        }
        return [path for stem, paths in self.files.items() if stem not in known for path in paths]

    @staticmethod
    def _stem(name: str) -> str:
        path = Path(name)
        return path.with_suffix("").as_posix() if path.suffix.lower() in AUDIO_SUFFIXES else name

    @staticmethod
    def _candidates(stem: str, n_sources: int) -> list[tuple[str, ...]]:
        if n_sources == 1:
            return [(stem, stem + ENHANCED)]
        return [
            (f"speaker_{source}/{stem}", f"{stem}_{source}", f"{stem}{ENHANCED}_{source}")
            for source in range(1, n_sources + 1)
        ]

    def _find(self, stems: tuple[str, ...], name: str) -> Path:
        for stem in stems:
            paths = self.files.get(stem, [])
            if len(paths) > 1:
                names = " and ".join(path.name for path in paths[:2])
                raise DataError(describe(f"{name}: two estimates, {names}", do="leave one in the folder"))
            if paths:
                return paths[0]
        expected = " or ".join(f"{stem}.*" for stem in stems)
        raise DataError(describe(f"{name}: no estimate in {self.folder}", expected=expected))

    def _read(self, path: Path, n_channels: int, n_samples: int) -> Tensor:
        waveform, rate = read(path)
        if rate != self.sample_rate:
            waveform = resample(waveform, rate, self.sample_rate)
        if waveform.shape[0] < n_channels:
            raise DataError(describe(f"{path}: too few channels", expected=n_channels, got=waveform.shape[0]))
        difference = waveform.shape[1] - n_samples
        if abs(difference) > self.hop_length:
            raise DataError(
                describe(
                    f"{path}: another length than the item",
                    expected=f"{n_samples} samples at {self.sample_rate} Hz",
                    got=waveform.shape[1],
                )
            )
        estimate = torch.from_numpy(waveform[:n_channels, :n_samples])
        return torch.nn.functional.pad(estimate, (0, n_samples - estimate.shape[1]))
