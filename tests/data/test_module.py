from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from audiocx.data.batch import Batch
from audiocx.data.synthetic import SyntheticDataModule

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
    trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
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
