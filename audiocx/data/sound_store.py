"""Makes the stores that `sounds.py` reads: every file decoded and measured once, in a folder of the cache.

A file is stored in 16 bits with a scale of its own, so that what passes full scale stays whole: decoded Ogg
does. The error is at most half a step of 1/32767 of the file's peak; 16-bit files are kept bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocx.audio.files import AudioInfo, blocks, probe
from audiocx.audio.resampling import Resampler, resampled_length
from audiocx.data.activity import FRAME_SECONDS, active_frames, frame_powers
from audiocx.data.cache import hash_of, hash_of_file, make_folder, reserve
from audiocx.data.narrow_band import lacks_highs, summed_spectrum
from audiocx.data.progress import in_threads
from audiocx.data.recording import choose_channel
from audiocx.data.sixteen_bits import hashed_bytes, in_steps, is_exact, step_of
from audiocx.data.sounds import Sound, Sounds
from audiocx.errors import AudioFileError, DataError

log = logging.getLogger(__name__)

VERSION = 2
"""Part of the key: raised whenever the same files would be stored differently."""
FREE_SHARE = 0.5
"""Share of the free space of the cache's disk that may be taken where no limit is given."""
KEPT_SAMPLES = 1 << 22
"""Of all channels: a longer file (4 minutes 22 seconds at 16 kHz) is decoded twice, and not kept for that."""


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


def _frame_samples(sample_rate: int) -> int:
    return max(1, round(FRAME_SECONDS * sample_rate))


def _make(folder: Path, files: Sequence[Path], sample_rate: int, channel: str, stored: bool) -> None:
    """Decode files into a folder that appears when it is whole."""
    infos = in_threads(files, _probe, "reading headers")
    sounds = []
    n_samples = n_frames = 0
    frame = _frame_samples(sample_rate)
    for path, info in zip(files, infos, strict=True):
        sound = Sound(str(path), start=n_samples if stored else -1, frame=n_frames)
        if isinstance(info, str):
            sound.problem = info
        else:
            sound.n_channels = _stored_channels(info, channel)
            sound.n_samples = resampled_length(info.n_samples, info.sample_rate, sample_rate)
            n_samples += sound.n_channels * sound.n_samples
            n_frames += sound.n_channels * -(-sound.n_samples // frame)
        sounds.append(sound)
    log.info("reading %d files, %.1f min, once", len(files), n_samples / sample_rate / 60)

    def fill(temporary: Path) -> None:
        samples = None
        if stored:
            samples = np.lib.format.open_memmap(
                temporary / "samples.npy", mode="w+", dtype=np.int16, shape=(n_samples,)
            )
            reserve(temporary / "samples.npy")
        powers = np.zeros(n_frames, dtype=np.float32)

        def work(row: tuple[Sound, AudioInfo | str]) -> None:
            sound, info = row
            if isinstance(info, AudioInfo):
                _store(sound, info, sample_rate, channel, samples, powers)

        in_threads(list(zip(sounds, infos, strict=True)), work, "reading files")
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
    info: AudioInfo,
    sample_rate: int,
    channel: str,
    samples: NDArray[np.int16] | None,
    powers: NDArray[np.float32],
) -> None:
    """Decode one file, keep its samples and say what it holds.

    Its peak decides how it is written, so it is gone through twice: a short file is kept for that, a long one is
    decoded again and takes no more memory.
    """
    try:
        kept = None
        if sound.n_samples * sound.n_channels <= KEPT_SAMPLES:
            kept = list(_blocks(sound, info, sample_rate, channel))
        _measure(sound, kept or _blocks(sound, info, sample_rate, channel), sample_rate, powers)
        _write(sound, kept or _blocks(sound, info, sample_rate, channel), samples)
        sound.sha256 = hash_of_file(Path(sound.path))
    except AudioFileError as error:
        sound.problem = str(error)


def _blocks(sound: Sound, info: AudioInfo, sample_rate: int, channel: str) -> Iterator[NDArray[np.float32]]:
    """Decode and resample a file in blocks (channel, sample) of whole frames, none empty; the last may be short.

    Raises:
        AudioFileError: it cannot be read, or holds NaN or Inf.
    """
    # Whole pieces of `summed_spectrum` too, so that blocks leave no trace in what is measured.
    size = 1024 * _frame_samples(sample_rate)
    resampler = Resampler(info.sample_rate, sample_rate, sound.n_channels)
    waiting = np.zeros((sound.n_channels, 0), dtype=np.float32)
    # A header may promise a few samples less or more than there are: MP3.
    left = sound.n_samples
    for decoded in blocks(sound.path):
        chosen = decoded if channel == "random" else choose_channel(decoded, channel, 0)
        waiting = np.concatenate([waiting, resampler.push(chosen)], axis=1)
        while waiting.shape[1] >= size and left > 0:
            yield waiting[:, : min(size, left)]
            waiting, left = waiting[:, size:], left - size
    rest = np.concatenate([waiting, resampler.finish()], axis=1)[:, : max(0, left)]
    for start in range(0, rest.shape[1], size):
        yield rest[:, start : start + size]


def _measure(
    sound: Sound, found: Iterable[NDArray[np.float32]], sample_rate: int, powers: NDArray[np.float32]
) -> None:
    """Go through the blocks of a file for its length, powers, bandwidth, and the value of a step."""
    frames: list[list[NDArray[np.float64]]] = [[] for _ in range(sound.n_channels)]
    spectrum = np.zeros(513)
    n_samples, peak, exact = 0, 0.0, True
    for block in found:
        for channel, row in enumerate(block):
            frames[channel].append(frame_powers(row, sample_rate))
            if n_samples == 0 or len(row) >= 1024:
                spectrum += summed_spectrum(row)
        exact = exact and is_exact(block)
        peak = max(peak, float(np.abs(block).max()))
        n_samples += block.shape[1]
    sound.n_samples = n_samples
    sound.scale = step_of(peak, exact=exact)
    whole = [np.concatenate(each) for each in frames]
    sound.n_frames = len(whole[0])
    for channel, each in enumerate(whole):
        first = sound.frame + channel * sound.n_frames
        powers[first : first + sound.n_frames] = each
        active = active_frames(each)
        sound.active_powers.append(float(each[active].mean()) if active.any() else 0.0)
    sound.is_narrow = bool(sound.live_channels) and lacks_highs(spectrum, sample_rate)


def _write(sound: Sound, found: Iterable[NDArray[np.float32]], samples: NDArray[np.int16] | None) -> None:
    """Go through the blocks of a file in 16 bits: keep them, channel after channel, and hash them."""
    digest = hashlib.sha256()
    place = sound.start
    for block in found:
        steps = in_steps(block, sound.scale)
        digest.update(hashed_bytes(steps))
        if samples is not None:
            for channel, row in enumerate(steps):
                first = place + channel * sound.n_samples
                samples[first : first + len(row)] = row
        place += steps.shape[1]
    sound.content = digest.hexdigest() if sound.live_channels else ""
