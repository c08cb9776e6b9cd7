"""Every recurrence of the word table as the bottleneck of a network, in every arithmetic."""

from __future__ import annotations

import pytest
import torch

from audiocx.models.arithmetic import ARITHMETICS
from audiocx.models.dual_path import DualPath
from audiocx.models.words import WORDS


@pytest.mark.parametrize("arithmetic", sorted(ARITHMETICS))
@pytest.mark.parametrize("word", sorted(WORDS["recurrence"]))
def test_network_goes_through_a_stream_and_learns(word, arithmetic, noise):
    """Pieces with the state equal the whole, with recurrences over bands both ways, and every parameter learns."""
    torch.manual_seed(0)
    network = DualPath(
        arithmetic,
        2,
        2,
        widths=[2, 3],
        kernel_sizes=[[5, 1], [3, 3]],
        strides=[4, 2],
        n_blocks=1,
        band_hidden=2,
        frame_hidden=4,
        recurrence=word,
    ).eval()
    planes = noise(1, 2, 33, 30)
    outputs, state = [], None
    for piece in planes.split([1, 2, 15, 12], -1):
        output, state = network.step(piece, state)
        outputs.append(output)
    whole = network(planes)
    torch.testing.assert_close(torch.cat(outputs, -1), whole, rtol=1e-4, atol=1e-5)
    whole.square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
