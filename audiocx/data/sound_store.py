"""Makes the stores that `sounds.py` reads: every file decoded and measured once, in a folder of the cache.

A file is stored in 16 bits with a scale of its own, so that what passes full scale stays whole: decoded Ogg
does. The error is at most half a step of 1/32767 of the file's peak; 16-bit files are kept bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocx.audio.files import AudioInfo, probe, read
from audiocx.audio.resampling import resample, resampled_length
from audiocx.data.activity import FRAME_SECONDS, active_frames, frame_powers
from audiocx.data.cache import hash_of, hash_of_file, make_folder
from audiocx.data.narrow_band import lacks_highs, summed_spectrum
from audiocx.data.progress import in_threads
from audiocx.data.recording import choose_channel
from audiocx.data.sounds import Sound, Sounds
from audiocx.errors import AudioFileError, DataError

log = logging.getLogger(__name__)

VERSION = 1
"""Part of the key: raised whenever the same files would be stored differently."""
FREE_SHARE = 0.5
"""Share of the free space of the cache's disk that may be taken where no limit is given."""


def open_sounds(
    everything: Sequence[Path],
    wanted: Sequence[Path],
    sample_rate: int,
    channel: str,
    cache: Path,
    gigabytes: float | None,
) -> Sounds:
    """Open the store of some files, made first where there is none.

    The files of a whole table are stored together, so that runs that choose other rows of it share the store;
    where they are too many, the wanted ones alone; where these are too many, only what is known of them,
    and their samples are streamed.

    Args:
        everything: files of the table.
        wanted: those of them that are used.
        sample_rate: of the store, in Hz.
        channel: `first`, `mean`, or `random` (all channels are stored).
        cache: the cache folder.
        gigabytes: largest store; None is half of the free space.

    Raises:
        DataError: a wanted file is missing, broken, or holds NaN or Inf.
        OutputError: the cache cannot be written.
    """
    choices = [(everything, True), (wanted, True), (wanted, False)]
    for files, stored in choices:
        folder = _folder(files, sample_rate, channel, cache, stored)
        if not folder.is_dir():
            if stored and not _fits(files, sample_rate, channel, cache, gigabytes):
                continue
            _make(folder, files, sample_rate, channel, stored)
        elif stored and gigabytes is not None and _size(folder) > gigabytes * 1e9:
            continue
        sounds = Sounds(folder)
        for path in wanted:
            problem = sounds.sounds[sounds.numbers[str(path)]].problem
            if problem:
                raise DataError(problem)
        return sounds
    raise AssertionError("streaming fits always")


def _size(folder: Path) -> int:
    return (folder / "samples.npy").stat().st_size


def _folder(files: Sequence[Path], sample_rate: int, channel: str, cache: Path, stored: bool) -> Path:
    """Place of a store: names, sizes and times of the files, and how they are read, make its key."""
    states = []
    for path in files:
        state = path.stat() if path.is_file() else None
        states.append([str(path)] + ([] if state is None else [state.st_size, state.st_mtime_ns]))
    key = hash_of([VERSION, sample_rate, channel, stored, states])
    return cache / "sounds" / key


def _probe(path: Path) -> AudioInfo | str:
    try:
        return probe(path)
    except AudioFileError as error:
        return str(error)


def _stored_channels(info: AudioInfo, channel: str) -> int:
    return info.n_channels if channel == "random" else 1


def _fits(
    files: Sequence[Path], sample_rate: int, channel: str, cache: Path, gigabytes: float | None
) -> bool:
    infos = [info for info in in_threads(files, _probe, "reading headers") if isinstance(info, AudioInfo)]
    size = sum(2 * sample_rate * info.seconds * _stored_channels(info, channel) for info in infos)
    if gigabytes is None:
        place = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
        limit = FREE_SHARE * shutil.disk_usage(place).free
    else:
        limit = gigabytes * 1e9
    return size <= limit


def _make(folder: Path, files: Sequence[Path], sample_rate: int, channel: str, stored: bool) -> None:
    """Decode files into a folder that appears when it is whole."""
    infos = in_threads(files, _probe, "reading headers")
    sounds = []
    n_samples = n_frames = 0
    frame = max(1, round(FRAME_SECONDS * sample_rate))
    for path, info in zip(files, infos, strict=True):
        sound = Sound(str(path), start=n_samples if stored else -1, frame=n_frames)
        if isinstance(info, str):
            sound.problem = info
        else:
            sound.n_channels = _stored_channels(info, channel)
            sound.n_samples = resampled_length(info.n_samples, info.sample_rate, sample_rate)
            n_samples += sound.n_channels * sound.n_samples
            n_frames += -(-sound.n_samples // frame)
        sounds.append(sound)
    log.info("reading %d files, %.1f min, once", len(files), n_samples / sample_rate / 60)

    def fill(temporary: Path) -> None:
        samples = None
        if stored:
            samples = np.lib.format.open_memmap(
                temporary / "samples.npy", mode="w+", dtype=np.int16, shape=(n_samples,)
            )
        powers = np.zeros(n_frames, dtype=np.float32)

        def work(sound: Sound) -> None:
            _store(sound, sample_rate, channel, samples, powers)

        in_threads([sound for sound in sounds if not sound.problem], work, "reading files")
        if samples is not None:
            samples.flush()
        np.save(temporary / "powers.npy", powers)
        plain = {
            "sample_rate": sample_rate,
            "channel": channel,
            "sounds": [asdict(sound) for sound in sounds],
        }
        (temporary / "sounds.json").write_text(json.dumps(plain), encoding="utf-8")

    make_folder(folder, fill)


def _store(
    sound: Sound,
    sample_rate: int,
    channel: str,
    samples: NDArray[np.int16] | None,
    powers: NDArray[np.float32],
) -> None:
    """Decode one file, keep its samples and say what it holds."""
    try:
        waveform, rate = read(sound.path)
    except AudioFileError as error:
        sound.problem = str(error)
        return
    if channel != "random":
        waveform = choose_channel(waveform, channel, 0)
    waveform = resample(waveform, rate, sample_rate)
    # A header may promise a few samples more than there are: MP3.
    sound.n_samples = min(sound.n_samples, waveform.shape[1])
    waveform = waveform[:, : sound.n_samples]
    frames = np.max([frame_powers(each, sample_rate) for each in waveform], axis=0)
    active = active_frames(frames)
    sound.n_frames = len(frames)
    powers[sound.frame : sound.frame + sound.n_frames] = frames
    sound.active_power = float(frames[active].mean()) if active.any() else 0.0
    sound.is_narrow = bool(active.any()) and lacks_highs(summed_spectrum(waveform[0]), sample_rate)
    sound.sha256 = hash_of_file(Path(sound.path))
    steps, sound.scale = quantise(waveform)
    sound.content = hashlib.sha256(steps.tobytes()).hexdigest() if active.any() else ""
    if samples is not None:
        samples[sound.start : sound.start + steps.size] = steps.ravel()


def quantise(waveform: NDArray[np.float32]) -> tuple[NDArray[np.int16], float]:
    """Write a waveform in 16 bits.

    Returns:
        Whole numbers of the same shape, and the value of one step: 1/32768 where that is exact, else the peak
        divided by 32767.
    """
    exact = waveform * np.float32(32768)
    if (exact == np.rint(exact)).all() and exact.min() >= -32768 and exact.max() <= 32767:
        return exact.astype(np.int16), 1 / 32768
    scale = float(np.abs(waveform).max()) / 32767
    return np.rint(waveform * np.float32(1 / scale)).astype(np.int16), scale
