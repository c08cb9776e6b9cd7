"""The words that configs use for layers, one table for all arithmetics, so that twins differ in arithmetic alone.

A word with a dot in it is the import path of a user's own layer, and is called as the layers of its kind are: with
the number of features, a recurrence with those of its input, those of its state, and `reverse`, a dropout with the
probability, a pool with window, stride and padding.

Real twins are what the complex layer is on the real axis, where that is an activation of real networks: ReLU of
CReLU and cardioid, tanh of both tanhs, softsign of siglog, soft threshold of modReLU. Of zReLU nothing would be
left there (it wants both parts positive); its twin is ReLU, which lets through unchanged what is positive. Gates,
dropout and pools have the layer that real networks use in that place.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

from torch import nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.layers.activation import (
    LEAKY_SLOPE,
    Cardioid,
    CPReLU,
    CReLU,
    LeakyCReLU,
    ModReLU,
    PolarTanh,
    Siglog,
    SoftThreshold,
    SplitTanh,
    ZReLU,
)
from audiocx.layers.dropout import ComplexChannelDropout, ComplexDropout
from audiocx.layers.gate import ModSigmoidGLU, ModulusGLU, SplitGLU
from audiocx.layers.gated_unit import ComplexGatedUnit, RealGatedUnit
from audiocx.layers.linear_recurrence import LinearRecurrence, RealLinearRecurrence
from audiocx.layers.norm import (
    ComplexGroupNorm,
    ComplexInstanceNorm,
    ComplexLayerNorm,
    ComplexRMSNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    NaiveBatchNorm,
    RMSNorm,
    WhiteningBatchNorm,
)
from audiocx.layers.pooling import ComplexAveragePool2d, MagnitudeMaxPool2d
from audiocx.layers.quasi_complex import QuasiComplexRecurrence, RealRecurrence
from audiocx.layers.recurrent import GatedLinearRecurrence, RealGatedLinearRecurrence
from audiocx.layers.unitary_recurrence import OrthogonalRecurrence, UnitaryRecurrence

LayerMaker = Callable[..., nn.Module]


def _none(features: int) -> nn.Module:
    del features
    return nn.Identity()


def _without_features(layer: Callable[[], nn.Module]) -> LayerMaker:
    return lambda features: layer()


def _real_gate(features: int) -> nn.Module:
    del features
    return nn.GLU(1)


def _complex_groups(features: int) -> nn.Module:
    return ComplexGroupNorm(features, math.gcd(features, GROUPS))


def _real_groups(features: int) -> nn.Module:
    # As many groups as the complex norm has on the same planes, where the planes are pairs.
    return GroupNorm(
        features, math.gcd(features, GROUPS) if features % 2 else math.gcd(features // 2, GROUPS)
    )


GROUPS = 4
"""Groups of the word `group`, or the largest number below that divides both this and the features."""

# word -> (complex layer of C features, real layer of n features)
WORDS: dict[str, dict[str, tuple[LayerMaker, LayerMaker]]] = {
    "norm": {
        "rms": (ComplexRMSNorm, RMSNorm),
        "rms_by_place": (
            functools.partial(ComplexRMSNorm, everywhere=False),
            functools.partial(RMSNorm, everywhere=False),
        ),
        "batch": (WhiteningBatchNorm, nn.BatchNorm2d),
        "naive_batch": (NaiveBatchNorm, nn.BatchNorm2d),
        "layer": (ComplexLayerNorm, LayerNorm),
        "group": (_complex_groups, _real_groups),
        "instance": (ComplexInstanceNorm, InstanceNorm),
        "none": (_none, _none),
    },
    "activation": {
        "relu": (_without_features(CReLU), _without_features(nn.ReLU)),
        "leaky_relu": (
            _without_features(LeakyCReLU),
            _without_features(lambda: nn.LeakyReLU(LEAKY_SLOPE)),
        ),
        "prelu": (CPReLU, nn.PReLU),
        "z_relu": (_without_features(ZReLU), _without_features(nn.ReLU)),
        "mod_relu": (ModReLU, SoftThreshold),
        "cardioid": (_without_features(Cardioid), _without_features(nn.ReLU)),
        "polar_tanh": (_without_features(PolarTanh), _without_features(nn.Tanh)),
        "tanh": (_without_features(SplitTanh), _without_features(nn.Tanh)),
        "siglog": (_without_features(Siglog), _without_features(nn.Softsign)),
        "none": (_none, _none),
    },
    # made of the features that come out; twice as many go in
    "gate": {
        "mod_sigmoid_glu": (ModSigmoidGLU, _real_gate),
        "modulus_glu": (ModulusGLU, _real_gate),
        "split_glu": (SplitGLU, _real_gate),
    },
    # made of a probability
    "dropout": {
        "plain": (ComplexDropout, nn.Dropout),
        "channel": (ComplexChannelDropout, nn.Dropout2d),
    },
    # made of (window, stride, padding), each over (frequency, frame)
    "pool": {
        "max": (MagnitudeMaxPool2d, nn.MaxPool2d),
        "average": (ComplexAveragePool2d, nn.AvgPool2d),
    },
    # made of (features in, features of the state, reverse=)
    "recurrence": {
        "gated_linear": (GatedLinearRecurrence, RealGatedLinearRecurrence),
        "modulus_gated_linear": (
            functools.partial(GatedLinearRecurrence, gates="modulus"),
            functools.partial(RealGatedLinearRecurrence, gates="modulus"),
        ),
        "linear": (LinearRecurrence, RealLinearRecurrence),
        "lstm": (
            functools.partial(QuasiComplexRecurrence, cell="lstm"),
            functools.partial(RealRecurrence, cell="lstm"),
        ),
        "gru": (
            functools.partial(QuasiComplexRecurrence, cell="gru"),
            functools.partial(RealRecurrence, cell="gru"),
        ),
        "gated_unit": (ComplexGatedUnit, RealGatedUnit),
        "unitary": (UnitaryRecurrence, OrthogonalRecurrence),
        "factored_unitary": (
            functools.partial(UnitaryRecurrence, matrix="factored"),
            OrthogonalRecurrence,
        ),
    },
}


CENTRING = ("batch", "naive_batch", "instance")
"""Norms that take the mean of every feature away; a bias before them would do nothing and yet count."""


def import_path(path: str, *, where: str) -> Any:
    """Return what a dotted import path names.

    Raises:
        ConfigError: there is no such module or name.
    """
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(describe(f"{where}: cannot import `{path}`", got=error)) from error


def import_module_class(path: str, *, where: str) -> type[nn.Module]:
    """Return the class of torch modules that a path names; nothing else is ever called by a config.

    Raises:
        ConfigError: there is no such name, or it is something else.
    """
    found = import_path(path, where=where)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ConfigError(describe(f"{where}: `{path}` is no class of torch modules", expected="a nn.Module"))
    return found


def look_up(kind: str, word: str) -> tuple[LayerMaker, LayerMaker]:
    """Return the complex and the real layer of a word, or a user's own layer for both.

    Raises:
        ConfigError: the word is not in the table.
    """
    if "." in word:
        layer = import_module_class(word, where=kind)
        return layer, layer
    table = WORDS[kind]
    if word not in table:
        raise ConfigError(describe(f"model: no {kind} `{word}`", do=nearest(word, table)))
    return table[word]
