"""Copies that no hash finds: the same sound at another gain, of another sample form, or out of a lossy codec.

Files of one length are compared by their powers in frames of 10 ms, which the stores keep; where these go the
same way, the samples decide. So thousands of files take no more decoding than the few that look alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocx.data.sound_hashes import stored_waveform
from audiocx.data.sounds import Sounds
from audiocx.data.table import Table

Envelope = NDArray[np.float64]

FLOOR_DB = -40.0
"""Frames softer than that, against the loudest, count as equal: a codec leaves something else in them."""
ALIKE_DB = 1.0
"""Two envelopes that differ by less, root mean square, are worth a look at the samples."""
LEAST_CORRELATION = 0.98
"""Of two files that are the same sound; Ogg and MP3 at usual rates keep more."""


def envelope(powers: NDArray[np.floating[Any]]) -> Envelope:
    """Powers of frames (frame,) in dB around their mean, whatever the gain."""
    relative = powers / max(float(powers.max()), 1e-30)
    decibels = np.maximum(10 * np.log10(np.maximum(relative, 1e-30)), FLOOR_DB)
    return decibels - decibels.mean()


def find_copy(
    envelopes: Mapping[str, Envelope],
    tables: Sequence[Table],
    sounds: Sequence[Sounds],
    parts: Collection[str],
) -> tuple[str, str, str] | None:
    """Look for a file that stands in a part of the tables, too.

    Args:
        envelopes: of the files, by path.
        tables: of speech and noise; responses are passed over.
        sounds: their stores.
        parts: in which is looked.

    Returns:
        The table's file, its part, and the file; None where there is none.
    """
    by_length: dict[int, list[str]] = {}
    for path, each in envelopes.items():
        by_length.setdefault(len(each), []).append(path)
    stacked = {length: np.stack([envelopes[path] for path in paths]) for length, paths in by_length.items()}
    energies = {length: np.square(rows).sum(axis=1) for length, rows in stacked.items()}
    for table, store in zip(tables, sounds, strict=True):
        for row in table.rows if table.kind != "rir" else ():
            number = store.numbers[str(row.path)]
            length = store.sounds[number].n_frames
            if row.part not in parts or length not in stacked or store.sounds[number].active_power <= 0:
                continue
            own = envelope(store.powers(number))
            # |a - b|² as three sums: one product serves all files of this length.
            distances = energies[length] + own @ own - 2 * (stacked[length] @ own)
            for place in np.flatnonzero(distances < length * ALIKE_DB**2):
                path = by_length[length][place]
                if _correlation(store, number, path) > LEAST_CORRELATION:
                    return str(row.path), row.part, path
    return None


def _correlation(store: Sounds, number: int, path: str) -> float:
    heard = stored_waveform(Path(path), store.sample_rate, store.channel)[0]
    n_samples = min(len(heard), store.sounds[number].n_samples)
    one, other = store.read(number, 0, n_samples).astype(np.float64), heard[:n_samples].astype(np.float64)
    return float(abs(one @ other) / max(np.sqrt((one @ one) * (other @ other)), 1e-30))
