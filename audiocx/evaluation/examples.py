"""A few test items to hear and to see: `<n>_{noisy,estimate,clean}.wav` and `<n>.png`."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from audiocx.audio.writing import AudioWriter
from audiocx.data.batch import Example
from audiocx.data.test_set import TestSet
from audiocx.errors import OutputError, describe
from audiocx.evaluation.scoring import AnySystem, Row, run_system
from audiocx.evaluation.summary import noisy_rows
from audiocx.signal.stft import STFT
from audiocx.training.pictures import spectrogram_figure


def choose_items(rows: Sequence[Row], n_items: int) -> list[Row]:
    """Choose noisy items with scores, evenly spread over the set."""
    candidates = noisy_rows(rows)
    n_items = min(n_items, len(candidates))
    if n_items <= 1:
        return candidates[:n_items]
    step = (len(candidates) - 1) / (n_items - 1)
    return [candidates[round(index * step)] for index in range(n_items)]


def picture_title(row: Row) -> str:
    """Name, noise, input SNR, and SI-SDR before and after."""
    parts = [row.name]
    noise = row.tags.get("noise_class", "")
    snr = f"{row.tags['snr_db']} dB" if "snr_db" in row.tags else ""
    parts.append(", ".join(word for word in (noise, snr) if word))
    before, after = row.scores.get("input_si_sdr_db", math.nan), row.scores.get("si_sdr_db", math.nan)
    if math.isfinite(before) and math.isfinite(after):
        parts.append(f"SI-SDR {before:.1f} → {after:.1f} dB")
    return "    ".join(part for part in parts if part)


def _write_wav(path: Path, waveform: Tensor, sample_rate: int) -> None:
    with AudioWriter(path, sample_rate, waveform.shape[0], "PCM_16") as writer:
        writer.write(waveform.numpy())
        writer.commit()


def _numbered(name: str, waveforms: Tensor) -> dict[str, Tensor]:
    """Name waveforms (source, channel, sample): one has the bare name, several are counted."""
    if len(waveforms) == 1:
        return {name: waveforms[0]}
    return {f"{name}_{index + 1}": waveform for index, waveform in enumerate(waveforms)}


def write_example(
    folder: Path, prefix: str, example: Example, estimate: Tensor, stft: STFT, title: str
) -> None:
    """Write one item.

    The files are PCM_16; where one would clip, all of the item are turned down by the same gain.

    Args:
        folder: made where it is missing.
        prefix: begins the files' names.
        example: the item.
        estimate: waveforms (source, channel, sample).
        stft: the transform to show.
        title: of the picture.

    Raises:
        AudioFileError: a wav cannot be written.
        OutputError: the picture cannot be written.
    """
    waveforms = {
        "noisy": example.mixture,
        **_numbered("estimate", estimate),
        **_numbered("clean", example.target),
    }
    peak = max(float(waveform.abs().max()) for waveform in waveforms.values())
    for name, waveform in waveforms.items():
        _write_wav(folder / f"{prefix}_{name}.wav", waveform / max(peak, 1.0), stft.sample_rate)
    figure = spectrogram_figure(example.mixture[0], estimate[0, 0], example.target[0, 0], stft, title)
    path = folder / f"{prefix}.png"
    temporary = folder / f".{prefix}-{uuid.uuid4().hex[:8]}.png"
    try:
        figure.savefig(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(describe(f"{path}: cannot be written", got=error.strerror or error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_examples(
    folder: Path, test_set: TestSet, system: AnySystem, rows: Sequence[Row], stft: STFT, n_items: int
) -> None:
    """Write a few items of a test set, evenly spread over it.

    Args:
        folder: where they go.
        test_set: the items.
        system: makes the estimates, once more.
        rows: its scores.
        stft: the transform to show.
        n_items: how many.
    """
    # The scores' own STFT may be on another device.
    stft = STFT(**stft.settings)  # type: ignore[arg-type]
    for number, row in enumerate(choose_items(rows, n_items)):
        example = test_set[row.index]
        with torch.inference_mode():
            estimate = run_system(system, example)
        write_example(folder, str(number), example, estimate, stft, picture_title(row))
