"""The level of a whole recording, measured in a stream, for models that see only a block of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from audiocx.errors import ShapeError, describe
from audiocx.signal.levels import active_level, frame_power
from audiocx.signal.stft import STFT


def utterance_level(pieces: Iterable[Tensor], stft: STFT) -> Tensor:
    """Measure the level of a stream as a model measures that of a whole waveform.

    Only the power of each frame is kept: 0.9 MB for an hour of one channel.

    Args:
        pieces: consecutive waveforms (channel, sample) of any lengths.
        stft: the model's transform, on the device of the pieces.

    Returns:
        Root mean power of the active frames (1, channel), for `Conditions(level=...)`.

    Raises:
        ShapeError: there are no samples.
    """
    with torch.inference_mode():
        powers = list(_frame_powers(pieces, stft))
        if not powers:
            raise ShapeError(
                describe("the level of no samples is not defined", expected="one sample or more")
            )
        return active_level(torch.cat(powers, dim=-1)).unsqueeze(0)


def _frame_powers(pieces: Iterable[Tensor], stft: STFT) -> Iterator[Tensor]:
    """Yield the powers (channel, frame) of the frames that one transform of the whole stream would give.

    The transform of a chunk begins and ends with frames that hold its padding. Each chunk therefore carries
    the samples before it that its first whole frame needs, and hands on whole hops only.
    """
    hop = stft.hop_length
    n_before = math.ceil(stft.n_overlap / hop)  # frames of a chunk that begin before its new samples' first
    chunk: Tensor | None = None
    for piece in pieces:
        if piece.shape[-1] == 0:
            continue
        if chunk is None:
            chunk = piece.new_zeros(piece.shape[0], n_before * hop)  # what lies before a signal is silence
        chunk = torch.cat([chunk, piece], dim=-1)
        n_whole = chunk.shape[-1] // hop
        if n_whole > n_before:
            yield frame_power(stft(chunk[..., : n_whole * hop]))[..., n_before:n_whole]
            chunk = chunk[..., (n_whole - n_before) * hop :]
    if chunk is not None and chunk.shape[-1] > 0:
        yield frame_power(stft(chunk))[..., n_before:]
