"""Complex convolutions against torch's native complex ones, in complex128, and by their properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from audiocx.errors import ConfigError, ShapeError
from audiocx.layers.convolution import (
    ComplexConv1d,
    ComplexConv2d,
    ComplexConvTranspose1d,
    ComplexConvTranspose2d,
)
from audiocx.layers.planar import to_complex, to_planar
from audiocx.layers.product import FORMS

FORWARD = {1: (ComplexConv1d, functional.conv1d), 2: (ComplexConv2d, functional.conv2d)}
TRANSPOSED = {
    1: (ComplexConvTranspose1d, functional.conv_transpose1d),
    2: (ComplexConvTranspose2d, functional.conv_transpose2d),
}
EVERY = [ComplexConv1d, ComplexConv2d, ComplexConvTranspose1d, ComplexConvTranspose2d]
every_layer = pytest.mark.parametrize("make", EVERY)
every_form = pytest.mark.parametrize("form", FORMS)


def complex_weight(layer):
    return torch.complex(layer.weight_real, layer.weight_imag)


def complex_bias(layer):
    return None if layer.bias is None else torch.complex(*layer.bias.chunk(2))


def complex_noise(*shape):
    return torch.randn(*shape, dtype=torch.complex128)


def randomise_bias(layer):
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)


def tied(make, **options):
    """A small layer of any kind in double precision, with an input that suits it, batch and all."""
    layer = make(4, 6, 3, 2, 1, dilation=2, **{"groups": 2, **options}).double()
    randomise_bias(layer)
    return layer, complex_noise(2, 4, *(7, 9)[: layer.n_axes])


@st.composite
def layouts(draw):
    """Sizes of a layer and of its input, each axis of its own."""
    n_axes = draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n_axes))

    groups = draw(st.integers(1, 3))
    kernel, stride, dilation = each(1, 4), each(1, 3), each(1, 3)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, r // 2)) for r in reach)
    return {
        "in_features": groups * draw(st.integers(1, 2)),
        "out_features": groups * draw(st.integers(1, 3)),
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": draw(st.booleans()),
        "form": draw(st.sampled_from(FORMS)),
    }, tuple(r + draw(st.integers(0, 4)) for r in reach)


def options(layout):
    return {key: layout[key] for key in ("stride", "padding", "dilation", "groups")}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(layouts())
def test_convolution_equals_torch(drawn):
    layout, size = drawn
    make, native = FORWARD[len(size)]
    layer = make(**layout).double()
    randomise_bias(layer)
    z = complex_noise(2, layout["in_features"], *size)
    reference = native(z, complex_weight(layer), complex_bias(layer), **options(layout))
    torch.testing.assert_close(to_complex(layer(to_planar(z))), reference, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer(z), reference, rtol=1e-10, atol=1e-10)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(layouts(), st.data())
def test_transposed_convolution_equals_torch(drawn, data):
    layout, size = drawn
    make, native = TRANSPOSED[len(size)]
    layer = make(**layout).double()
    randomise_bias(layer)
    extra = tuple(data.draw(st.integers(0, s - 1)) for s in layout["stride"])
    z = complex_noise(2, layout["in_features"], *size)
    reference = native(z, complex_weight(layer), complex_bias(layer), output_padding=extra, **options(layout))
    wanted = reference.shape[2:]
    torch.testing.assert_close(to_complex(layer(to_planar(z), wanted)), reference, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer(z, wanted), reference, rtol=1e-10, atol=1e-10)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(layouts())
def test_transposed_is_the_adjoint_for_conjugate_weights(drawn):
    """sum(A x conj(y)) = sum(x conj(A^H y)), where A^H has the conjugate weights; with the weights it has not."""
    layout, size = drawn
    layout["bias"] = False
    there = FORWARD[len(size)][0](**layout).double()
    back_features = {"in_features": layout["out_features"], "out_features": layout["in_features"]}
    back = TRANSPOSED[len(size)][0](**{**layout, **back_features}).double()
    x = complex_noise(1, layout["in_features"], *size)
    image = there(x).detach()
    y = torch.randn_like(image)

    def gap(sign):
        with torch.no_grad():
            back.weight_real.copy_(there.weight_real)
            back.weight_imag.copy_(sign * there.weight_imag)
        return float(((image * y.conj()).sum() - (x * back(y, size).conj()).sum()).detach().abs())

    assert gap(-1) < 1e-9
    assert gap(1) > 1e-6


@every_layer
@every_form
def test_gradients_equal_torch(make, form):
    """As torch's gradient of native complex weights: the imaginary part's is the imaginary part's."""
    layer, z = tied(make, form=form)
    native = (TRANSPOSED if layer.transposed else FORWARD)[layer.n_axes][1]
    weight = complex_weight(layer).detach().requires_grad_()
    bias = complex_bias(layer).detach().requires_grad_()
    inputs, ours = z.clone().requires_grad_(), z.clone().requires_grad_()
    reference = native(inputs, weight, bias, stride=2, padding=1, dilation=2, groups=2)
    scale = torch.randn_like(reference)
    (reference * scale).abs().square().sum().backward()
    (layer(ours) * scale).abs().square().sum().backward()
    torch.testing.assert_close(ours.grad, inputs.grad, rtol=1e-9, atol=1e-9)
    found = torch.complex(layer.weight_real.grad, layer.weight_imag.grad)
    torch.testing.assert_close(found, weight.grad, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(torch.complex(*layer.bias.grad.chunk(2)), bias.grad, rtol=1e-9, atol=1e-9)


@every_layer
def test_parameters_are_those_of_the_formula(make):
    """2 in out k / groups reals, and 2 out of the bias."""
    for groups in (1, 2, 4):
        layer = make(4, 8, 3, groups=groups)
        n_taps = 3**layer.n_axes
        count = sum(parameter.numel() for parameter in layer.parameters())
        assert count == 2 * 4 * 8 * n_taps // groups + 2 * 8


@every_layer
@every_form
def test_groups_do_not_meet(make, form):
    layer, z = tied(make, bias=False, form=form)
    changed = z.clone()
    changed[:, :2] += 1
    moved = (layer(changed) - layer(z)).detach().abs().flatten(2).amax((0, 2)) > 1e-9
    assert moved.tolist() == [True] * 3 + [False] * 3


@every_layer
def test_complex_linearity_and_conjugation(make):
    layer, z = tied(make, bias=False)
    torch.testing.assert_close(layer((2 - 3j) * z), (2 - 3j) * layer(z), rtol=1e-10, atol=1e-10)
    before = layer(z).conj()
    with torch.no_grad():
        layer.weight_imag.neg_()
    torch.testing.assert_close(layer(z.conj()), before.resolve_conj(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make", [ComplexConv2d, ComplexConvTranspose2d])
@every_form
def test_compiles_without_a_graph_break(make, form):
    layer, z = tied(make, form=form)
    layer.eval()
    planar = to_planar(z)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    with torch.no_grad():
        expected = layer(planar)  # which keeps the weights that it derives
        torch.testing.assert_close(compiled(planar), expected)


@pytest.mark.parametrize("make", [ComplexConv2d, ComplexConvTranspose2d])
@every_form
def test_exports(make, form):
    layer, z = tied(make, form=form)
    layer.eval()
    planar = to_planar(z)
    with torch.no_grad():
        layer(planar)  # what is kept must not become a constant of the program
        program = torch.export.export(layer, (planar,), strict=False)
        torch.testing.assert_close(program.module()(planar), layer(planar))
    assert not program.constants


def test_unreachable_size_is_refused(noise):
    layer = ComplexConvTranspose2d(1, 1, (3, 3), (2, 2), (1, 1))
    with pytest.raises(ShapeError, match="cannot be reached"):
        layer(noise(1, 2, 4, 4), (12, 8))


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"groups": 3}, "do not divide"),
        ({"groups": 0}, "do not divide"),
        ({"stride": (1, 1, 1)}, "2 sizes or one"),
        ({"initial": "glorott"}, "did you mean `glorot`"),
    ],
)
def test_what_does_not_fit_is_refused(keys, word):
    with pytest.raises(ConfigError, match=word):
        ComplexConv2d(4, 6, 3, **keys)


@every_layer
@pytest.mark.parametrize("initial", ["he", "glorot", "semi_unitary"])
def test_initial_power_is_that_of_the_word(initial, make):
    """He keeps E|z|² from input to output; Glorot weighs the way back as much."""
    layer = make(16, 64, 3, 2, 1, groups=2, gain=1.5, initial=initial)
    n_taps, thinned = 3**layer.n_axes, 2**layer.n_axes
    fan_in, fan_out = 16 / 2 * n_taps, 64 / 2 * n_taps
    if layer.transposed:
        fan_in /= thinned
    else:
        fan_out /= thinned
    power = (layer.weight_real.square() + layer.weight_imag.square()).detach()
    wanted = 1.5**2 * 2 / (fan_in + fan_out) if initial == "glorot" else 1.5**2 / fan_in
    tolerance = 4 / math.sqrt(power.numel()) if initial != "semi_unitary" else 1e-5
    assert float(power.mean()) == pytest.approx(wanted, rel=tolerance)
