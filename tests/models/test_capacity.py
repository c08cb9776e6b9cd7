"""Twins have the capacity of their complex counterpart: every yaml, arithmetic, features and head, found."""

from __future__ import annotations

import copy
import functools
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

import audiocx
from audiocx.errors import ConfigError
from audiocx.models.arithmetic import ARITHMETICS, Arithmetic
from audiocx.models.capacity import CAPACITIES, match, matched, twin_of
from audiocx.models.counting import count_macs, count_macs_per_second, count_parameters
from audiocx.models.features import FEATURES, Features
from audiocx.models.heads import HEADS
from audiocx.models.separator import Separator
from audiocx.models.widths import CLOSE, TOLERANCE
from audiocx.models.words import import_module_class

LARGE = ("dccrn", "dcunet")
WORDS = ("arithmetic", "features", "head")
CONF = Path(__file__).resolve().parents[2] / "conf"


@functools.cache
def composed_yaml(name: str) -> Any:
    """A yaml as training composes it."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return OmegaConf.to_container(compose("train", overrides=[f"model={name}"]), resolve=False)


def written(name: str, **words: str) -> dict[str, Any]:
    """Config of a separator with the model of a yaml, some words of it changed."""
    composed = copy.deepcopy(composed_yaml(name))
    return {"task": "enhance", "n_sources": 1, "stft": composed["stft"], "model": composed["model"] | words}


def with_network(config: dict[str, Any], **keys: Any) -> dict[str, Any]:
    config = copy.deepcopy(config)
    config["model"]["network"] |= keys
    return config


def widths(config: dict[str, Any]) -> list[float]:
    """All widths of a config in a row."""
    network = config["model"]["network"]
    topology: Any = import_module_class(network["_target_"], where="test")
    written = [(key, network.get(key)) for key in topology.width_keys]
    values = [topology.default_widths(network)[key] if value is None else value for key, value in written]
    return [width for value in values for width in (value if isinstance(value, list) else [value])]


def capacity_of(config: dict[str, Any], capacity: str) -> int:
    """Count a separator that is really built."""
    separator = Separator.from_config(config)
    return count_macs_per_second(separator) if capacity == "macs" else count_parameters(separator)


def twins() -> list[Any]:
    """Each twin with each capacity; those that differ in words alone, not in planes, stand in once."""
    names = [path.stem for path in sorted((CONF / "model").glob("*.yaml"))]
    rows = [
        (name, *(written(name)["model"][key] for key in WORDS)) for name in names
    ]  # each yaml's own first
    rows += list(itertools.product(names, ARITHMETICS, FEATURES, HEADS))
    found: dict[str, Any] = {}
    for (name, arithmetic, features, head), capacity in itertools.product(rows, CAPACITIES):
        planes = FEATURES[features].n_planes, HEADS[head].planes_per_source
        if arithmetic == "complex" or (ARITHMETICS[arithmetic].paired and any(n % 2 for n in planes)):
            continue
        twin = written_words(written(name), arithmetic, features, head)
        # Multiply-adds take ten times as long to count, and large networks some times as long as small ones.
        rarer = name in LARGE and (arithmetic, features) != ("real", "complex")
        marks = [pytest.mark.slow] if capacity == "macs" or rarer else []
        label = f"{name}-{arithmetic}-{features}-{head}-{capacity}"
        key = f"{twin['model']['network']} {arithmetic} {planes} {capacity}"
        found.setdefault(key, pytest.param(twin, capacity, id=label, marks=marks))
    return list(found.values())


def written_words(config: dict[str, Any], arithmetic: str, features: str, head: str) -> dict[str, Any]:
    words = {"arithmetic": arithmetic, "features": features, "head": head}
    return {**config, "model": config["model"] | words}


def test_there_are_twins():
    names = " ".join(parameter.id for parameter in twins())
    for expected in ("split_unet", "magnitude_unet", "dual_unet", "real-magnitude", "-macs"):
        assert expected in names


@pytest.mark.parametrize(("config", "capacity"), twins())
def test_every_twin_has_the_capacity_of_its_counterpart(config, capacity):
    model = config["model"]
    found = matched(config, capacity)
    features, head = FEATURES[model["features"]].complex_word, HEADS[model["head"]].complex_word
    wanted = capacity_of(written_words(config, "complex", features, head), capacity)
    assert abs(capacity_of(found, capacity) / wanted - 1) < TOLERANCE
    # One factor for all widths, single layers trimmed by a feature.
    step = 1.0 if ARITHMETICS[model["arithmetic"]].paired else 0.5
    pairs = list(zip(widths(config), widths(found), strict=True))
    factors = torch.linspace(0.3, 3.0, 2701).tolist()
    off = min(max(abs(new - factor * old) for old, new in pairs) for factor in factors)
    assert off <= 1.5 * step
    # Nothing but the widths has changed.
    keys = import_module_class(model["network"]["_target_"], where="test").width_keys
    back = with_network(found, **{key: model["network"][key] for key in keys if key in model["network"]})
    assert back["model"]["network"].items() >= model["network"].items()
    assert {**back["model"], "network": None} == {**model, "network": None}


def test_words_of_the_counterpart():
    features = {word: FEATURES[word].complex_word for word in ("complex", "split", "magnitude")}
    heads = {word: HEADS[word].complex_word for word in ("complex_mask", "complex_map", "magnitude_mask")}
    assert set(features.values()) == {"complex"}
    assert list(heads.values()) == ["complex_mask", "complex_map", "complex_mask"]
    counterpart = match(written("magnitude_unet"), "parameters").counterpart
    assert counterpart == written_words(written("magnitude_unet"), "complex", "complex", "complex_mask")


@pytest.mark.parametrize(
    ("name", "capacity", "factor"),
    [
        ("split_unet", "parameters", 2**-0.5),
        ("dual_unet", "parameters", 1.0),
        ("split_unet", "macs", 1.0),
        pytest.param("dual_unet", "macs", 2**0.5, marks=pytest.mark.slow),
    ],
)
def test_factors_are_those_of_theory(name, capacity, factor):
    """r² real weights for 2 C² of complex ones; r² multiply-adds for 4 C²; half as many in separate kernels."""
    config = written(name)
    ratio = sum(widths(matched(config, capacity))) / sum(widths(config))
    assert ratio == pytest.approx(factor, rel=0.02)


def test_complex_models_and_null_change_nothing():
    for capacity in CAPACITIES:
        assert matched(written("complex_unet"), capacity) == written("complex_unet")
    for name in ("split_unet", "dual_unet"):
        assert matched(written(name), None) == written(name)


def test_no_such_capacity():
    with pytest.raises(ConfigError, match="did you mean `parameters`"):
        matched(written("split_unet"), "paramters")


def test_nothing_is_drawn():
    before = torch.get_rng_state()
    matched(with_network(written("split_unet"), widths=[5, 6, 7, 8, 9]), "parameters")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_split_twin_of_a_complex_model():
    twin = twin_of(written("complex_unet"))
    assert twin is not None
    assert widths(matched(twin, "parameters")) == widths(matched(written("split_unet"), "parameters"))
    assert twin_of(written("split_unet")) is None


@pytest.mark.parametrize("arithmetic", ["widely_linear", "real", "dual"])
@pytest.mark.parametrize("narrow", [[1, 2], [2, 3], [3, 2], [2, 5]])
def test_narrow_networks_come_as_near_as_features_allow(arithmetic, narrow):
    """Against all plans that are a step off the best single factor, counted one by one."""
    keys = {"kernel_sizes": [[3, 3]] * 2, "strides": [[2, 2], [2, 1]]}
    config = with_network(written("split_unet", arithmetic=arithmetic), widths=narrow, **keys)
    wanted = capacity_of(written_words(config, "complex", "complex", "complex_mask"), "parameters")
    steps = 1 if ARITHMETICS[arithmetic].paired else 2

    def off(plan: tuple[int, ...]) -> float:
        candidate = with_network(config, widths=[step / steps for step in plan])
        return abs(capacity_of(candidate, "parameters") / wanted - 1)

    factors = [0.3 + 0.002 * number for number in range(600)]
    rows = {tuple(max(1, round(width * factor * steps)) for width in narrow) for factor in factors}
    start = min(rows, key=off)
    around = itertools.product(*([max(1, step - 1), step, step + 1] for step in start))
    nearest = min(off(plan) for plan in around)
    found = capacity_of(matched(config, "parameters"), "parameters") / wanted - 1
    assert abs(found) <= max(nearest, CLOSE) + 1e-9


def test_loading_never_scales(tmp_path, noise):
    separator = Separator.from_config(matched(written("split_unet"), "parameters")).eval()
    assert any(width % 1 for width in widths(separator.config))
    separator.save(tmp_path / "model")
    again = audiocx.load(tmp_path / "model")
    assert widths(again.config) == widths(separator.config)
    assert count_parameters(again) == count_parameters(separator)
    waveform = noise(1, 1, 2000)
    assert torch.equal(again(waveform), separator(waveform))


class Plain(nn.Module):
    """A topology of one's own; it names no widths."""

    def __init__(
        self, arithmetic: Arithmetic, in_planes: int, out_planes: int, *, n_frequencies: int, width: int = 12
    ) -> None:
        super().__init__()
        del n_frequencies
        self.width = width
        planes = arithmetic.planes(width)
        self.rates = torch.linspace(0.0, 1.0, 3).tolist()  # not to be had on the `meta` device
        ones = ((1, 1), (1, 1), (0, 0))
        self.first = arithmetic.convolution(in_planes, planes, *ones, bias=True)
        self.inner = arithmetic.convolution(planes, planes, *ones, bias=True)
        self.last = arithmetic.convolution(planes, out_planes, *ones, bias=True)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(self.first(planes)))


