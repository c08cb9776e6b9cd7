"""One example, a batch of them, and how the one becomes the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from audiocx.errors import DataError, describe


@dataclass
class Example:
    """One mixture with what it should become.

    Attributes:
        mixture: waveform (channel, sample), float32.
        target: waveforms (source, channel, sample), float32.
        index: position in its set; an example is a pure function of the set's seed and this number.
        name: what tables and files call it.
        clusters: who and what is in it: `talker`, `noise`, `room`, those that are known, each with a name.
            Items that share one are not independent, which statistics take into account.
        tags: facts to group scores by: `kind`, `noise_class`, `snr_db` and others, all as text.
    """

    mixture: Tensor
    target: Tensor
    index: int
    name: str
    clusters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Batch:
    """Examples of one length, stacked.

    Plain and mutable: Lightning puts the moved tensors in place of the old ones.

    Attributes:
        mixture: waveforms (batch, channel, sample), float32.
        target: waveforms (batch, source, channel, sample), float32.
        index: (batch,), int64.
        clusters: one dict for each example.
        tags: one dict for each example.
        names: one name for each example.
        mixture_stft: complex STFT (batch, channel, frequency, frame), filled in on the device after the
            transfer.
        direction: where the wanted talker is (batch, 2), azimuth and elevation in radians, where that is
            known.
    """

    mixture: Tensor
    target: Tensor
    index: Tensor
    clusters: list[dict[str, str]]
    tags: list[dict[str, str]]
    names: list[str]
    mixture_stft: Tensor | None = None
    direction: Tensor | None = None

    def pin_memory(self) -> Batch:
        """Pin the waveforms, so that they can be copied to a CUDA device while it computes."""
        self.mixture = self.mixture.pin_memory()
        self.target = self.target.pin_memory()
        self.index = self.index.pin_memory()
        return self


def collate(examples: Sequence[Example]) -> Batch:
    """Stack examples of equal shape.

    Raises:
        DataError: there is none, or two differ in channels, sources or length.
    """
    if not examples:
        raise DataError(describe("a batch of no examples", expected="at least one"))
    first = examples[0]
    for other in examples[1:]:
        for what, ours, theirs in (
            ("mixture (channel, sample)", first.mixture.shape, other.mixture.shape),
            ("target (source, channel, sample)", first.target.shape, other.target.shape),
        ):
            if ours != theirs:
                raise DataError(
                    describe(
                        f"examples `{first.name}` and `{other.name}` cannot share a batch: {what} differs",
                        expected=tuple(ours),
                        got=tuple(theirs),
                        do="cut them to one length, or use batch_size=1",
                    )
                )
    return Batch(
        mixture=torch.stack([example.mixture for example in examples]),
        target=torch.stack([example.target for example in examples]),
        index=torch.tensor([example.index for example in examples], dtype=torch.int64),
        clusters=[example.clusters for example in examples],
        tags=[example.tags for example in examples],
        names=[example.name for example in examples],
    )
