"""Speech in a room: convolution with a measured response, and the part of it that is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from audiocx.data.activity import Waveform
from audiocx.data.sounds import Sounds

EARLY_SECONDS = 0.05
"""Reflections that come so soon after the direct sound help to understand speech: they belong to the target."""
TAIL_DB = -60.0
"""A response ends where the energy that is left is this far below all of it."""
KEPT_MEGABYTES = 64.0
"""Of made responses: about a thousand of one second at 16 kHz."""


@dataclass(frozen=True)
class Response:
    """A room's response, scaled so that its wanted part has the energy 1: speech keeps about its level.

    Attributes:
        taps: direct sound and reverberation (tap,).
        n_early: taps up to 50 ms after the direct sound; the target is speech convolved with these.
        direct: place of the direct sound, the strongest peak. Convolution is advanced by it, so that direct
            sound arrives when the dry speech began.
    """

    taps: Waveform
    n_early: int
    direct: int

    @property
    def lead(self) -> int:
        """Samples of speech before a piece that still sound in it."""
        return len(self.taps) - 1 - self.direct


def make_response(taps: NDArray[np.float32], sample_rate: int) -> Response:
    """Find the direct sound of a response (tap,), not silent; cut off what is too soft to matter, and scale it."""
    direct = int(np.argmax(np.abs(taps)))
    n_early = min(len(taps), direct + 1 + round(EARLY_SECONDS * sample_rate))
    energy = np.square(taps, dtype=np.float64)
    left = np.cumsum(energy[::-1])[::-1]
    n_taps = max(n_early, int(np.count_nonzero(left > left[0] * 10 ** (TAIL_DB / 10))))
    scaled = taps[:n_taps] / np.float32(np.sqrt(energy[:n_early].sum()))
    return Response(scaled.astype(np.float32), n_early, direct)


def reverberate(speech: Waveform, response: Response) -> tuple[Waveform, Waveform]:
    """Convolve a piece of speech.

    Args:
        speech: (sample,), with `response.lead` samples before the piece and `response.direct` behind it.
        response: of the room.

    Returns:
        The piece in the room, and its direct sound with the first 50 ms of reflections, both without the
        samples before and behind.
    """
    n_taps = len(response.taps)
    size = fft.next_fast_len(len(speech), real=True)
    rows = np.zeros((3, size), dtype=np.float32)
    rows[0, : len(speech)] = speech
    rows[1, :n_taps] = response.taps
    rows[2, : response.n_early] = response.taps[: response.n_early]
    spectra = fft.rfft(rows)
    # What goes round falls on the first n_taps - 1 samples, which are not part of the piece.
    piece = fft.irfft(spectra[1:] * spectra[:1], size)[:, n_taps - 1 : len(speech)]
    return piece[0], piece[1]


class Responses:
    """The responses of a store, made when they are first drawn; the last ones are kept, up to a size.

    Args:
        sounds: the store; each channel of a file is a response.
        sample_rate: in Hz.
        megabytes: kept at most, in each process that makes examples.
    """

    def __init__(self, sounds: Sounds, sample_rate: int, megabytes: float = KEPT_MEGABYTES) -> None:
        self.sounds = sounds
        self.sample_rate = sample_rate
        self.most_bytes = int(megabytes * 1e6)
        self.n_bytes = 0
        self._made: dict[tuple[int, int], Response] = {}

    def get(self, number: int, channel: int) -> Response:
        """Return the response in a channel of a file."""
        key = (number, channel)
        response = self._made.pop(key, None)
        if response is None:
            taps = self.sounds.read(number, 0, self.sounds.sounds[number].n_samples, channel)
            response = make_response(taps, self.sample_rate)
            self.n_bytes += response.taps.nbytes
        self._made[key] = response
        # A dict keeps the order in which keys came: the first one is the longest not drawn.
        while self.n_bytes > self.most_bytes and len(self._made) > 1:
            self.n_bytes -= self._made.pop(next(iter(self._made))).taps.nbytes
        return response
