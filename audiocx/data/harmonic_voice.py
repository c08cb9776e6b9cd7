"""Speech-like voices from arithmetic alone: harmonics under moving formants, hissing consonants, pauses.

They stand in where espeak-ng is not installed. A sentence is a row of syllables; each has a consonant (hiss,
hum, or nothing), a vowel with four formants, a stress and a length, under a pitch that falls towards the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import ShortTimeFFT, get_window

from audiocx.data.activity import Waveform
from audiocx.data.sound_parts import harmonics, phase, slow_curve

# First three formants in Hz of common vowels of an average voice (after Peterson and Barney 1952, rounded).
VOWELS = np.array(
    [
        [270, 2290, 3010],
        [390, 1990, 2550],
        [530, 1840, 2480],
        [660, 1720, 2410],
        [730, 1090, 2440],
        [570, 840, 2410],
        [440, 1020, 2240],
        [300, 870, 2240],
        [640, 1190, 2390],
        [490, 1350, 1690],
    ],
    dtype=np.float64,
)
BANDWIDTHS_HZ = np.array([60.0, 90.0, 140.0, 220.0])
N_FFT, HOP = 512, 128


@dataclass(frozen=True)
class Throat:
    """What stays the same for one harmonic voice.

    Attributes:
        f0_hz: mean fundamental frequency.
        melody: how far the pitch moves, 0 to 1.
        warp: factor on the formants.
    """

    f0_hz: float
    melody: float
    warp: float


def _formant_gains(formants_hz: np.ndarray, frequencies_hz: np.ndarray) -> np.ndarray:
    """Gain of resonances in parallel (frequency, frame) for formants (frame, formant)."""
    distance = frequencies_hz[:, None, None] - formants_hz[None]
    peaks = 1 / (1 + np.square(distance / BANDWIDTHS_HZ))
    weights = np.array([1.0, 0.6, 0.35, 0.2])
    return (weights * peaks).sum(-1) ** 0.75 + 0.003


@dataclass(frozen=True)
class Articulation:
    """What a throat does in the frames of a sentence.

    Attributes:
        voiced: strength of the voice (frame,).
        hiss: strength of the breath (frame,).
        hiss_centre: frequency of the breath in Hz (frame,).
        formants: frequencies in Hz (frame, formant).
    """

    voiced: np.ndarray
    hiss: np.ndarray
    hiss_centre: np.ndarray
    formants: np.ndarray


def sentence(random: np.random.Generator, throat: Throat, rate: float, sample_rate: int) -> Waveform:
    """Render one sentence of 6 to 20 syllables.

    Args:
        random: where the choices come from.
        throat: whose voice.
        rate: words a minute, as espeak-ng counts; about 1.6 syllables a word.
        sample_rate: in Hz.

    Returns:
        Waveform (sample,) float32 that ends in a pause.
    """
    said = _articulate(random, throat, rate, sample_rate)
    n_frames = len(said.voiced)
    n_samples = n_frames * HOP
    fall = np.linspace(1.12, 0.88, n_samples)
    bend = 2 ** (throat.melody * slow_curve(random, n_samples, sample_rate, 2.5, -0.45, 0.45))
    f0 = throat.f0_hz * fall * bend * (1 + 0.01 * slow_curve(random, n_samples, sample_rate, 40, -1, 1))
    n_harmonics = max(1, int(0.45 * sample_rate / float(f0.max())))
    glottal = harmonics(phase(f0.astype(np.float32), sample_rate), 1 / np.arange(1, n_harmonics + 1) ** 0.8)
    noise = random.standard_normal(n_samples)

    window = get_window("hann", N_FFT)
    transform = ShortTimeFFT(window, HOP, sample_rate, fft_mode="onesided")
    source, breath = transform.stft(glottal), transform.stft(noise)
    frames = np.clip(np.arange(source.shape[1]) + transform.p_min, 0, n_frames - 1)
    frequencies = transform.f
    gains = _formant_gains(said.formants[frames], frequencies)
    hiss_gain = np.exp(-0.5 * np.square((frequencies[:, None] - said.hiss_centre[frames]) / 1100))
    spectrum = source * gains * said.voiced[frames] + breath * (
        hiss_gain * said.hiss[frames] + 0.02 * gains * said.voiced[frames]
    )
    return transform.istft(spectrum, k1=n_samples).astype(np.float32)


def _articulate(random: np.random.Generator, throat: Throat, rate: float, sample_rate: int) -> Articulation:
    """Draw the syllables of a sentence, each a consonant and a vowel, and the pause behind them."""
    n_syllables = int(random.integers(6, 21))
    seconds_each = 60 / rate / 1.6 * random.uniform(0.6, 1.5, n_syllables)
    n_frames_each = np.maximum(8, seconds_each * sample_rate / HOP).astype(int)
    pause = int(random.uniform(0.15, 0.5) * sample_rate / HOP)
    n_frames = int(n_frames_each.sum()) + pause

    voiced, hiss = np.zeros(n_frames), np.zeros(n_frames)
    hiss_centre = np.full(n_frames, 3000.0)
    formants = np.zeros((n_frames, 4))
    place = 0
    for n_here in n_frames_each:
        vowel = VOWELS[int(random.integers(len(VOWELS)))] * random.uniform(0.94, 1.06, 3)
        formants[place : place + n_here] = np.append(vowel, 3500.0) * throat.warp
        n_consonant = max(2, int(n_here * random.uniform(0.15, 0.4)))
        stress = random.uniform(0.35, 1.0)
        rise = np.sin(np.linspace(0, np.pi, n_here - n_consonant + 2)[1:-1]) ** 0.5
        voiced[place + n_consonant : place + n_here] = stress * rise
        kind = random.random()
        if kind < 0.45:  # fricative or plosive: hiss
            hiss[place : place + n_consonant] = random.uniform(0.05, 0.3)
            hiss_centre[place : place + n_consonant] = random.uniform(1500, 6500)
        elif kind < 0.75:  # nasal or liquid: soft voice
            voiced[place : place + n_consonant] = 0.25 * stress
        if random.random() < 0.08:  # comma
            voiced[place + n_here // 2 : place + n_here] *= 0.02
        place += int(n_here)
    formants[place:] = formants[max(0, place - 1)]
    # Formants glide between syllables as tongues do.
    glide = np.hanning(9) / np.hanning(9).sum()
    formants = np.stack([np.convolve(np.pad(f, 4, "edge"), glide, "valid") for f in formants.T], axis=1)
    return Articulation(voiced, hiss, hiss_centre, formants)
