from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from audiocx.errors import ConfigError
from audiocx.layers.convolution import ComplexConv2d
from audiocx.layers.initialisation import gain_of
from audiocx.models.arithmetic import ARITHMETICS, Arithmetic, arithmetic_of
from audiocx.models.words import WORDS, look_up

PLANES = 6
ACTIVATIONS, GATES = tuple(WORDS["activation"]), tuple(WORDS["gate"])


def layers_of(arithmetic: Arithmetic) -> list[tuple[str, nn.Module, int]]:
    """Every layer without kernels that an arithmetic makes by a word: (name, layer, planes that go in)."""
    return [
        *((word, arithmetic.activation(word, PLANES), PLANES) for word in ACTIVATIONS),
        *((word, arithmetic.gate(word, PLANES), 2 * PLANES) for word in GATES),
        *((word, arithmetic.dropout(word, 0.3), PLANES) for word in WORDS["dropout"]),
        *((word, arithmetic.pool(word, (1, 1), (1, 1)), PLANES) for word in WORDS["pool"]),
    ]


@pytest.mark.parametrize("name", ARITHMETICS)
def test_every_word_keeps_the_planes_it_was_asked_for(name, noise):
    for word, layer, planes in layers_of(arithmetic_of(name)):
        assert layer(noise(2, planes, 4, 3)).shape == (2, PLANES, 4, 3), word


def test_dual_layers_never_mix_the_halves(noise):
    for word, layer, planes in layers_of(arithmetic_of("dual")):
        inputs = noise(1, planes, 4, 3)
        changed = inputs.clone()
        changed[:, planes // 2 :] += 1
        layer.eval()
        same = torch.equal(layer(inputs)[:, : PLANES // 2], layer(changed)[:, : PLANES // 2])
        assert same, word


@pytest.mark.parametrize("name", ARITHMETICS)
def test_pools_take_window_stride_and_padding(name, noise):
    for word in WORDS["pool"]:
        pool = arithmetic_of(name).pool(word, (3, 1), (2, 1), (1, 0))
        assert pool(noise(1, PLANES, 9, 5)).shape == (1, PLANES, 5, 5)


@pytest.mark.parametrize("kind", ["gate", "dropout", "pool"])
def test_an_unknown_word_names_the_nearest(kind):
    word = next(iter(WORDS[kind]))
    with pytest.raises(ConfigError, match=f"no {kind} `{word[:-1]}`.*`{word}`"):
        look_up(kind, word[:-1])


@pytest.mark.parametrize("word", [word for word in ACTIVATIONS if word != "z_relu"])
def test_twins_are_the_complex_layer_on_the_real_axis(word):
    real = torch.linspace(-3, 3, 41).repeat(1, 2, 1)
    complex_layer, twin = (layer(2) for layer in look_up("activation", word))
    on_axis = complex_layer(torch.complex(real, torch.zeros_like(real)))
    torch.testing.assert_close(on_axis.real, twin(real), rtol=1e-5, atol=2e-6)
    assert not on_axis.imag.any()


@pytest.mark.parametrize("word", [*ACTIVATIONS, *GATES])
@pytest.mark.parametrize("real", [False, True])
def test_gains_keep_the_power_of_normal_features(word, real, noise):
    """E|f(z)|² is 1 / gain², for circular normal z with E|z|² = 1, or real ones with E x² = 1."""
    kind = "gate" if word in GATES else "activation"
    layer = look_up(kind, word)[real](1)
    n_planes = (1 if real else 2) * (2 if kind == "gate" else 1)
    inputs = noise(1, n_planes, 200_000) / (1 if real else math.sqrt(2))
    power = layer(inputs).detach().square().sum(1).mean()
    assert float(power) == pytest.approx(1 / gain_of(word, real=real) ** 2, rel=0.02)


def test_an_arithmetic_takes_the_gain_of_its_own_layers():
    weights = {
        name: arithmetic_of(name).convolution(64, 64, (3, 3), (1, 1), (0, 0), bias=False, activation="z_relu")
        for name in ("complex", "real")
    }
    power = torch.linalg.vector_norm(torch.cat([p.flatten() for p in weights["complex"].parameters()])) ** 2
    # E|W|² = 4 / fan of 32 x 32 x 9 weights; E w² = 2 / fan of 64 x 64 x 9.
    assert float(power.detach()) == pytest.approx(4 * 32, rel=0.05)
    assert float((weights["real"].weight ** 2).sum().detach()) == pytest.approx(2 * 64, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("word", ACTIVATIONS)
def test_gains_keep_the_power_through_depth(word):
    """Twenty layers of (activation, convolution of its gain) at width 512 keep E|z|² within a factor of two."""
    z = torch.randn(4, 512, 1, 8, dtype=torch.complex64)
    with torch.no_grad():
        for _ in range(20):
            activated = look_up("activation", word)[0](512)(z)
            z = ComplexConv2d(512, 512, (1, 1), gain=gain_of(word), bias=False)(activated)
    assert 0.5 < float(z.abs().square().mean()) < 2.0
