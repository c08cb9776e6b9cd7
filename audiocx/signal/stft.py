"""Short-time Fourier transform with explicit zero padding: the one place where frames are cut and joined.

A waveform of n samples is padded with `win_length - hop_length` zeros on the left, and on the right up to a
whole number of hops and then with `win_length - hop_length` zeros more (rounded up to whole hops). So every
sample is covered by as many windows as any other, any length from one sample works, and frames are those that a
live process sees.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe, nearest
from audiocx.signal.checks import check_complex

WINDOWS = ("sqrt_hann", "hann")


def make_window(name: str, win_length: int) -> Tensor:
    """Return a periodic window (sample,) in float64.

    Args:
        name: `sqrt_hann` or `hann`.
        win_length: length in samples.

    Raises:
        ConfigError: the name is not known.
    """
    if name not in WINDOWS:
        raise ConfigError(describe(f"stft.window: no window `{name}`", do=nearest(name, WINDOWS)))
    hann = torch.hann_window(win_length, periodic=True, dtype=torch.float64)
    return hann.sqrt() if name == "sqrt_hann" else hann


class STFT(nn.Module):
    """Waveform to complex STFT and back, in float32 (or float64), never under autocast.

    Frame t begins at sample `t * hop_length - (win_length - hop_length)` of the waveform; phases refer to the
    beginning of the frame. The same window serves analysis and synthesis, and the overlap-add is divided by the
    sum of its squares, so an unmodified spectrum gives the waveform back.

    Args:
        sample_rate: samples a second, in Hz.
        n_fft: length of the transform in samples; frequencies are `n_fft // 2 + 1`.
        hop_length: samples from one frame to the next.
        win_length: length of the window in samples, at most `n_fft`; the default is `n_fft`.
        window: `sqrt_hann` or `hann`, periodic.

    Raises:
        ConfigError: the lengths do not fit together, or the window leaves samples uncovered.
    """

    window: Tensor
    envelope: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 512,
        hop_length: int = 256,
        win_length: int | None = None,
        window: str = "sqrt_hann",
    ) -> None:
        super().__init__()
        win_length = n_fft if win_length is None else win_length
        numbers = (sample_rate, n_fft, hop_length, win_length)
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            raise ConfigError(
                describe(
                    "stft: sample_rate, n_fft, hop_length and win_length",
                    expected="whole numbers above zero",
                    got=numbers,
                )
            )
        if not 0 < hop_length <= win_length <= n_fft:
            raise ConfigError(
                describe(
                    "stft: lengths do not fit",
                    expected="0 < hop_length <= win_length <= n_fft",
                    got=f"hop_length={hop_length}, win_length={win_length}, n_fft={n_fft}",
                )
            )
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.win_length = win_length
        self.window_name = window
        values = make_window(window, win_length)
        # One period of the summed squared windows: the same for every hop once all windows overlap.
        padded = functional.pad(values.square(), (0, -win_length % hop_length))
        envelope = padded.view(-1, hop_length).sum(0)
        if float(envelope.min()) < 1e-8:
            raise ConfigError(
                describe(
                    "stft: the window leaves samples uncovered",
                    got=f"window={window}, win_length={win_length}, hop_length={hop_length}",
                    do="take a shorter hop_length",
                )
            )
        self.register_buffer("window", values.float(), persistent=False)
        self.register_buffer("envelope", envelope.float(), persistent=False)

    @property
    def n_frequencies(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1

    @property
    def n_overlap(self) -> int:
        """Zeros before the first sample: `win_length - hop_length`."""
        return self.win_length - self.hop_length

    @property
    def settings(self) -> dict[str, int | str]:
        """The constructor's arguments, as plain values."""
        return {
            "sample_rate": self.sample_rate,
            "n_fft": self.n_fft,
            "hop_length": self.hop_length,
            "win_length": self.win_length,
            "window": self.window_name,
        }

    def n_frames(self, n_samples: int) -> int:
        """Number of frames that a waveform of `n_samples` gives."""
        return math.ceil(n_samples / self.hop_length) + math.ceil(self.n_overlap / self.hop_length)

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform a waveform.

        Args:
            waveform: real waveform (*batch, sample), at least one sample.

        Returns:
            Complex STFT (*batch, frequency, frame).
        """
        n_samples = waveform.shape[-1]
        with torch.autocast(waveform.device.type, enabled=False):
            samples = waveform if waveform.dtype == torch.float64 else waveform.float()
            n_after = (
                -n_samples % self.hop_length + math.ceil(self.n_overlap / self.hop_length) * self.hop_length
            )
            return self.analyse(functional.pad(samples, (self.n_overlap, n_after)))

    def inverse(self, stft: Tensor, n_samples: int) -> Tensor:
        """Transform a spectrum back by windowed overlap-add.

        Args:
            stft: complex STFT (*batch, frequency, frame) as `forward` gives it.
            n_samples: length of the waveform to return.

        Returns:
            Real waveform (*batch, sample) of `n_samples`.

        Raises:
            ShapeError: the spectrum is real.
        """
        check_complex(stft, name="stft")
        with torch.autocast(stft.device.type, enabled=False):
            return self.overlap_add(stft)[..., self.n_overlap : self.n_overlap + n_samples]

    def analyse(self, samples: Tensor) -> Tensor:
        """Transform the frames that lie wholly inside samples, without padding: what a live process calls.

        Args:
            samples: real (*batch, sample), at least one window.

        Returns:
            Complex STFT (*batch, frequency, frame).
        """
        frames = samples.unfold(-1, self.win_length, self.hop_length)  # (*batch, frame, sample)
        return torch.fft.rfft(frames * self.window.to(samples.dtype), n=self.n_fft).transpose(-1, -2)

    def overlap_add(self, stft: Tensor) -> Tensor:
        """Add windowed frames where they lie, without cropping: what a live process calls.

        Args:
            stft: complex STFT (*batch, frequency, frame).

        Returns:
            Real (*batch, sample), `hop_length` samples a frame and, behind them, the rest of the last window in
            whole hops: what the frames to come will be added to.
        """
        frames = torch.fft.irfft(stft.transpose(-1, -2), n=self.n_fft)[..., : self.win_length]
        frames = frames * self.window.to(frames.dtype)  # (*batch, frame, sample)
        # Cut every frame into pieces of one hop and add the pieces that share a place.
        frames = functional.pad(frames, (0, -self.win_length % self.hop_length))
        pieces = frames.unflatten(-1, (-1, self.hop_length))  # (*batch, frame, piece, sample)
        n_pieces = pieces.shape[-2]
        joined = functional.pad(pieces[..., 0, :], (0, 0, 0, n_pieces - 1))
        for piece in range(1, n_pieces):
            joined = joined + functional.pad(pieces[..., piece, :], (0, 0, piece, n_pieces - 1 - piece))
        return (joined / self.envelope.to(frames.dtype)).flatten(-2)
