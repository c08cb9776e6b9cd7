"""Resampling without delay and with exact lengths, in a stream or at once (soxr).

A signal of n samples becomes `resampled_length(n)` samples, rounded up, so that the way back covers the n
samples it began with; asked for exactly n, it returns exactly n.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocx.errors import ConfigError, describe

QUALITY = "HQ"


def resampled_length(n_samples: int, rate_in: int, rate_out: int) -> int:
    """Length after resampling, rounded up to whole samples."""
    return -(-n_samples * rate_out // rate_in)


class Resampler:
    """Resample a stream piece by piece; the pieces' borders leave no trace.

    Args:
        rate_in: sample rate of what goes in, in Hz.
        rate_out: sample rate of what comes out, in Hz. Equal rates pass the samples through untouched.
        n_channels: number of channels.

    Raises:
        ConfigError: a rate is not positive.
    """

    def __init__(self, rate_in: int, rate_out: int, n_channels: int) -> None:
        if rate_in <= 0 or rate_out <= 0:
            raise ConfigError(
                describe("sample rate", expected="a positive number of Hz", got=f"{rate_in} and {rate_out}")
            )
        self.rate_in = rate_in
        self.rate_out = rate_out
        self.n_channels = n_channels
        self.n_in = 0
        self.n_out = 0
        self._stream = (
            None
            if rate_in == rate_out
            else soxr.ResampleStream(rate_in, rate_out, n_channels, dtype="float32", quality=QUALITY)
        )

    def push(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples (channel, sample); return what is ready, often fewer or none at first."""
        self.n_in += waveform.shape[-1]
        return self._emit(self._run(waveform, last=False))

    def finish(self, n_samples: int | None = None) -> NDArray[np.float32]:
        """End the stream and return its rest (channel, sample).

        Args:
            n_samples: length of all that comes out, from the first `push` on; the default is
                `resampled_length` of what went in.
        """
        if n_samples is None:
            n_samples = resampled_length(self.n_in, self.rate_in, self.rate_out)
        # soxr rounds its length to the nearest sample; silence behind the end makes it reach what is asked.
        n_silent = max(0, math.ceil(n_samples * self.rate_in / self.rate_out) - self.n_in) + 1
        silence = np.zeros((self.n_channels, n_silent), np.float32)
        rest = self._run(silence, last=True)
        return self._emit(rest[:, : max(0, n_samples - self.n_out)])

    def _run(self, waveform: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        if self._stream is None:
            return waveform
        samples = np.ascontiguousarray(waveform.T, dtype=np.float32)  # (sample, channel)
        return np.ascontiguousarray(self._stream.resample_chunk(samples, last=last).T)

    def _emit(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        self.n_out += waveform.shape[-1]
        return waveform


def resample(
    waveform: NDArray[np.float32], rate_in: int, rate_out: int, n_samples: int | None = None
) -> NDArray[np.float32]:
    """Resample a whole waveform.

    Args:
        waveform: float32 (channel, sample).
        rate_in: its sample rate in Hz.
        rate_out: the wanted sample rate in Hz.
        n_samples: length to return; the default is `resampled_length`.

    Returns:
        float32 (channel, sample), without delay against the input.

    Raises:
        ConfigError: a rate is not positive.
    """
    resampler = Resampler(rate_in, rate_out, waveform.shape[0])
    first = resampler.push(waveform)
    return np.concatenate([first, resampler.finish(n_samples)], axis=1)
