from __future__ import annotations

from itertools import chain, islice

import pytest
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from audiocx.data.sampler import EndlessSampler


class Index(Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index


def test_counts_from_its_start_without_end() -> None:
    assert list(islice(EndlessSampler(lambda: 40), 5)) == [40, 41, 42, 43, 44]
    assert next(islice(EndlessSampler(lambda: 0), 100_000, None)) == 100_000


def test_processes_share_the_row_without_overlap() -> None:
    rows = [list(islice(EndlessSampler(lambda: 12, rank, 3), 4)) for rank in range(3)]
    assert sorted(chain.from_iterable(rows)) == list(range(12, 24))
    assert rows[1] == [13, 16, 19, 22]


def test_start_is_asked_when_iteration_begins() -> None:
    step = 0
    sampler = EndlessSampler(lambda: 8 * step)
    step = 3
    assert next(iter(sampler)) == 24


def test_has_no_length_and_is_not_wrapped_by_lightning() -> None:
    sampler = EndlessSampler(lambda: 0)
    with pytest.raises(TypeError):
        len(sampler)
    assert isinstance(sampler, DistributedSampler)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_keeps_the_order(num_workers: int) -> None:
    loader = DataLoader(Index(), batch_size=3, sampler=EndlessSampler(lambda: 6), num_workers=num_workers)
    assert [batch.tolist() for batch in islice(loader, 3)] == [[6, 7, 8], [9, 10, 11], [12, 13, 14]]
