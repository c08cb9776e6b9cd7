"""Pieces cut out of recordings: where somebody speaks, where a noise is heard, and short ones put together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiocx.data.activity import (
    FRAME_SECONDS,
    Waveform,
    active_frames,
    counts_before,
    frame_powers,
    spoken_starts,
)
from audiocx.data.draws import Noise, Speech, draw_channel
from audiocx.data.mixing import mean_power

NOISE_RANGE_DB = 20.0
"""A piece of noise is drawn where its power is at most so far below the file's: the hiss between two barks
would be turned up to the ratio that was asked for."""
EFFECT_SECONDS = 2.0
"""Shorter noises are single events: they are repeated at random places, longer ones go round."""
EFFECT_SPREAD_DB = 3.0
FADE_SECONDS = 0.01
PAUSE_SECONDS = (0.05, 0.4)
"""Between pieces of one talker that follow one another."""


class SpokenPieces:
    """Cuts pieces of speech.

    Args:
        speech: of one part.
    """

    def __init__(self, speech: Speech) -> None:
        self.speech = speech
        self.sample_rate = speech.sounds.sample_rate
        self._frame = max(1, round(FRAME_SECONDS * self.sample_rate))

    def draw(
        self, random: np.random.Generator, number: int, lead: int, n_samples: int, tail: int
    ) -> tuple[Waveform, list[int]]:
        """Draw a piece, with what is said before and behind it, at an active power of 1.

        Returns:
            The waveform (sample,), and which files are in it.
        """
        sounds = self.speech.sounds
        sound = sounds.sounds[number]
        if sound.n_samples >= n_samples:
            channel = draw_channel(random, sound)
            starts = self._active_starts(sounds.powers(number, channel), sound.n_samples, n_samples)
            start = int(starts[random.integers(len(starts))])
            piece = sounds.read(number, start - lead, lead + n_samples + tail, channel)
            return piece * np.float32(sound.active_powers[channel] ** -0.5), [number]
        joined, files = np.zeros(lead + n_samples + tail, dtype=np.float32), []
        channel = draw_channel(random, sound)
        place = -_cut(random, sounds.powers(number, channel), self._frame)
        while place < n_samples:
            files.append(number)
            sound = sounds.sounds[number]
            first, last = max(place, 0), min(place + sound.n_samples, n_samples)
            piece = sounds.read(number, first - place, last - first, channel)
            joined[lead + first : lead + last] = _faded(piece, self.sample_rate) * np.float32(
                sound.active_powers[channel] ** -0.5
            )
            place = last + round(random.uniform(*PAUSE_SECONDS) * self.sample_rate)
            number = self.speech.another(random, number)
            channel = draw_channel(random, sounds.sounds[number])
        return joined, files

    def _active_starts(
        self, powers: NDArray[np.float64], n_in_file: int, n_samples: int
    ) -> NDArray[np.int64]:
        """Starts, in samples, of the pieces in which somebody speaks often enough, else of the most active ones."""
        starts = spoken_starts(counts_before(active_frames(powers)), n_samples // self._frame)
        return np.minimum(starts * self._frame, n_in_file - n_samples)


class NoisePieces:
    """Cuts pieces of noise.

    Args:
        noise: of one part.
    """

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        self.sample_rate = noise.sounds.sample_rate
        self._frame = max(1, round(FRAME_SECONDS * self.sample_rate))

    def draw(self, random: np.random.Generator, number: int, n_samples: int) -> Waveform:
        """Draw a piece of a file, at a power of 1."""
        sounds = self.noise.sounds
        sound = sounds.sounds[number]
        channel = draw_channel(random, sound)
        if sound.n_samples >= n_samples:
            starts = self._loud_starts(sounds.powers(number, channel), sound.n_samples, n_samples)
            waveform = sounds.read(number, int(starts[random.integers(len(starts))]), n_samples, channel)
        else:
            whole = sounds.read(number, 0, sound.n_samples, channel)
            if sound.n_samples < EFFECT_SECONDS * self.sample_rate:
                waveform = self._scattered(random, whole, n_samples)
            else:
                waveform = self._going_round(random, whole, n_samples)
        return waveform * np.float32(mean_power(waveform) ** -0.5)

    def _loud_starts(self, powers: NDArray[np.float64], n_in_file: int, n_samples: int) -> NDArray[np.int64]:
        """Starts of the pieces whose power is not far below the file's, on a grid of 10 ms."""
        sums = np.concatenate([[0.0], np.cumsum(powers)])
        length = max(1, min(n_samples // self._frame, len(powers)))
        inside = (sums[length:] - sums[:-length]) / length
        least = min(float(powers.mean()) * 10 ** (-NOISE_RANGE_DB / 10), float(inside.max()))
        starts = np.flatnonzero(inside >= least)
        return np.minimum(starts * self._frame, n_in_file - n_samples)

    def _scattered(self, random: np.random.Generator, event: Waveform, n_samples: int) -> Waveform:
        """Repeat an event, with pauses that are as long as it on average."""
        event = _faded(event, self.sample_rate)
        waveform = np.zeros(n_samples, dtype=np.float32)
        place = -_cut(random, frame_powers(event, self.sample_rate), self._frame)
        while place < n_samples:
            gain = np.float32(10 ** (random.uniform(-EFFECT_SPREAD_DB, EFFECT_SPREAD_DB) / 20))
            first, last = max(place, 0), min(place + len(event), n_samples)
            waveform[first:last] += gain * event[first - place : last - place]
            place = last + 1 + int(random.exponential(len(event)))
        return waveform

    def _going_round(self, random: np.random.Generator, whole: Waveform, n_samples: int) -> Waveform:
        """Begin anywhere and go round, the end fading into the beginning at equal power."""
        fade = min(len(whole) // 4, 4 * round(FADE_SECONDS * self.sample_rate))
        ramp = np.linspace(0, np.pi / 2, fade, dtype=np.float32)
        loop = whole[fade:].copy()
        loop[len(loop) - fade :] = loop[len(loop) - fade :] * np.cos(ramp) + whole[:fade] * np.sin(ramp)
        start = int(random.integers(len(loop)))
        return np.take(loop, np.arange(start, start + n_samples), mode="wrap")


def _cut(random: np.random.Generator, powers: NDArray[np.float64], frame: int) -> int:
    """Draw how many samples of a beginning may be missing, so that half of the energy is left."""
    sums = np.cumsum(powers)
    half = int(np.searchsorted(sums, sums[-1] / 2))
    return int(random.integers(half * frame + 1))


def _faded(piece: Waveform, sample_rate: int) -> Waveform:
    """Fade both ends, so that a cut does not click."""
    fade = min(len(piece) // 4, round(FADE_SECONDS * sample_rate))
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    piece = piece.copy()
    piece[:fade] *= ramp
    piece[len(piece) - fade :] *= ramp[::-1]
    return piece
