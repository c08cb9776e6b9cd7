from __future__ import annotations

import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device

from audiocx.data.batch import Batch, Example, collate
from audiocx.errors import DataError


def example(index: int, n_samples: int = 100, n_sources: int = 1) -> Example:
    return Example(
        mixture=torch.full((1, n_samples), float(index)),
        target=torch.full((n_sources, 1, n_samples), 2.0 * index),
        index=index,
        name=f"item-{index}",
        clusters={"talker": f"t{index}"},
        tags={"kind": "dry"},
    )


def test_collate_stacks_in_order() -> None:
    batch = collate([example(3), example(5)])
    assert batch.mixture.shape == (2, 1, 100)
    assert batch.target.shape == (2, 1, 1, 100)
    assert batch.index.dtype == torch.int64
    assert batch.index.tolist() == [3, 5]
    assert batch.names == ["item-3", "item-5"]
    assert batch.clusters == [{"talker": "t3"}, {"talker": "t5"}]
    assert batch.mixture[1, 0, 0] == 5.0
    assert batch.target[1, 0, 0, 0] == 10.0
    assert batch.mixture_stft is None


@pytest.mark.parametrize(("other", "word"), [((7, 101, 1), "mixture"), ((7, 100, 2), "target")])
def test_unequal_examples_are_named(other: tuple[int, int, int], word: str) -> None:
    with pytest.raises(DataError, match=f"`item-3` and `item-7`.*{word}"):
        collate([example(3), example(*other)])


def test_no_examples() -> None:
    with pytest.raises(DataError, match="no examples"):
        collate([])


def test_lightning_moves_every_tensor_and_keeps_the_rest() -> None:
    batch = collate([example(1), example(2)])
    batch.mixture_stft = torch.zeros(2, 1, 3, 4, dtype=torch.complex64)
    moved = move_data_to_device(batch, torch.device("meta"))
    assert isinstance(moved, Batch)
    for tensor in (moved.mixture, moved.target, moved.index, moved.mixture_stft):
        assert tensor is not None
        assert tensor.device.type == "meta"
    assert moved.direction is None
    assert moved.names == ["item-1", "item-2"]
    assert moved.tags == [{"kind": "dry"}, {"kind": "dry"}]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_pinned_batches_stay_batches() -> None:
    pinned = collate([example(1)]).pin_memory()
    assert pinned.mixture.is_pinned()
    assert pinned.target.is_pinned()
