r"""Long signals in overlapping blocks, cross-faded and stitched.

    block k      |----------------------------|
    block k + 1                       |----------------------------|
    heard             k               \/          k + 1
                                guard fade guard

Two blocks share `overlap_samples`. The cross-fade fills the middle of them; on each side of it a guard
keeps away what a block lacks most: samples before its beginning, or behind its end. Whatever looks no
farther than a guard is exactly what it would be without blocks. Blocks begin at whole multiples of
`ALIGNMENT_HOPS` hops, so that their frames, and the strided frames inside a network, are those of the whole
signal.

Waveforms are (channel, sample) on their way in and (source, channel, sample) on their way out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from audiocx.errors import ConfigError, describe
from audiocx.signal.stft import STFT

ALIGNMENT_HOPS = 32
"""Blocks begin at multiples of this many hops, which the frame strides of networks (up to 32) divide."""

FADE_PARTS = 4
"""The cross-fade is one of so many parts of the overlap; the guards share the rest."""


@dataclass(frozen=True)
class BlockPlan:
    """Where blocks lie.

    Attributes:
        block_samples: samples of a block.
        overlap_samples: samples that a block shares with the next one, fewer than half of it.
    """

    block_samples: int
    overlap_samples: int

    @property
    def hop_samples(self) -> int:
        """Samples from one block's beginning to the next one's."""
        return self.block_samples - self.overlap_samples

    @property
    def fade_samples(self) -> int:
        """Samples of the cross-fade."""
        return max(1, self.overlap_samples // FADE_PARTS)

    @property
    def guard_samples(self) -> int:
        """Samples of the overlap before the cross-fade."""
        return (self.overlap_samples - self.fade_samples) // 2


def plan_blocks(stft: STFT, block_seconds: float, overlap_seconds: float | None = None) -> BlockPlan:
    """Fit blocks to a transform.

    Args:
        stft: its hop and rate are fitted to.
        block_seconds: wanted length of a block.
        overlap_seconds: wanted length of what two blocks share; the default is 2 s, or a fifth of shorter
            blocks.

    Returns:
        The plan: both lengths rounded to the nearest multiple of `ALIGNMENT_HOPS` hops, at least one each,
        and a block at least three overlaps.

    Raises:
        ConfigError: a length is not positive, or the overlap is more than half of the block.
    """
    if not block_seconds > 0:
        raise ConfigError(describe("block_seconds", expected="more than 0 seconds", got=block_seconds))
    if overlap_seconds is None:
        overlap_seconds = min(2.0, block_seconds / 5)
    if not 0 < overlap_seconds <= block_seconds / 2:
        raise ConfigError(
            describe(
                "overlap_seconds",
                expected=f"more than 0 and at most half of block_seconds={block_seconds:g}",
                got=overlap_seconds,
            )
        )
    unit = ALIGNMENT_HOPS * stft.hop_length
    overlap = max(1, round(overlap_seconds * stft.sample_rate / unit))
    block = max(3 * overlap, round(block_seconds * stft.sample_rate / unit))
    return BlockPlan(block * unit, overlap * unit)


def process_in_blocks(
    pieces: Iterable[Tensor], process: Callable[[Tensor], Tensor], plan: BlockPlan
) -> Iterator[Tensor]:
    """Process a stream block by block.

    A signal of at most one block is processed at once, so it comes out as without blocks. The last block is
    as long as what is left, which is more than the overlap.

    Args:
        pieces: consecutive pieces (channel, sample) of any lengths.
        process: turns (channel, sample) into (source, channel, sample) of the same length.
        plan: where blocks lie.

    Yields:
        Consecutive pieces (source, channel, sample), together as long as the input.
    """
    fade_from, fade_to = plan.guard_samples, plan.guard_samples + plan.fade_samples
    ramp: Tensor | None = None  # weight of the later block
    held: Tensor | None = None  # the earlier block's version of the overlap, until the later one is there
    for block, is_last in _cut(pieces, plan):
        estimate = process(block)  # (source, channel, sample)
        if held is not None:
            if ramp is None:
                steps = torch.arange(1, plan.fade_samples + 1, device=estimate.device, dtype=estimate.dtype)
                ramp = steps / (plan.fade_samples + 1)
            later = estimate[..., fade_from:fade_to]
            earlier = held[..., fade_from:fade_to]
            # As a difference, so that two versions that agree come out untouched.
            faded = earlier + ramp * (later - earlier)
            estimate = torch.cat([held[..., :fade_from], faded, estimate[..., fade_to:]], dim=-1)
        if is_last:
            yield estimate
        else:
            yield estimate[..., : plan.hop_samples]
            held = estimate[..., plan.hop_samples :]


def _cut(pieces: Iterable[Tensor], plan: BlockPlan) -> Iterator[tuple[Tensor, bool]]:
    """Yield overlapping blocks and whether each is the last."""
    waiting: list[Tensor] = []
    n_waiting = 0
    for piece in pieces:
        waiting.append(piece)
        n_waiting += piece.shape[-1]
        # One sample more than a block shows that it is not the last one.
        while n_waiting > plan.block_samples:
            joined = torch.cat(waiting, dim=-1)
            yield joined[..., : plan.block_samples], False
            rest = joined[..., plan.hop_samples :].clone()  # a view would keep the whole block alive
            waiting, n_waiting = [rest], rest.shape[-1]
    if n_waiting > 0:
        yield torch.cat(waiting, dim=-1), True
