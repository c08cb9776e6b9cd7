"""A process of its own that speaks a list of sentences with libespeak-ng: `python -m audiocx.data.espeak`.

The library keeps a noise state, so the same call repeated gives slightly different samples, while the same
*sequence* in a fresh process gives the same bytes (its own random seed, the time, replaced). It reads a JSON
list of sentences from standard input, each with `voice`, `text`, `rate`, `pitch`, `range`, and writes to
standard output, for each, a line with the number of samples and then the samples, 16-bit at the library's
rate; the first line is that rate. A voice that is not known gives 0 samples.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples go to the callback, none to a sound card
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8 = 1  # espeakCHARS_UTF8
POSITION_CHARACTER = 1

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Synthesizer:
    """The library, opened once in this process.

    Attributes:
        sample_rate: in Hz, as the library says.
    """

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data_path = str(espeakng_loader.get_data_path()).encode()
        self.sample_rate = int(self._library.espeak_Initialize(RETRIEVAL, 0, data_path, 0))
        self._pieces: list[bytes] = []
        self._voice = ""
        self._callback = _Callback(self._receive)  # kept: the library holds only a pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(self, sentence: dict[str, Any]) -> bytes:
        """Return the samples of one sentence, 16-bit; empty when the voice is not known."""
        self._pieces.clear()
        # Choosing a voice reads its dictionary, so it is done only where it changes.
        if sentence["voice"] != self._voice:
            self._voice = sentence["voice"]
            if self._library.espeak_SetVoiceByName(self._voice.encode()) != 0:
                self._voice = ""
                return b""
        for parameter, name in ((RATE, "rate"), (PITCH, "pitch"), (RANGE, "range")):
            self._library.espeak_SetParameter(parameter, int(sentence[name]), 0)
        # Breathy variants draw from a generator that the library would seed with the time.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        text = sentence["text"].encode() + b"\0"
        self._library.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, POSITION_CHARACTER, 0, UTF8, None, None
        )
        self._library.espeak_Synchronize()
        return b"".join(self._pieces)


def main() -> None:
    """Speak the sentences of standard input to standard output."""
    synthesizer = Synthesizer()
    out = sys.stdout.buffer
    out.write(f"{synthesizer.sample_rate}\n".encode())
    for sentence in json.load(sys.stdin):
        samples = synthesizer.speak(sentence)
        out.write(f"{len(samples) // 2}\n".encode())
        out.write(samples)
        out.flush()


if __name__ == "__main__":
    main()