class Declared(Plain):
    """It has one width, which it may leave at its default, and takes none that four heads do not divide."""

    width_keys = ("width",)

    def __init__(
        self, arithmetic: Arithmetic, in_planes: int, out_planes: int, *, n_frequencies: int, width: int = 64
    ) -> None:
        if arithmetic.planes(width) % 4:
            raise ConfigError("model.network.width: heads do not divide it")
        super().__init__(arithmetic, in_planes, out_planes, n_frequencies=n_frequencies, width=width)


class Own(Features):
    """Features of one's own, of three planes; they have no complex counterpart."""

    n_planes = 3

    def form(self, real, imaginary, gain):
        return torch.stack((real, imaginary, gain), 1)


def own(topology: type, **words: str) -> dict[str, Any]:
    config = written("split_unet", **words)
    config["model"]["network"] = {"_target_": f"{__name__}.{topology.__name__}", "_partial_": True}
    return config


def test_a_topology_of_ones_own_stays_and_is_told():
    config = own(Plain)
    found = match(config, "parameters")
    assert found.config == config
    assert "width_keys" in found.note
    assert found.counterpart is not None


def test_a_width_that_the_topology_has_by_default():
    found = matched(own(Declared), "parameters")
    width = found["model"]["network"]["width"]
    assert (2 * width) % 4 == 0
    assert width == 46  # 64 / sqrt(2) = 45.25; 45 and 45.5 do not go


