"""What every recurrence of the word table promises: states, directions, phase, autocast, compilation, export."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from audiocx.layers.planar import PlanarLayer, to_complex, to_planar
from audiocx.models.arithmetic import arithmetic_of
from audiocx.models.words import WORDS, look_up

WORDS_OF_RECURRENCE = sorted(WORDS["recurrence"])
ALL = [(word, arithmetic) for word in WORDS_OF_RECURRENCE for arithmetic in ("complex", "real")]
EQUIVARIANT = {"linear", "unitary", "factored_unitary", "modulus_gated_linear"}

FAST = {("linear", "complex")}
"""What compiles and exports in the fast set; the others take half a second each."""

every_layer = pytest.mark.parametrize(("word", "arithmetic"), ALL)
every_complex_layer = pytest.mark.parametrize("word", WORDS_OF_RECURRENCE)


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def slow_but(fast: set[tuple[str, str]]) -> list:
    return [pytest.param(*case, marks=() if case in fast else pytest.mark.slow) for case in ALL]


def layer_of(word: str, arithmetic: str = "complex", *, reverse: bool = False) -> nn.Module:
    """Recurrence of 6 planes in and 8 out, with all parameters off their starts."""
    torch.manual_seed(0)
    layer = arithmetic_of(arithmetic).make_recurrence(word, 6, 8, reverse=reverse)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


@pytest.mark.parametrize(("word", "arithmetic"), [*ALL, *((word, "dual") for word in WORDS_OF_RECURRENCE)])
def test_pieces_with_the_state_equal_the_whole(word, arithmetic):
    layer, inputs = layer_of(word, arithmetic).double(), numbers(2, 6, 3, 40, dtype=torch.float64)
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
@pytest.mark.parametrize("scale", [0.0, 1e-23, 1e-40, 1e4])
def test_gradients_are_finite_at_the_edges(word, arithmetic, scale):
    layer, inputs = layer_of(word, arithmetic), (scale * numbers(1, 6, 9)).requires_grad_()
    layer(inputs)[0].square().sum().backward()
    assert torch.isfinite(inputs.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


@every_layer
def test_gradients(word, arithmetic):
    """Of the outputs and of the last state, by the inputs, the state before and the parameters."""
    layer, inputs = layer_of(word, arithmetic).double(), numbers(2, 6, 5, dtype=torch.float64)
    _, state = layer(inputs)
    names = [name for name, _ in layer.named_parameters()]

    def run(inputs, state, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (inputs, state))

    leaves = [tensor.detach().clone().requires_grad_() for tensor in (inputs, state, *layer.parameters())]
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)


@every_complex_layer
def test_complex_in_complex_out(word):
    layer, inputs = layer_of(word), numbers(2, 6, 9)
    outputs, state = layer(inputs)
    complex_outputs, complex_state = layer(to_complex(inputs), None)
    assert complex_outputs.is_complex()
    torch.testing.assert_close(to_planar(complex_outputs), outputs)
    torch.testing.assert_close(complex_state, state)


@every_complex_layer
def test_global_phase_is_as_declared(word):
    layer = layer_of(word)
    assert isinstance(layer, PlanarLayer)
    inputs = torch.complex(numbers(1, 3, 9), numbers(1, 3, 9, seed=1))
    turn = torch.polar(torch.tensor(1.0), torch.tensor(0.8))
    error = float((layer(turn * inputs)[0] - turn * layer(inputs)[0]).detach().abs().max())
    assert (error < 1e-4) is layer.phase_equivariant is (word in EQUIVARIANT)


@every_layer
def test_state_stays_float32_under_autocast(word, arithmetic):
    layer, inputs = layer_of(word, arithmetic), numbers(1, 6, 30)
    expected, _ = layer(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, state = layer(inputs)
        outputs.float().square().sum().backward()
    assert outputs.dtype == torch.float32
    assert state.dtype == torch.float32
    error = (outputs - expected).norm() / expected.norm()
    assert float(error.detach()) < 0.03
    assert (float(error.detach()) > 0.0) is (
        word not in {"lstm", "gru"}
    )  # those keep their maps in float32 too


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


@pytest.mark.parametrize(("word", "arithmetic"), slow_but(FAST))
def test_compiles_without_a_break(word, arithmetic):
    torch._dynamo.reset()
    layer, inputs = layer_of(word, arithmetic), numbers(1, 6, 9)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    with torch._dynamo.config.patch(allow_rnn=True):
        torch.testing.assert_close(compiled(inputs)[0], layer(inputs)[0])


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize(("word", "arithmetic"), slow_but(FAST))
@pytest.mark.parametrize("n_frames", [1, 9])
def test_exports_at_a_length_and_as_a_step(word, arithmetic, n_frames):
    layer, inputs = layer_of(word, arithmetic).eval(), numbers(1, 6, 2, n_frames)
    with torch.no_grad():
        _, state = layer(inputs)
    exported = torch.export.export(layer, (inputs, state))
    calls = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert not [call for call in calls if call.startswith("audiocx")]
    again = numbers(1, 6, 2, n_frames, seed=1)
    for found, expected in zip(exported.module()(again, state), layer(again, state), strict=True):
        torch.testing.assert_close(found, expected)


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
