"""What every recurrence of the word table promises beside the proofs over all layers: places, directions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from audiocx.models.arithmetic import arithmetic_of
from audiocx.models.words import WORDS, look_up

WORDS_OF_RECURRENCE = sorted(WORDS["recurrence"])
ALL = [(word, arithmetic) for word in WORDS_OF_RECURRENCE for arithmetic in ("complex", "real")]
every_layer = pytest.mark.parametrize(("word", "arithmetic"), ALL)


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer_of(word: str, arithmetic: str = "complex", *, reverse: bool = False) -> nn.Module:
    """Recurrence of 6 planes in and 8 out, with all parameters off their starts."""
    torch.manual_seed(0)
    layer = arithmetic_of(arithmetic).make_recurrence(word, 6, 8, reverse=reverse)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


@pytest.mark.parametrize("word", WORDS_OF_RECURRENCE)
def test_pieces_with_the_state_of_both_halves_equal_the_whole(word):
    layer, inputs = layer_of(word, "dual").double(), numbers(2, 6, 3, 40, dtype=torch.float64)
    whole, last = layer(inputs)
    assert whole.shape == (2, 8, 3, 40)
    state, outputs = None, []
    for piece in inputs.split([1, 1, 7, 20, 11], -1):
        output, state = layer(piece, state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, -1), whole)
    torch.testing.assert_close(state, last)


@every_layer
def test_every_place_is_a_sequence_of_its_own(word, arithmetic):
    layer, inputs = layer_of(word, arithmetic), numbers(2, 6, 3, 10)
    torch.testing.assert_close(layer(inputs)[0][1:, :, 2], layer(inputs[1:, :, 2])[0])


@every_layer
def test_reverse_is_the_mirror(word, arithmetic):
    there, back = (layer_of(word, arithmetic, reverse=reverse) for reverse in (False, True))
    inputs = numbers(1, 6, 20)
    torch.testing.assert_close(back(inputs)[0], there(inputs.flip(-1))[0].flip(-1))


@every_layer
def test_no_frames_leave_the_state_as_it_is(word, arithmetic):
    layer, inputs = layer_of(word, arithmetic), numbers(2, 6, 3, 4)
    _, state = layer(inputs)
    outputs, after = layer(inputs[..., :0], state)
    assert outputs.shape == (2, 8, 3, 0)
    assert torch.equal(after, state)


@every_layer
def test_takes_what_a_convolution_gives_under_autocast(word, arithmetic):
    layer, inputs = layer_of(word, arithmetic), numbers(1, 6, 30)
    expected, _ = layer(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = layer(inputs.bfloat16())
        again, _ = layer(inputs.bfloat16(), state)
    assert outputs.dtype == again.dtype
    assert state.dtype == torch.float32
    assert float(((outputs.float() - expected).norm() / expected.norm()).detach()) < 0.03


@every_layer
def test_parameters_are_real(word, arithmetic):
    """So that every optimizer, clipping and autocast work on them."""
    assert not [name for name, value in layer_of(word, arithmetic).state_dict().items() if value.is_complex()]


@pytest.mark.parametrize("word", ["linear", "lstm", "gru"])
def test_twins_have_twice_the_weights(word):
    """On the planes of a complex layer, a real one has twice the numbers in every matrix."""
    complex_layer, real_layer = (look_up("recurrence", word)[i] for i in (0, 1))
    counts = [
        sum(
            parameter.numel() for parameter in made.parameters() if parameter.ndim == 2 and len(parameter) > 2
        )
        for made in (complex_layer(64, 64), real_layer(128, 128))
    ]
    assert counts[1] / counts[0] == pytest.approx(2.0, rel=1e-9)
