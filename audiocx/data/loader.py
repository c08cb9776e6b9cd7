"""Loaders from whose workers an error of the user's comes out as it went in.

PyTorch would raise it again with the worker's traceback as its text. So workers hand errors on as values, in
place of a batch, and the process that trains raises them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch.utils.data import DataLoader, Dataset

from audiocx.data.batch import Batch, Example, collate
from audiocx.errors import AudiocxError


class CarryingErrors(Dataset["Example | AudiocxError"]):
    """A data set that returns the errors of another one instead of raising them.

    Args:
        examples: the other one; found by index alone.
    """

    def __init__(self, examples: Dataset[Example]) -> None:
        self.examples = examples

    def __getitem__(self, index: int) -> Example | AudiocxError:
        """Return an example, or why there is none."""
        try:
            return self.examples[index]
        except AudiocxError as error:
            return error


def collate_or_carry(examples: Sequence[Example | AudiocxError]) -> Batch | AudiocxError:
    """Stack examples; the first error among them, or that of stacking them, takes the place of the batch."""
    found: list[Example] = []
    for example in examples:
        if isinstance(example, AudiocxError):
            return example
        found.append(example)
    try:
        return collate(found)
    except AudiocxError as error:
        return error


class ExampleLoader(DataLoader["Example | AudiocxError"]):
    """A loader over `CarryingErrors` with `collate_or_carry`, that raises what they hand on."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yield batches.

        Raises:
            AudiocxError: an example cannot be made; as the worker raised it.
        """
        for batch in super().__iter__():
            if isinstance(batch, AudiocxError):
                raise batch
            yield batch
