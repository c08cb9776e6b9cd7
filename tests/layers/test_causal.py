"""Convolutions that see no later frame: what they see, pieces of a stream, and what their state keeps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from audiocx.layers.causal import CausalConvolution


@pytest.fixture
def layer() -> CausalConvolution:
    return CausalConvolution(nn.Conv2d(2, 3, (3, 4), padding=(1, 0)), 3)


def test_sees_the_frame_at_hand_and_those_before(layer, noise):
    inputs = noise(1, 2, 5, 12).requires_grad_()
    layer(inputs)[0][..., 7].sum().backward()
    seen = inputs.grad.abs().sum((0, 1, 2)) > 0
    assert seen.nonzero().flatten().tolist() == [4, 5, 6, 7]


def test_pieces_with_the_state_equal_the_whole(layer, noise):
    inputs = noise(2, 2, 5, 12)
    outputs, state = [], None
    for piece in inputs.split([1, 2, 9], -1):
        output, state = layer(piece, state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, -1), layer(inputs)[0])


@pytest.mark.parametrize("n_past", [0, 3])
def test_the_state_keeps_no_more_than_its_frames(n_past, noise):
    """A view would hold the whole piece, minutes of it perhaps, until the next one comes."""
    layer = CausalConvolution(nn.Conv2d(2, 3, (3, n_past + 1), padding=(1, 0)), n_past)
    _, state = layer(noise(1, 2, 5, 1000))
    assert state.shape == (1, 2, 5, n_past)
    assert state.untyped_storage().nbytes() == state.nbytes
