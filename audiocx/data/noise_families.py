"""The families of generated noise: one function each, and each call gives another recording.

All take a generator, a length in samples and a sample rate, and return a waveform (sample,) of any level.
"""

from __future__ import annotations

import numpy as np

from audiocx.data.activity import Waveform
from audiocx.data.sound_parts import (
    add_at,
    burst,
    decaying_modes,
    event_times,
    harmonics,
    normalised,
    phase,
    shape_spectrum,
    shaped_noise,
    slow_curve,
)

Random = np.random.Generator


def background(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Soft room noise: falls with frequency, hardly moves."""
    tilt = random.uniform(3, 7)
    knots_hz = [50, 200, 800, 3200, 8000]
    return normalised(shaped_noise(random, n_samples, sample_rate, knots_hz, [-tilt * k for k in range(5)]))


def coloured(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Stationary noise of a random colour, from rumble to hiss, with bumps."""
    tilt = random.uniform(-3, 8)
    bumps = random.uniform(-8, 8, 7)
    knots_hz = [40, 120, 350, 900, 2000, 4200, 8000]
    gains_db = [bump - tilt * k for k, bump in enumerate(bumps)]
    return shaped_noise(random, n_samples, sample_rate, knots_hz, gains_db)


def wind(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Gusts: low rumble and a higher rush that rise and fall together, at times a whistle."""
    rumble = shaped_noise(random, n_samples, sample_rate, [20, 80, 300, 1000, 8000], [10, 6, -12, -35, -60])
    rush = shaped_noise(random, n_samples, sample_rate, [100, 500, 1500, 8000], [-10, 0, -4, -24])
    gust = slow_curve(random, n_samples, sample_rate, random.uniform(0.4, 1.5), 0.0, 1.0) ** 2
    flutter = 1 + 0.5 * slow_curve(random, n_samples, sample_rate, 9, -1, 1)
    total = normalised(rumble) * gust * flutter + random.uniform(0.3, 1.2) * normalised(rush) * gust**1.5
    if random.random() < 0.5:
        pitch = slow_curve(random, n_samples, sample_rate, 1.0, 400, 1100) * (0.7 + 0.6 * gust)
        total += random.uniform(0.05, 0.3) * gust**2 * harmonics(phase(pitch, sample_rate), [1, 0.2])
    return total


def engine(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """A motor under changing load: firing harmonics that glide, and noise that pulses with them."""
    turns_hz = slow_curve(random, n_samples, sample_rate, random.uniform(0.3, 1.2), 18, 75)
    turning = phase(turns_hz * random.uniform(0.7, 2.0), sample_rate)
    strengths = random.uniform(0.1, 1.0, 36) / np.arange(1, 37) ** random.uniform(0.4, 1.1)
    tone = harmonics(turning, strengths)
    pulse = (0.5 + 0.5 * np.sin(turning * 2)) ** 3
    hiss = shaped_noise(random, n_samples, sample_rate, [60, 300, 1500, 8000], [-4, 0, -3, -14])
    load = slow_curve(random, n_samples, sample_rate, 0.8, 0.5, 1.0)
    return (normalised(tone) + random.uniform(0.2, 0.9) * normalised(hiss) * pulse) * load


def hum(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Machines that stay put: mains harmonics, a fan's blades, a beating pair of tones, air."""
    mains = random.choice([50.0, 60.0]) * np.ones(n_samples, dtype=np.float32)
    mains_tone = harmonics(phase(mains, sample_rate), random.uniform(0, 1, 14) / np.arange(1, 15) ** 0.7)
    blades_hz = random.uniform(90, 420) * (1 + 0.02 * slow_curve(random, n_samples, sample_rate, 0.7, -1, 1))
    blades = harmonics(phase(blades_hz, sample_rate), random.uniform(0, 1, 10) / np.arange(1, 11) ** 0.5)
    beating = 1 + 0.6 * np.sin(2 * np.pi * random.uniform(0.5, 6) * np.arange(n_samples) / sample_rate)
    air = shaped_noise(random, n_samples, sample_rate, [60, 400, 2000, 8000], [0, -3, -10, -28])
    share = random.uniform(0.2, 1.0, 3)
    return (
        share[0] * normalised(mains_tone)
        + share[1] * normalised(blades) * beating
        + share[2] * normalised(air)
    )


def keyboard(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Typing: each key has a click, a thud and a release, in runs with pauses."""
    total = np.zeros(n_samples, dtype=np.float32)
    keys = []
    for _ in range(6):
        modes_hz = random.uniform([180, 900, 2000, 3500], [400, 2000, 3800, 6500])
        body = decaying_modes(
            random, sample_rate, modes_hz, random.uniform(0.003, 0.018, 4), [0.6, 1, 0.7, 0.4]
        )
        keys.append((normalised(body), normalised(burst(random, sample_rate, 0.025, 1200, 7000))))
    for start in event_times(random, n_samples, sample_rate, random.uniform(5, 11), 0.45):
        body, click = keys[int(random.integers(len(keys)))]
        strength = random.uniform(0.4, 1.0)
        add_at(total, body, start, strength)
        add_at(total, click, start, strength * random.uniform(0.3, 1.0))
        add_at(total, click, start + int(random.uniform(0.05, 0.12) * sample_rate), strength * 0.35)
    return normalised(total) + 0.05 * background(random, n_samples, sample_rate)


def alarm(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Sirens, alarms and ringing: sweeps, two-tone calls or beeps, with overtones."""
    time = np.arange(n_samples) / sample_rate
    low_hz, high_hz = random.uniform(350, 800), random.uniform(900, 2200)
    period = random.uniform(0.3, 3.0)
    turn = (time / period + random.uniform(0, 1)) % 1
    loudness = np.ones(n_samples)
    kind = int(random.integers(3))
    if kind == 0:  # wail or yelp
        pitch = low_hz + (high_hz - low_hz) * (0.5 - 0.5 * np.cos(2 * np.pi * turn))
    elif kind == 1:  # two tones
        pitch = np.where(turn < 0.5, low_hz, low_hz * random.uniform(1.2, 1.5))
    else:  # beeps
        pitch = np.full(n_samples, high_hz)
        pulsing = np.sin(2 * np.pi * 18 * time) > random.uniform(-1, 0.5)
        loudness = np.where((turn < random.uniform(0.2, 0.6)) & pulsing, 1.0, 0.0)
    n_overtones = max(1, min(7, int(0.48 * sample_rate / float(pitch.max()))))
    overtones = random.uniform(0.05, 1.0, n_overtones) / np.arange(1, n_overtones + 1)
    tone = harmonics(phase(pitch.astype(np.float32), sample_rate), overtones)
    kernel = np.hanning(int(0.008 * sample_rate) | 1).astype(np.float32)
    soft = np.convolve(loudness, kernel / kernel.sum(), "same")
    return normalised(tone * soft) + 0.1 * background(random, n_samples, sample_rate)


def rain(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Rain on things: hiss that breathes, and hundreds of drops a second, some of them ringing."""
    hiss = shaped_noise(random, n_samples, sample_rate, [200, 1000, 4000, 8000], [-20, -6, 0, -3])
    breath = slow_curve(random, n_samples, sample_rate, 0.7, 0.6, 1.0)
    drops = np.zeros(n_samples, dtype=np.float32)
    shapes = []
    for _ in range(12):
        modes_hz = random.uniform(600, 6000, 3)
        shapes.append(
            decaying_modes(random, sample_rate, modes_hz, random.uniform(0.001, 0.008, 3), [1, 0.6, 0.4])
        )
    for start in event_times(random, n_samples, sample_rate, random.uniform(20, 200)):
        add_at(drops, shapes[int(random.integers(12))], start, random.lognormal(0, 0.8))
    return normalised(hiss) * breath * random.uniform(0.3, 1.0) + normalised(drops)


def music(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """A small band: a bass line, chords, a melody with vibrato, drums, in a key and a tempo."""
    beat = int(sample_rate * random.uniform(0.25, 0.6))
    root_hz = random.uniform(98, 196)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if random.random() < 0.5 else [0, 2, 3, 5, 7, 8, 10])
    timbre = random.uniform(0.1, 1.0, 12) / np.arange(1, 13) ** random.uniform(0.5, 1.5)
    sustained = random.random() < 0.5
    total = np.zeros(n_samples, dtype=np.float32)

    def note(step: int, octave: float, seconds: float, vibrato: float) -> Waveform:
        n_note = int(seconds * sample_rate)
        time = np.arange(n_note) / sample_rate
        pitch = root_hz * 2 ** (octave + (scale[step % 7] + 12 * (step // 7)) / 12)
        wave = harmonics(
            phase((pitch * (1 + vibrato * np.sin(2 * np.pi * 5.5 * time))).astype(np.float32), sample_rate),
            timbre[: max(1, int(0.45 * sample_rate / pitch))],
        )
        fall = np.ones(n_note) if sustained else np.exp(-3 * time / seconds)
        edge = np.minimum(1, np.minimum(time, time[::-1]) * 50)
        return (wave * fall * edge).astype(np.float32)

    chord = 0
    for number, start in enumerate(range(-int(random.integers(beat)), n_samples, beat)):
        if number % 4 == 0:
            chord = int(random.choice([0, 3, 4, 5]))
            for third in (0, 2, 4):
                add_at(total, note(chord + third, 1, 3.9 * beat / sample_rate, 0.0), start, 0.35)
        add_at(total, note(chord, 0, 0.9 * beat / sample_rate, 0.0), start, 0.6)
        for half in range(int(random.integers(1, 3))):
            melody = note(chord + int(random.integers(0, 8)), 2, 0.5 * beat / sample_rate, 0.006)
            add_at(total, melody, start + half * beat // 2, random.uniform(0.3, 0.8))
        drum = (
            burst(random, sample_rate, 0.12, 1500, 7000)
            if number % 2
            else burst(random, sample_rate, 0.2, 50, 140)
        )
        add_at(total, normalised(drum), start, random.uniform(0.1, 0.5))
    return total


def crowd(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """The murmur of many: speech-shaped bands, each moving at the pace of syllables on its own."""
    total = np.zeros(n_samples, dtype=np.float32)
    centres_hz = [200, 320, 520, 830, 1300, 2100, 3400, 5400]
    for centre_hz in centres_hz:
        knots_hz = [centre_hz * factor for factor in (0.4, 0.75, 1.3, 2.5)]
        band = shaped_noise(random, n_samples, sample_rate, knots_hz, [-40, 0, 0, -40])
        syllables = slow_curve(random, n_samples, sample_rate, random.uniform(3, 8), 0.05, 1.0) ** 1.5
        total += normalised(band) * syllables * np.float32((centre_hz / 300) ** -random.uniform(0.5, 1.2))
    return total


def rustle(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Paper, cloth and bags: crumpling bursts of changing colour, many small cracks in each."""
    total = np.zeros(n_samples, dtype=np.float32)
    for start in event_times(random, n_samples, sample_rate, random.uniform(1.5, 4)):
        n_piece = int(random.uniform(0.1, 0.7) * sample_rate)
        cracks = random.standard_normal(n_piece).astype(np.float32) * (
            random.random(n_piece) < random.uniform(0.01, 0.3)
        )
        low_hz = random.uniform(300, 2500)
        gains_db = [-30, 0, random.uniform(-6, 6), -12]
        piece = shape_spectrum(cracks, sample_rate, [low_hz / 3, low_hz, low_hz * 2.5, 8000], gains_db)
        add_at(
            total, normalised(piece) * np.hanning(n_piece).astype(np.float32), start, random.lognormal(0, 0.5)
        )
    return normalised(total) + 0.04 * background(random, n_samples, sample_rate)


def footsteps(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Steps and knocks on wood: thuds in an uneven rhythm, each with a scrape."""
    total = np.zeros(n_samples, dtype=np.float32)
    modes_hz = random.uniform([60, 150, 350, 800], [120, 300, 800, 1800])
    for start in event_times(random, n_samples, sample_rate, random.uniform(1.8, 4.5), 0.8):
        decay = random.uniform([0.03, 0.02, 0.012, 0.005], [0.07, 0.05, 0.03, 0.015])
        thud = decaying_modes(
            random, sample_rate, modes_hz * random.uniform(0.95, 1.05), decay, [1, 0.9, 0.6, 0.3]
        )
        strength = random.uniform(0.5, 1.0)
        add_at(total, normalised(thud), start, strength)
        scrape = burst(random, sample_rate, random.uniform(0.05, 0.2), 500, 5000)
        add_at(
            total, normalised(scrape), start + int(0.03 * sample_rate), strength * random.uniform(0.05, 0.4)
        )
    return normalised(total) + 0.08 * background(random, n_samples, sample_rate)


def birds(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Birds and insects: chirps that sweep, in phrases, over a steady buzz."""
    total = np.zeros(n_samples, dtype=np.float32)
    for _ in range(int(random.integers(1, 4))):
        centre_hz = random.uniform(1600, 5000)
        for start in event_times(random, n_samples, sample_rate, random.uniform(0.6, 2.0)):
            sweep, length = random.uniform(-0.4, 0.4), random.uniform(0.03, 0.2)
            for repeat in range(int(random.integers(1, 7))):
                time = np.linspace(0, 1, int(length * sample_rate))
                wobble = 0.05 * np.sin(2 * np.pi * random.uniform(2, 8) * time)
                pitch = centre_hz * (1 + sweep * (time - 0.5) + wobble)
                chirp = harmonics(phase(pitch.astype(np.float32), sample_rate), [1, 0.15])
                place = start + int(repeat * 1.4 * length * sample_rate)
                add_at(total, chirp * np.hanning(len(time)).astype(np.float32), place, random.uniform(0.3, 1))
    buzz = shaped_noise(random, n_samples, sample_rate, [2500, 3800, 4600, 6500], [-40, 0, 0, -40])
    pulse = 0.6 + 0.4 * np.sin(2 * np.pi * random.uniform(15, 60) * np.arange(n_samples) / sample_rate)
    air = 0.15 * background(random, n_samples, sample_rate)
    return normalised(total) + normalised(buzz) * np.float32(random.uniform(0.05, 0.5)) * pulse + air


def dishes(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Plates, glasses and cutlery: things struck that ring without harmony."""
    total = np.zeros(n_samples, dtype=np.float32)
    for start in event_times(random, n_samples, sample_rate, random.uniform(2.5, 7)):
        modes_hz = random.uniform(500, 1800) * np.cumprod(np.r_[1.0, random.uniform(1.15, 1.7, 6)])
        decay = random.uniform(0.02, 0.25) * np.linspace(1, 0.4, 7)
        ring = decaying_modes(random, sample_rate, modes_hz, decay, random.uniform(0.2, 1, 7))
        strength = random.lognormal(0, 0.5)
        add_at(total, normalised(ring), start, strength)
        if random.random() < 0.5:  # it bounces
            add_at(
                total, normalised(ring), start + int(random.uniform(0.03, 0.12) * sample_rate), 0.5 * strength
            )
        add_at(total, normalised(burst(random, sample_rate, 0.03, 800, 7000)), start, 0.5 * strength)
    return normalised(total) + 0.06 * background(random, n_samples, sample_rate)


def rotor(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Helicopters, trains, washing machines: broad noise chopped in a beat, and its low tones."""
    beat_hz = slow_curve(random, n_samples, sample_rate, 0.3, 0.9, 1.1) * np.float32(random.uniform(6, 22))
    turning = phase(beat_hz, sample_rate)
    chop = (0.5 + 0.5 * np.cos(turning)) ** random.uniform(2, 10)
    low_db, high_db = random.uniform(-6, 6), random.uniform(-30, -10)
    noise = shaped_noise(
        random, n_samples, sample_rate, [50, 200, 1000, 3000, 8000], [low_db, 0, -3, -9, high_db]
    )
    whine_hz = random.uniform(300, 1500)
    whine = harmonics(phase(np.full(n_samples, whine_hz, np.float32), sample_rate), [1, 0.5, 0.3])
    tone = harmonics(turning, random.uniform(0.2, 1, 20))
    return normalised(noise * (0.15 + chop)) + 0.4 * normalised(tone) + random.uniform(0, 0.3) * whine


def animals(random: Random, n_samples: int, sample_rate: int) -> Waveform:
    """Barks, howls and cries: harmonic calls through formants, so much like voices that they are hard."""
    total = np.zeros(n_samples, dtype=np.float32)
    base_hz = random.uniform(180, 650)
    short = random.random() < 0.5
    for start in event_times(random, n_samples, sample_rate, 2.2 if short else 0.9, 0.3):
        seconds = random.uniform(0.12, 0.3) if short else random.uniform(0.5, 1.3)
        time = np.linspace(0, 1, int(seconds * sample_rate))
        bend = 1 + random.uniform(0.1, 0.7) * np.sin(np.pi * time) + random.uniform(-0.2, 0.2) * time
        rough = 1 + 0.06 * slow_curve(random, len(time), sample_rate, 60, -1, 1) * short
        call = harmonics(
            phase((base_hz * bend * rough).astype(np.float32), sample_rate), 1 / np.arange(1, 11) ** 0.6
        )
        if short:
            call = call + 0.8 * shaped_noise(
                random, len(time), sample_rate, [300, 800, 2500, 6000], [-20, 0, -3, -20]
            )
        formant_hz = random.uniform(700, 1400)
        knots_hz = [formant_hz / 2, formant_hz, formant_hz * 1.8, formant_hz * 2.4, 6000]
        call = shape_spectrum(call, sample_rate, knots_hz, [-12, 0, -14, -4, -24])
        edge = np.minimum(1, np.minimum(time * 8, (1 - time) * 4)).astype(np.float32)
        add_at(total, normalised(call) * edge, start, random.uniform(0.5, 1))
    return normalised(total) + 0.08 * background(random, n_samples, sample_rate)
