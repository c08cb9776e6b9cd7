"""A small test set in memory, with everything that scoring has to cope with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from audiocx.data.batch import Example
from audiocx.data.test_set import TestSet
from audiocx.errors import AudioFileError

RATE = 16000
SNRS_DB = ("-5", "0", "5")


class MemorySet(TestSet):
    """Items of one second: `n_noisy` dry ones, then one clean, with so much noise left, and one of noise alone."""

    sample_rate = RATE

    def __init__(
        self, n_noisy: int = 6, n_sources: int = 1, broken: int | None = None, hiss: float = 0.0
    ) -> None:
        self.n_noisy = n_noisy
        self.n_sources = n_sources
        self.broken = broken
        self.hiss = hiss

    def __len__(self) -> int:
        return self.n_noisy + 2

    def name(self, index: int) -> str:
        return f"item-{index}"

    def fingerprint(self) -> str:
        return "memory"

    def __getitem__(self, index: int) -> Example:
        if index == self.broken:
            raise AudioFileError(f"{self.name(index)}: truncated")
        generator = torch.Generator().manual_seed(index)
        time = torch.arange(RATE) / RATE
        target = torch.stack(
            [
                0.2
                * torch.sin(2 * torch.pi * (200 + 90 * source + 7 * index) * time).view(1, -1)
                * torch.sin(2 * torch.pi * 3 * time + source).clamp_min(0.0)
                for source in range(self.n_sources)
            ]
        )
        noise = torch.randn(1, RATE, generator=generator)
        tags = {"kind": "dry", "snr_db": SNRS_DB[index % 3], "noise_class": ("rain", "wind")[index % 2]}
        clusters = {"talker": f"t{index % 4}", "noise": f"n{index % 5}"}
        if index == self.n_noisy:
            noise, tags = self.hiss / 0.05 * noise, {"kind": "clean"}
            clusters.pop("noise")
        elif index > self.n_noisy:
            target, tags = 0 * target, {"kind": "noise", "noise_class": "rain"}
            clusters.pop("talker")
        level = 10 ** (-float(tags.get("snr_db", 0)) / 20)
        if tags["kind"] == "dry":
            noise = noise * level * target.sum(0).norm() / noise.norm()
        else:
            noise = 0.05 * noise
        return Example(target.sum(0) + noise, target, index, self.name(index), clusters, tags)


@pytest.fixture
def make_set() -> Callable[..., MemorySet]:
    return MemorySet