def test_parts_without_a_counterpart_leave_widths_as_written():
    config = written("split_unet", features=f"{__name__}.Own")
    found = match(config, "parameters")
    assert found.config == config
    assert found.counterpart is None
    assert "no counterpart" in found.note


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(5, 7, batch_first=True),
        nn.GRU(5, 7, bidirectional=True, num_layers=2),
        nn.LSTM(5, 8, batch_first=True, bidirectional=True, proj_size=3, num_layers=2),
    ],
    ids=["lstm", "gru", "projected"],
)
def test_recurrent_layers_are_counted_without_running(layer):
    """As many multiply-adds, and the same shapes, as torch's own going through all frames."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer
            self.shapes: list[Any] = []

        def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
            inputs = spectrum.real.reshape(2, -1, 5)
            outputs, state = self.layer(inputs)
            shapes.append([outputs.shape, *(part.shape for part in _parts(state))])
            return outputs

    def _parts(state):
        return state if isinstance(state, tuple) else (state,)

    shapes: list[Any] = []
    counted = count_macs(Model(), 5, 12)
    with torch.no_grad():
        Model()(torch.zeros(1, 1, 5, 12, dtype=torch.complex64))
    assert shapes[0] == shapes[1]
    first_and_hidden = sum(weight.numel() for weight in layer.parameters() if weight.dim() == 2)
    assert counted == 12 * first_and_hidden
