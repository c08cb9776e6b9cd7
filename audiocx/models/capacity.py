"""Capacity: a twin gets the real parameters, or the multiply-adds, that its config has in complex numbers.

Widths in a config are complex features. A network of real kernels with the same planes would have twice the
parameters of the complex one, so a comparison of the two would compare sizes. Here one multiplier scales all widths
of a twin, and single layers are then trimmed by a feature, until the counts agree:

    parameters   equal real parameters (the default): real features = sqrt(2) complex ones
    macs         equal real multiply-adds a second
    null         widths as written

Everything works on the plain config; the widths that result are saved with the model and never scaled again.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from audiocx.errors import ConfigError, describe, nearest
from audiocx.models.arithmetic import ComplexArithmetic, RealArithmetic, arithmetic_of
from audiocx.models.build import build
from audiocx.models.counting import COUNTED_SECONDS, count_macs, count_parameters
from audiocx.models.features import FEATURES
from audiocx.models.heads import HEADS
from audiocx.models.widths import Widths, search
from audiocx.models.words import import_module_class
from audiocx.signal.stft import STFT

CAPACITIES = ("parameters", "macs")


@dataclass(frozen=True)
class Match:
    """What became of a config.

    Attributes:
        config: with the widths that result.
        counterpart: the same config in complex arithmetic, as written; None where there is none.
        note: why the widths are as written, in a line; empty where they fit.
    """

    config: dict[str, Any]
    counterpart: dict[str, Any] | None
    note: str = ""


def matched(config: Mapping[str, Any], capacity: str | None) -> dict[str, Any]:
    """Return a separator's plain config with the widths that give it its complex counterpart's capacity.

    Args:
        config: as `Separator.from_config` takes it; widths are complex features.
        capacity: `parameters`, `macs`, or None for the widths as they are.

    Raises:
        ConfigError: the capacity is not known, or the config does not build.
    """
    return match(config, capacity).config


def match(config: Mapping[str, Any], capacity: str | None) -> Match:
    """Do what `matched` does, and say what the config was matched to.

    Args:
        config: as `Separator.from_config` takes it.
        capacity: `parameters`, `macs`, or None.

    Raises:
        ConfigError: the capacity is not known, or the config does not build.
    """
    if capacity is not None and capacity not in CAPACITIES:
        raise ConfigError(
            describe(f"capacity: no capacity `{capacity}`", do=nearest(str(capacity), [*CAPACITIES, "null"]))
        )
    return copy.deepcopy(_match(json.dumps(config), capacity))


def twin_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a complex config in real arithmetic: its split twin, widths as written; None for any other config.

    Args:
        config: as `Separator.from_config` takes it.
    """
    words = _words(config["model"])
    if words is None or words["arithmetic"] != ComplexArithmetic.name:
        return None
    return {**config, "model": {**config["model"], "arithmetic": RealArithmetic.name}}


@functools.lru_cache(maxsize=32)
def _match(text: str, capacity: str | None) -> Match:
    config = json.loads(text)
    words = _words(config["model"])
    if words is None:
        return Match(config, None, "widths as written: the model has no arithmetic to choose")
    counterpart = {**config, "model": {**config["model"], **_complex_words(words)}}
    if words["arithmetic"] == ComplexArithmetic.name:
        return Match(config, None)
    counter = _Counter(config, capacity)
    counter(config)  # what does not fit is said of the config as it is written
    try:
        wanted = counter(counterpart)
    except ConfigError as error:
        return Match(config, None, f"widths as written: no counterpart in complex numbers ({error})")
    if capacity is None:
        return Match(config, counterpart)
    network = import_module_class(config["model"]["network"]["_target_"], where="model.network")
    if not getattr(network, "width_keys", ()):
        return Match(config, counterpart, f"widths as written: {network.__name__} names no `width_keys`")
    steps = 1 if arithmetic_of(words["arithmetic"]).paired else 2
    widths = Widths(config, written_widths(config["model"]["network"], network), steps)
    plan = search(widths, lambda candidate: counter(widths.config(candidate)), wanted)
    return Match(widths.config(plan), counterpart)


def _words(model: Any) -> dict[str, str] | None:
    """Arithmetic, features and head of a model's config; None where it has no such choice."""
    if not (isinstance(model, Mapping) and isinstance(model.get("network"), Mapping)):
        return None
    if "_target_" not in model or "_target_" not in model["network"]:
        return None
    parameters = inspect.signature(import_module_class(str(model["_target_"]), where="model")).parameters
    words = {}
    for key in ("arithmetic", "features", "head"):
        if key not in parameters:
            return None
        words[key] = str(model.get(key, parameters[key].default))
    return words


def _complex_words(words: Mapping[str, str]) -> dict[str, str]:
    """The same words in complex arithmetic; a class of one's own that names no counterpart stays."""
    found = {"arithmetic": ComplexArithmetic.name}
    tables: dict[str, Mapping[str, type]] = {"features": FEATURES, "head": HEADS}
    for key, table in tables.items():
        word = words[key]
        part = import_module_class(word, where=f"model.{key}") if "." in word else table.get(word)
        # Each class says its own: one that is derived from ours need not have our counterpart.
        found[key] = vars(part).get("complex_word") or word if part is not None else word
    return found


class _Counter:
    """Counts configs by building them on the `meta` device, or, where a model cannot be built there, in memory."""

    def __init__(self, config: Mapping[str, Any], capacity: str | None) -> None:
        self.capacity = capacity
        stft = STFT(**config["stft"])
        self.n_frequencies = stft.n_frequencies
        self.n_frames = round(COUNTED_SECONDS * stft.sample_rate / stft.hop_length)
        self.device = "meta"
        try:
            self._build(config)
        except ConfigError:
            self.device = "cpu"

    def _build(self, config: Mapping[str, Any]) -> nn.Module:
        # Weights that are drawn here must not be missing from what training draws.
        with torch.random.fork_rng(devices=[]), torch.device(self.device):
            model: nn.Module = build(
                config["model"], n_sources=config["n_sources"], n_frequencies=self.n_frequencies
            )
        return model

    def __call__(self, config: Mapping[str, Any]) -> int:
        model = self._build(config)
        if self.capacity == "macs":
            return count_macs(model, self.n_frequencies, self.n_frames)
        return count_parameters(model)


def written_widths(network: Mapping[str, Any], topology: type) -> dict[str, float | list[float]]:
    """Widths as a network's config has them, or as its topology does where the config is silent.

    Args:
        network: config.
        topology: its class; without `width_keys` there are no widths.
    """
    parameters = inspect.signature(topology).parameters
    found = {}
    for key in getattr(topology, "width_keys", ()):
        value = network.get(key, parameters[key].default)
        if value is None:  # left to the topology's table
            default_widths: Any = topology.default_widths  # type: ignore[attr-defined]
            value = default_widths(network)[key]
        found[key] = list(value) if isinstance(value, Sequence) else value
    return found
