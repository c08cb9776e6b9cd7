from __future__ import annotations

import pytest
import torch
from torch.utils.data import Dataset

from audiocx.data.batch import Example
from audiocx.data.loader import CarryingErrors, ExampleLoader, collate_or_carry
from audiocx.errors import AudiocxError, AudioFileError, DataError


class Sometimes(Dataset[Example]):
    """Example 3 raises what it is made with; that of 5 has another length."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, index: int) -> Example:
        if index == 3:
            raise self.error
        return Example(
            torch.zeros(1, 100 + (index == 5)), torch.zeros(1, 1, 100 + (index == 5)), index, f"{index}"
        )


def loader(error: Exception, indices: list[int], num_workers: int) -> ExampleLoader:
    return ExampleLoader(
        CarryingErrors(Sometimes(error)),
        batch_size=2,
        sampler=indices,
        num_workers=num_workers,
        collate_fn=collate_or_carry,
        multiprocessing_context="fork" if num_workers else None,
    )


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("error", [AudioFileError("a.wav: truncated"), DataError("a piece is silent")])
def test_an_error_comes_out_of_a_worker_as_it_went_in(error: AudiocxError, num_workers: int) -> None:
    batches = iter(loader(error, [1, 2, 4, 3], num_workers))
    assert next(batches).index.tolist() == [1, 2]
    with pytest.raises(type(error)) as caught:
        next(batches)
    assert str(caught.value) == str(error)  # PyTorch would make it a worker's traceback
    assert caught.value.exit_code == error.exit_code


def test_unequal_examples_too() -> None:
    with pytest.raises(DataError, match=r"^examples `4` and `5` cannot share a batch"):
        next(iter(loader(DataError(""), [4, 5], 1)))


def test_what_is_no_error_of_the_user_keeps_its_traceback() -> None:
    with pytest.raises(KeyError, match="Traceback"):
        next(iter(loader(KeyError("bug"), [3, 1], 1)))
