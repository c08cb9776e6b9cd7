"""Enhancer: what people call with arrays or files of any rate, length and channel count.

    read -> to the model's rate -> blocks -> separator -> stitched -> back to the input's rate -> written

Every arrow is a stream, so memory does not grow with a recording's length. A causal model goes through the
recording with its state, and there are no blocks; a model that levels its input over the whole recording hears
its level from a first pass over it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocx.audio.files import AudioInfo, blocks, printable, probe
from audiocx.audio.resampling import Resampler
from audiocx.audio.writing import AudioWriter, Written, wav_subtype
from audiocx.errors import AudioFileError, ConfigError, ShapeError, describe
from audiocx.inference.blocks import plan_blocks, process_in_blocks
from audiocx.inference.device import choose_device
from audiocx.inference.stream import Stream
from audiocx.inference.utterance_level import utterance_level
from audiocx.models.conditions import Conditions
from audiocx.models.separator import Separator

READ_SECONDS = 2.0
"""Seconds of the input that are taken in at a time."""

CHANNEL_SECONDS = {"cpu": 20.0, "cuda": 160.0}
"""Channels go through the model together as long as they hold no more than so much audio in all: memory."""

SAMPLE_RATES = (1000, 1_000_000)
"""Lowest and highest rate, in Hz, that is taken for a real one."""

Pieces = Callable[[], Iterable[NDArray[np.float32]]]
"""Begins a pass over a recording: consecutive pieces (channel, sample)."""


@dataclass(frozen=True)
class FileReport:
    """What `Enhancer.file` did.

    Attributes:
        input: what was read.
        outputs: what was written, one file for each source.
        info: form of the input.
        subtype: sample form of the outputs.
        gains_db: by how much each output was rescaled so as not to clip, 0 where it was not.
        wall_seconds: time it took.
    """

    input: Path
    outputs: tuple[Path, ...]
    info: AudioInfo
    subtype: str
    gains_db: tuple[float, ...]
    wall_seconds: float

    @property
    def audio_seconds(self) -> float:
        """Duration of the input in seconds."""
        return self.info.seconds


def output_paths(output: str | Path, n_sources: int) -> tuple[Path, ...]:
    """Files that an output stands for: itself, or `<stem>_1.wav`, `<stem>_2.wav`, ... for several sources."""
    path = Path(output)
    if n_sources == 1:
        return (path,)
    return tuple(path.with_name(f"{path.stem}_{source + 1}{path.suffix}") for source in range(n_sources))


class Enhancer:
    """Enhance recordings with a trained separator.

    Args:
        separator: put on the device and into evaluation mode here.
        device: `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.
        block_seconds: length of the blocks that long recordings are cut into; a causal model needs none.
        overlap_seconds: what two blocks share; the default is 2 s, or a fifth of shorter blocks.

    Raises:
        ConfigError: no such device, or lengths that do not fit.

    Example:
        >>> enhancer = Enhancer(audiocx.load("outputs/train/complex_unet/..."))  # doctest: +SKIP
        >>> clean = enhancer(noisy, 44100)  # doctest: +SKIP
    """

    def __init__(
        self,
        separator: Separator,
        *,
        device: str = "auto",
        block_seconds: float = 20.0,
        overlap_seconds: float | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.separator = separator.to(self.device).eval()
        self.plan = plan_blocks(separator.stft, block_seconds, overlap_seconds)

    def __call__(self, waveform: NDArray[Any], sample_rate: int) -> NDArray[Any]:
        """Enhance an array.

        Args:
            waveform: floats (sample,) or (sample, channel), of any length from one sample on.
            sample_rate: its rate in Hz.

        Returns:
            The same shape, rate and dtype. From a separator with several sources one more axis in front:
            (source, sample) or (source, sample, channel).

        Raises:
            ShapeError: other axes, no samples, or no floats.
            AudioFileError: NaN or Inf in the waveform.
            ConfigError: the rate is not one.
        """
        array = np.asarray(waveform)
        _check_array(array)
        sample_rate = _check_rate(sample_rate, "sample_rate", ConfigError)
        channels = np.atleast_2d(array.T).astype(np.float32)  # (channel, sample)
        n_piece = max(1, int(READ_SECONDS * sample_rate))

        def pieces() -> Iterator[NDArray[np.float32]]:
            for start in range(0, channels.shape[1], n_piece):
                yield channels[:, start : start + n_piece]

        stream = self._stream(pieces, sample_rate, channels.shape[0], name="waveform")
        estimate = np.concatenate(list(stream), axis=-1)  # (source, channel, sample)
        estimate = estimate[:, 0] if array.ndim == 1 else estimate.transpose(0, 2, 1)
        estimate = estimate.astype(array.dtype)
        return estimate[0] if len(estimate) == 1 else estimate

    def file(
        self,
        input: str | Path,
        output: str | Path,
        *,
        progress: Callable[[float, float], None] | None = None,
    ) -> FileReport:
        """Enhance a file: the output has the input's rate, length, channels and, where WAV has it, subtype.

        Args:
            input: an audio file of any length.
            output: the WAV file to make, see `output_paths`; an existing one is replaced at the end.
            progress: called with the seconds that are done and those there are.

        Raises:
            AudioFileError: the input is broken or the output cannot be written; nothing half-written stays.
        """
        began = time.perf_counter()
        info = probe(input)
        name = printable(input)
        _check_rate(info.sample_rate, f"{name}: sample rate", AudioFileError)
        n_piece = max(1, int(READ_SECONDS * info.sample_rate))
        subtype = wav_subtype(info.subtype)
        stream = self._stream(lambda: blocks(input, n_piece), info.sample_rate, info.n_channels, name=name)
        n_done = 0
        with ExitStack() as stack:
            writers = [
                stack.enter_context(AudioWriter(path, info.sample_rate, info.n_channels, subtype))
                for path in output_paths(output, self.separator.n_sources)
            ]
            for estimate in stream:  # (source, channel, sample)
                for writer, source in zip(writers, estimate, strict=True):
                    writer.write(source)
                n_done += estimate.shape[-1]
                if progress is not None:
                    progress(n_done / info.sample_rate, info.seconds)
            written: list[Written] = [writer.commit() for writer in writers]
        return FileReport(
            Path(input),
            tuple(item.path for item in written),
            info,
            subtype,
            tuple(item.gain_db for item in written),
            time.perf_counter() - began,
        )

    def _stream(
        self, pieces: Pieces, sample_rate: int, n_channels: int, *, name: str
    ) -> Iterator[NDArray[np.float32]]:
        """Yield consecutive estimates (source, channel, sample) at the input's rate, as long as the input."""
        separator = self.separator
        level = None
        if separator.uses_utterance_level:
            level = utterance_level(self._at_model_rate(pieces, sample_rate, n_channels), separator.stft)
        n_sources = separator.n_sources
        back = Resampler(separator.sample_rate, sample_rate, n_sources * n_channels)
        n_in = 0

        def counted() -> Iterator[NDArray[np.float32]]:
            nonlocal n_in
            for piece in pieces():
                n_in += piece.shape[-1]
                yield piece

        mixture = self._at_model_rate(counted, sample_rate, n_channels)
        if separator.causal:
            estimates = self._live(mixture, n_channels)
        else:
            estimates = process_in_blocks(mixture, lambda block: self._separate(block, level), self.plan)
        for estimate in estimates:
            samples = estimate.cpu().numpy()
            if not np.isfinite(samples).all():
                raise AudioFileError(
                    describe(
                        f"{name}: the model's estimate is not finite after"
                        f" {back.n_in / separator.sample_rate:.1f} s",
                        do="is the recording far beyond full scale?",
                    )
                )
            resampled = back.push(samples.reshape(n_sources * n_channels, -1))
            yield resampled.reshape(n_sources, n_channels, -1)
        yield back.finish(n_in).reshape(n_sources, n_channels, -1)

    def _at_model_rate(self, pieces: Pieces, sample_rate: int, n_channels: int) -> Iterator[Tensor]:
        """Yield the recording at the model's rate (channel, sample), on the device."""
        resampler = Resampler(sample_rate, self.separator.sample_rate, n_channels)
        for piece in pieces():
            yield torch.from_numpy(resampler.push(piece)).to(self.device)
        yield torch.from_numpy(resampler.finish()).to(self.device)

    def _live(self, mixture: Iterable[Tensor], n_channels: int) -> Iterator[Tensor]:
        """Yield consecutive estimates (source, channel, sample) of a causal model, which needs no blocks."""
        n_together = max(1, int(CHANNEL_SECONDS[self.device.type] / READ_SECONDS))
        groups = [slice(start, start + n_together) for start in range(0, n_channels, n_together)]
        streams = [Stream(self.separator) for _ in groups]
        for piece in mixture:
            parts = [stream.push(piece[group]) for stream, group in zip(streams, groups, strict=True)]
            yield torch.cat(parts, dim=1)
        yield torch.cat([stream.finish() for stream in streams], dim=1)

    def _separate(self, block: Tensor, level: Tensor | None) -> Tensor:
        """Turn a block into (source, channel, sample), as many channels at once as memory allows."""
        seconds = block.shape[-1] / self.separator.sample_rate
        n_together = max(1, int(CHANNEL_SECONDS[self.device.type] / seconds))
        estimates = []
        with torch.inference_mode():
            for start in range(0, block.shape[0], n_together):
                together = slice(start, start + n_together)
                conditions = None if level is None else Conditions(level=level[:, together])
                estimates.append(self.separator(block[None, together], conditions)[0])
        return estimates[0] if len(estimates) == 1 else torch.cat(estimates, dim=1)


def _check_array(array: NDArray[Any]) -> None:
    if array.ndim not in (1, 2) or array.size == 0:
        raise ShapeError(
            describe("`waveform`", expected="(sample,) or (sample, channel), not empty", got=array.shape)
        )
    if array.ndim == 2 and array.shape[1] > 64 and array.shape[1] > array.shape[0]:
        raise ShapeError(
            describe(
                f"`waveform` has {array.shape[1]} channels of {array.shape[0]} samples",
                expected="(sample, channel)",
                do="turn it: waveform.T",
            )
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise ShapeError(
            describe(
                "`waveform`",
                expected="floats with full scale at 1",
                got=array.dtype,
                do="divide integers by their full scale, 32768 for int16",
            )
        )
    if not np.isfinite(array).all():
        raise AudioFileError(describe("`waveform` holds NaN or Inf", expected="finite samples"))


def _check_rate(sample_rate: int, name: str, kind: type[ConfigError] | type[AudioFileError]) -> int:
    low, high = SAMPLE_RATES
    if not low <= sample_rate <= high or sample_rate != int(sample_rate):
        raise kind(
            describe(name, expected=f"a whole number from {low} to {high} Hz", got=f"{sample_rate} Hz")
        )
    return int(sample_rate)
