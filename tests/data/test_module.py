from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from audiocx.data.batch import Batch
from audiocx.data.folder import FolderDataModule
from audiocx.data.module import SpectralDataModule
from audiocx.data.synthetic import SyntheticDataModule
from audiocx.signal.stft import STFT

Make = Callable[..., SyntheticDataModule]


class Recorder(LightningModule):
    """A model that learns nothing and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.indices: list[int] = []
        self.validated: list[int] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        assert batch.mixture_stft is not None
        assert batch.mixture_stft.dtype == torch.complex64
        self.indices += batch.index.tolist()
        return self.weight * batch.mixture.mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert batch.mixture_stft is not None
        self.validated += batch.index.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    data: SyntheticDataModule, folder: Path, steps: int, resume: Path | None = None, **settings: Any
) -> Recorder:
    model = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        val_check_interval=settings.pop("val_check_interval", 2),
        check_val_every_n_epoch=None,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    trainer.save_checkpoint(folder / "last.ckpt")
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_resumed_run_goes_on_with_the_next_example(
    synthetic: Make, tmp_path: Path, num_workers: int
) -> None:
    def data() -> SyntheticDataModule:
        return synthetic(num_workers=num_workers, segment_seconds=0.2)

    first = fit(data(), tmp_path, 3)
    assert first.indices == list(range(12))
    assert first.validated == list(range(24))  # validation after step 2
    second = fit(data(), tmp_path, 5, resume=tmp_path / "last.ckpt")
    assert second.indices == list(range(12, 20))


@pytest.mark.filterwarnings("ignore")
def test_accumulated_steps_count_all_their_examples(synthetic: Make, tmp_path: Path) -> None:
    settings = {"accumulate_grad_batches": 2, "val_check_interval": 100}
    first = fit(synthetic(segment_seconds=0.2), tmp_path, 2, **settings)
    assert first.indices == list(range(16))
    second = fit(synthetic(segment_seconds=0.2), tmp_path, 3, resume=tmp_path / "last.ckpt", **settings)
    assert second.indices == list(range(16, 24))


def test_the_stft_is_that_of_the_mixture_in_float32_even_under_autocast(synthetic: Make) -> None:
    data = synthetic()
    batch = next(iter(data.val_dataloader()))
    assert batch.mixture_stft is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        batch = data.on_after_batch_transfer(batch, 0)
    assert batch.mixture_stft is not None
    assert batch.mixture_stft.dtype == torch.complex64
    torch.testing.assert_close(batch.mixture_stft, data.stft(batch.mixture), rtol=0, atol=0)
    assert batch.mixture_stft.shape == (4, 1, 257, data.stft.n_frames(64000))
    assert data.stft_seconds > 0
    assert not batch.mixture_stft.requires_grad


def test_the_stft_is_one_object_and_no_part_of_the_module(synthetic: Make) -> None:
    data = synthetic()
    assert data.stft is data.stft
    assert data.stft not in list(vars(data).values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["synthetic", "folder"])
@pytest.mark.parametrize(
    ("num_workers", "start_method"),
    [
        (2, "fork"),
        (1, "spawn"),
        (2, "spawn"),
        (2, "forkserver"),
    ],
)
def test_batches_are_the_same_from_any_workers(
    synthetic: Make,
    pairs: Callable[..., Path],
    tmp_path: Path,
    kind: str,
    num_workers: int,
    start_method: str,
) -> None:
    """More batches than workers hold ready, from the middle of a training, in every field."""
    if start_method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {start_method}")
    root = pairs("set/train", count=3, rate=8000, channels=2).parent if kind == "folder" else None

    def batches(**settings: Any) -> list[Batch]:
        settings |= {"segment_seconds": 0.2, "batch_size": 2}
        if root is None:
            data: SpectralDataModule = synthetic(seed=7, **settings)
        else:
            settings |= {"channel": "random", "cache_dir": str(tmp_path / "cache")}
            data = FolderDataModule(STFT(), 7, str(root), **settings)
        data._first_index = lambda: 1000
        return list(islice(data.train_dataloader(), 10))

    expected = batches(num_workers=0)
    got = batches(num_workers=num_workers, start_method=start_method)
    assert [batch.index.tolist() for batch in got] == [[1000 + n, 1001 + n] for n in range(0, 20, 2)]
    for one, other in zip(expected, got, strict=True):
        assert torch.equal(one.mixture, other.mixture)
        assert torch.equal(one.target, other.target)
        assert torch.equal(one.index, other.index)
        assert (one.names, one.tags, one.clusters) == (other.names, other.tags, other.clusters)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_stft_is_made_on_the_device(synthetic: Make) -> None:
    data = synthetic()
    batch = next(iter(data.val_dataloader()))
    expected = data.stft(batch.mixture)
    batch.mixture = batch.mixture.cuda()
    batch = data.on_after_batch_transfer(batch, 0)
    assert batch.mixture_stft is not None
    assert batch.mixture_stft.is_cuda
    torch.testing.assert_close(batch.mixture_stft.cpu(), expected, rtol=1e-4, atol=1e-5)
