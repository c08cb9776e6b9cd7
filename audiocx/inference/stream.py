"""A causal separator over a stream: pieces of any lengths in, and out what the whole recording would give."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from audiocx.errors import ShapeError, describe
from audiocx.models.conditions import Conditions, ModelState
from audiocx.models.separator import Separator


class Stream:
    """Goes through one recording; its memory is one window, what the layers keep, and nothing else.

    What comes out lags behind what went in by less than a window: `latency_samples`.

    Args:
        separator: causal, in evaluation mode.

    Example:
        >>> stream = Stream(separator)  # doctest: +SKIP
        >>> estimates = [stream.push(piece) for piece in pieces] + [stream.finish()]  # doctest: +SKIP
    """

    def __init__(self, separator: Separator) -> None:
        self.separator = separator
        self._waiting: Tensor | None = None  # samples (channel, sample) that no hop has moved past
        self._sum: Tensor | None = None  # (source, channel, sample), what the last windows leave to add to
        self._state: ModelState | None = None
        self._n_in = 0
        self._n_out = -separator.stft.n_overlap  # before the first sample lies padding

    @property
    def latency_samples(self) -> int:
        """Samples that must have come in, at most, before a sample comes out."""
        return self.separator.stft.win_length

    def push(self, piece: Tensor) -> Tensor:
        """Take in the next samples.

        Args:
            piece: (channel, sample) at the separator's rate, any number of samples.

        Returns:
            (source, channel, sample), the samples that are finished; perhaps none.
        """
        self._n_in += piece.shape[-1]
        return self._advance(piece)

    def finish(self) -> Tensor:
        """End the recording.

        Returns:
            (source, channel, sample), what is left; all pieces together are as long as what went in.

        Raises:
            ShapeError: nothing was pushed, so nobody knows the channels.
        """
        stft = self.separator.stft
        if self._waiting is None:
            raise ShapeError(describe("the end of a stream without samples", expected="push, then finish"))
        hop = stft.hop_length
        n_after = -self._n_in % hop + math.ceil(stft.n_overlap / hop) * hop
        return self._advance(self._waiting.new_zeros(self._waiting.shape[0], n_after))

    def _advance(self, piece: Tensor) -> Tensor:
        stft = self.separator.stft
        if self._waiting is None:
            self._waiting = piece.new_zeros(piece.shape[0], stft.n_overlap)
        waiting = torch.cat((self._waiting, piece), -1)
        n_frames = max(0, (waiting.shape[-1] - stft.n_overlap) // stft.hop_length)
        self._waiting = waiting[..., n_frames * stft.hop_length :].clone()
        if n_frames == 0:
            return piece.new_zeros(self.separator.n_sources, piece.shape[0], 0)
        ready = waiting[..., : stft.n_overlap + n_frames * stft.hop_length]
        estimate = self._step(stft.analyse(ready).unsqueeze(0))
        if self._sum is not None:
            n_tail = estimate.shape[-1] - self._sum.shape[-1]
            estimate = estimate + functional.pad(self._sum, (0, n_tail))
        n_done = n_frames * stft.hop_length
        self._sum = estimate[..., n_done:].clone()
        # What lies before the first sample, or behind the last one, is padding.
        start, end = max(0, -self._n_out), min(n_done, self._n_in - self._n_out)
        self._n_out += n_done
        return estimate[..., start : max(start, end)]

    def _step(self, mixture_stft: Tensor) -> Tensor:
        """Estimate the frames of a piece, overlap-added: (source, channel, sample)."""
        model = self.separator.model
        with torch.inference_mode():
            mask, self._state = model.step(mixture_stft, Conditions(state=self._state))
            return self.separator.stft.overlap_add(model.apply_mask(mixture_stft, mask))[0]
