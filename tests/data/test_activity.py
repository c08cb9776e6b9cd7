from __future__ import annotations

import numpy as np

from audiocx.data.activity import active_frames, counts_before, frame_powers, spoken_starts

RATE = 16000


def test_frame_powers_are_the_mean_squares_of_10_ms() -> None:
    waveform = np.concatenate([np.full(160, 2.0), np.full(80, 3.0)]).astype(np.float32)
    np.testing.assert_allclose(frame_powers(waveform, RATE), [4.0, 9.0])


def test_active_frames_reach_40_db_down_and_no_further() -> None:
    powers = 10.0 ** (-np.array([0.0, 39.0, 41.0]) / 10)
    assert active_frames(powers).tolist() == [True, True, False]
    assert not active_frames(np.full(4, 1e-12)).any()


def test_a_piece_begins_where_enough_of_it_is_speech() -> None:
    active = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0, 0], dtype=bool)
    counts = counts_before(active)
    assert counts.tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]
    assert spoken_starts(counts, 4, share=0.25).tolist() == [1, 2, 3, 4, 5]
    assert spoken_starts(counts, 4, share=0.5).tolist() == [2, 3, 4]
    assert spoken_starts(counts, 4, share=0.9).tolist() == [
        2,
        3,
        4,
    ]  # none has so much: those that come nearest
    assert spoken_starts(counts, 1).tolist() == [4, 5]
    assert spoken_starts(counts, 30).tolist() == [0]  # longer than the recording
