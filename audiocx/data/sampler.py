"""The endless sampler: training is counted in steps, and example indices simply go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from itertools import count
from typing import cast

from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler


class EndlessSampler(DistributedSampler[int]):
    """Yields `start + rank`, `start + rank + processes`, … without end.

    Where to start is asked when iteration begins, not when the loader is made: a resumed run knows its step
    only after its checkpoint was read, and goes on with exactly the next example. It has no length, so
    Lightning counts steps (`max_steps`, `val_check_interval`). It is a `DistributedSampler` because Lightning
    wraps any other kind in one that first lists all indices, which here would never end.

    Args:
        start: returns the index of the first example, the same in every process.
        rank: number of this process.
        processes: number of processes that train together.
    """

    def __init__(self, start: Callable[[], int], rank: int = 0, processes: int = 1) -> None:
        super().__init__(cast("Dataset[int]", _Nothing()), num_replicas=processes, rank=rank, shuffle=False)
        self.start = start
        self.processes = processes
        self.process_rank = rank

    def __iter__(self) -> Iterator[int]:
        """Yield indices without end."""
        return count(self.start() + self.process_rank, self.processes)

    def __len__(self) -> int:
        """Refuse: there is no length, and `TypeError` is how loaders are told so."""
        raise TypeError("an endless sampler has no length")


class _Nothing(Sized):
    """Stands in for the data set whose length `DistributedSampler` wants to know."""

    def __len__(self) -> int:
        return 1
