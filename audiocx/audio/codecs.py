"""What a lossy codec leaves of a waveform: encoded and decoded in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocx.errors import ConfigError, describe

CODECS: Mapping[str, tuple[str, str]] = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
"""libsndfile's container and form of each codec."""

STRONGEST = 0.98
"""MP3 takes no compression of 1."""


def through_codec(
    waveform: NDArray[np.float32], sample_rate: int, codec: str, compression: float = 0.6
) -> NDArray[np.float32]:
    """Encode and decode a waveform.

    Args:
        waveform: float32 (channel, sample); what passes full scale is coded as it is, not clipped.
        sample_rate: in Hz; Opus takes 8, 12, 16, 24 and 48 kHz, MP3 those of its standard.
        codec: `mp3`, `ogg` or `opus`.
        compression: 0 keeps most, 1 least.

    Returns:
        float32 (channel, sample), as long as before and not delayed.

    Raises:
        ConfigError: the codec does not take that rate, or libsndfile was built without it.
    """
    container, form = CODECS[codec]
    file = io.BytesIO()
    try:
        soundfile.write(
            file,
            waveform.T,
            sample_rate,
            format=container,
            subtype=form,
            compression_level=min(compression, STRONGEST),
        )
        file.seek(0)
        decoded, _ = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise ConfigError(
            describe(
                f"the codec {codec} cannot be used at {sample_rate} Hz",
                got=getattr(error, "error_string", error),
            )
        ) from error
    coded = np.zeros_like(waveform)
    n_samples = min(len(decoded), waveform.shape[1])
    coded[:, :n_samples] = decoded[:n_samples].T
    return coded
