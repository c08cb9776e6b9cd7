"""Many sound files read by number and place: from 16-bit samples that all processes map, or from the files.

`sound_store.py` makes what is read here.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocx.audio.files import probe, read
from audiocx.audio.resampling import resample
from audiocx.data.activity import Waveform
from audiocx.data.recording import choose_channel

EDGE_SAMPLES = 2048
"""Read on each side of a streamed piece that is resampled, so that the filter has settled."""


@dataclass
class Sound:
    """What is known of one stored file.

    Attributes:
        path: the file.
        n_channels: stored channels.
        n_samples: of each channel, at the store's rate.
        start: of its first sample among the stored ones; -1 where it is streamed.
        frame: number of its first frame of 10 ms.
        n_frames: number of its frames, in each channel.
        scale: value of one step.
        active_powers: of each channel, mean power over its active frames; 0 where it is silent.
        is_narrow: there is nothing above 4 kHz.
        sha256: hash of the file's bytes.
        content: hash of its samples, the same whatever the container; empty for silence.
        problem: why it cannot be used; empty where it can.
    """

    path: str
    n_channels: int = 1
    n_samples: int = 0
    start: int = -1
    frame: int = 0
    n_frames: int = 0
    scale: float = 1.0
    active_powers: list[float] = field(default_factory=list)
    is_narrow: bool = False
    sha256: str = ""
    content: str = ""
    problem: str = ""

    @property
    def active_power(self) -> float:
        """That of the loudest channel; 0 where nothing is heard in any."""
        return max(self.active_powers, default=0.0)

    @property
    def live_channels(self) -> list[int]:
        """Channels in which something is heard: a microphone that was not plugged in has silence beside it."""
        return [channel for channel, power in enumerate(self.active_powers) if power > 0]


class Sounds:
    """Files of one rate, read by number and place.

    Pickling passes the folder alone, so a worker process maps the samples itself.

    Attributes:
        folder: where the store lies.
        sample_rate: in Hz.
        sounds: facts, one for each file.
        numbers: of the files, by path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        plain: dict[str, Any] = json.loads((folder / "sounds.json").read_text(encoding="utf-8"))
        self.sample_rate = int(plain["sample_rate"])
        self.channel = str(plain["channel"])
        self.sounds = [Sound(**facts) for facts in plain["sounds"]]
        self.numbers = {sound.path: number for number, sound in enumerate(self.sounds)}
        self._powers: NDArray[np.float32] = np.load(folder / "powers.npy", mmap_mode="r")
        samples = folder / "samples.npy"
        self._samples: NDArray[np.int16] | None = (
            np.load(samples, mmap_mode="r") if samples.is_file() else None
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Sounds.__init__(self, state["folder"])

    @property
    def is_streamed(self) -> bool:
        """Whether samples come from the user's files each time."""
        return self._samples is None

    def read(self, number: int, start: int, n_samples: int, channel: int = 0) -> Waveform:
        """Read a piece (sample,); what lies before the beginning and behind the end is zero.

        Raises:
            AudioFileError: a streamed file has become unreadable.
        """
        sound = self.sounds[number]
        piece = np.zeros(n_samples, dtype=np.float32)
        first, last = max(start, 0), min(start + n_samples, sound.n_samples)
        if first >= last:
            return piece
        place = slice(first - start, last - start)
        if self._samples is None:
            piece[place] = self._stream(sound, first, last - first, channel)
        else:
            origin = sound.start + channel * sound.n_samples
            np.multiply(
                self._samples[origin + first : origin + last], np.float32(sound.scale), out=piece[place]
            )
        return piece

    def _stream(self, sound: Sound, start: int, n_samples: int, channel: int) -> Waveform:
        """Read a piece from the file, resampled with what stands on both sides of it."""
        info = probe(sound.path)
        if info.sample_rate == self.sample_rate:
            waveform, _ = read(sound.path, start, n_samples)
            before = 0
        else:
            # A start that both rates have, so that a piece has the samples that the whole would have.
            common = math.gcd(info.sample_rate, self.sample_rate)
            grid_in, grid_out = info.sample_rate // common, self.sample_rate // common
            first = max(0, (start - EDGE_SAMPLES) // grid_out) * grid_out
            before = start - first
            count = -(-(before + n_samples + EDGE_SAMPLES) * grid_in // grid_out)
            found, _ = read(sound.path, first // grid_out * grid_in, count)
            waveform = resample(found, info.sample_rate, self.sample_rate)
        chosen = choose_channel(waveform, self.channel, channel)[0, before : before + n_samples]
        return np.pad(chosen, (0, n_samples - len(chosen)))

    def powers(self, number: int, channel: int = 0) -> NDArray[np.float64]:
        """Mean powers of the frames of 10 ms of a channel of a file (frame,)."""
        sound = self.sounds[number]
        first = sound.frame + channel * sound.n_frames
        return self._powers[first : first + sound.n_frames].astype(np.float64)

    def seconds(self, number: int) -> float:
        """Length of a file."""
        return self.sounds[number].n_samples / self.sample_rate
