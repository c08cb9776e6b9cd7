"""Random pieces through a stream equal the whole recording."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocx.inference.stream import Stream
from audiocx.models.separator import Separator

STFTS: list[dict[str, Any]] = [
    {},
    {"n_fft": 400, "hop_length": 100},
    {"n_fft": 512, "win_length": 400, "hop_length": 160},
]


def separator(stft: dict[str, Any]) -> Separator:
    torch.manual_seed(0)
    model = {
        "_target_": "audiocx.models.model.MaskingModel",
        "level": "running",
        "network": {
            "_target_": "audiocx.models.dual_path.DualPath",
            "_partial_": True,
            "widths": [2, 2],
            "kernel_sizes": [[9, 1], [5, 2]],
            "strides": [4, 2],
            "n_blocks": 1,
            "band_hidden": 2,
            "frame_hidden": 2,
        },
    }
    config = {"task": "enhance", "n_sources": 1, "stft": stft, "model": model}
    return Separator.from_config(config).eval()


SEPARATORS = [separator(stft) for stft in STFTS]


@settings(max_examples=25, deadline=None)
@given(
    which=st.sampled_from(range(len(STFTS))), lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=6)
)
def test_pieces_equal_the_whole(which, lengths):
    system, n_samples = SEPARATORS[which], sum(lengths)
    waveform = torch.randn(2, n_samples, generator=torch.Generator().manual_seed(n_samples))
    stream = Stream(system)
    estimate = torch.cat(
        [stream.push(piece) for piece in waveform.split(lengths, -1)] + [stream.finish()], -1
    )
    assert estimate.shape == (1, 2, n_samples)
    if n_samples:
        with torch.no_grad():
            torch.testing.assert_close(estimate, system(waveform[None])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("system", SEPARATORS)
def test_lag_is_less_than_a_window(system):
    stream, n_in, n_out = Stream(system), 0, 0
    for _ in range(50):
        n_in += 97
        n_out += stream.push(torch.zeros(1, 97)).shape[-1]
        assert n_in - n_out < stream.latency_samples
