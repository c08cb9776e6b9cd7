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
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from audiocx.models.words import import_module_class
from audiocx.signal.stft import STFT

CAPACITIES = ("parameters", "macs")
TOLERANCE = 0.01
"""Largest relative difference of a match; narrow networks may miss it."""
CLOSE = 0.002
"""Relative difference below which nothing is trimmed any more."""
MOST_TRIMMED, MOST_VERIFIED = 4, 6
"""Layers that are trimmed together, and plans that are counted, at most."""

Plan = tuple[int, ...]
"""Widths of a network in the smallest steps that its arithmetic allows."""


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
    keys = getattr(network, "width_keys", ())
    if not keys:
        return Match(config, counterpart, f"widths as written: {network.__name__} names no `width_keys`")
    steps = 1 if arithmetic_of(words["arithmetic"]).paired else 2
    widths = _Widths(config, _written(config["model"]["network"], network, keys), steps)
    plan = _search(widths, lambda candidate: counter(widths.config(candidate)), wanted)
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


def _written(
    network: Mapping[str, Any], topology: type, keys: Iterable[str]
) -> dict[str, float | list[float]]:
    """Widths as the config has them, or as the topology does where the config is silent."""
    parameters = inspect.signature(topology).parameters
    found = {}
    for key in keys:
        value = network.get(key, parameters[key].default)
        found[key] = list(value) if isinstance(value, Sequence) else value
    return found


class _Widths:
    """The widths of a config as one row of whole steps, and back.

    Args:
        config: of a separator.
        written: widths by key, each a number or a list.
        steps: smallest changes in a feature: 1, or 2 where half a feature, one plane, is allowed.
    """

    def __init__(
        self, config: dict[str, Any], written: Mapping[str, float | list[float]], steps: int
    ) -> None:
        self.base, self.written, self.steps = config, written, steps
        self.row = [
            width for value in written.values() for width in (value if isinstance(value, list) else [value])
        ]

    def plan(self, factor: float) -> Plan:
        """Widths times a factor, in whole steps."""
        return tuple(max(1, round(width * factor * self.steps)) for width in self.row)

    def config(self, plan: Plan) -> dict[str, Any]:
        """Return the config with the widths of a plan."""
        row = iter(step // self.steps if step % self.steps == 0 else step / self.steps for step in plan)
        widths = {
            key: [next(row) for _ in value] if isinstance(value, list) else next(row)
            for key, value in self.written.items()
        }
        model = self.base["model"]
        return {**self.base, "model": {**model, "network": {**model["network"], **widths}}}

    def plans(self, smallest: float, largest: float) -> list[Plan]:
        """All different plans that the factors of a range give, from the smallest to the largest."""
        edges = {smallest, largest}
        for width in self.row:
            first, last = (int(width * factor * self.steps) for factor in (smallest, largest))
            edges.update((step + 0.5) / (width * self.steps) for step in range(first, last + 1))
        ordered = sorted(edge for edge in edges if smallest <= edge <= largest)
        plans = [self.plan((low + high) / 2) for low, high in itertools.pairwise(ordered)]
        return [plan for plan, _ in itertools.groupby(plans)]


def _search(widths: _Widths, count_plan: Callable[[Plan], int], wanted: int) -> Plan:
    """Find the plan whose count is nearest to the one wanted: one factor, then single layers a step off."""
    known: dict[Plan, float] = {}

    def difference(plan: Plan) -> float:
        """Relative difference to what is wanted; infinite where the topology takes no such widths."""
        if plan not in known:
            try:
                known[plan] = count_plan(plan) / wanted - 1.0
            except ConfigError:
                known[plan] = float("inf")
        return known[plan]

    start = widths.plan(1.0)
    if abs(difference(start)) > CLOSE:
        start = _one_factor(widths, difference)
    for with_pairs in (False, True):
        if abs(difference(start)) <= (TOLERANCE if with_pairs else CLOSE):
            break
        _trim(start, difference, with_pairs=with_pairs)
        start = min(known, key=lambda plan: abs(known[plan]))
    return start


def _one_factor(widths: _Widths, difference: Callable[[Plan], float]) -> Plan:
    """Find the two neighbours in the row of plans that enclose the count that is wanted; take the nearer one."""
    guess = 1.0 / math.sqrt(1.0 + difference(widths.plan(1.0)))  # counts grow about as widths squared
    for spread in (1.05, 1.5, 8.0):
        plans = widths.plans(guess / spread, guess * spread)
        if difference(plans[0]) <= 0 <= difference(plans[-1]):
            break
    low, high = 0, len(plans) - 1
    while high - low > 1:
        middle = (low + high) // 2
        # A topology may not take every width, such as one that its heads do not divide: look beside it.
        valid = next((i for i in range(middle, high) if math.isfinite(difference(plans[i]))), None)
        if valid is None:
            high = middle
        elif difference(plans[valid]) < 0:
            low = valid
        else:
            high = valid
    return min((plans[low], plans[high]), key=lambda plan: abs(difference(plan)))


def _trim(start: Plan, difference: Callable[[Plan], float], *, with_pairs: bool) -> None:
    """Count plans that are a step off in some layers, those first that are likely to come nearest.

    Counts are close to quadratic in the widths, so a change of several layers is the sum of their single changes,
    and, in narrow networks, of what each two of them do together.

    Args:
        start: the plan to trim.
        difference: remembers what it is asked for.
        with_pairs: count what two layers do together, too.
    """
    base = difference(start)

    def moved(*moves: tuple[int, int]) -> Plan:
        changes = dict(moves)
        return tuple(step + changes.get(layer, 0) for layer, step in enumerate(start))

    moves = [(layer, by) for layer, step in enumerate(start) for by in (-1, 1) if step + by >= 1]
    alone = {move: difference(moved(move)) - base for move in moves}
    alone = {move: change for move, change in alone.items() if math.isfinite(change)}
    together: dict[tuple[int, int], float] = {}
    if with_pairs:
        upward = [move for move in alone if move[1] == 1]
        for first, second in itertools.combinations(upward, 2):
            change = difference(moved(first, second)) - base - alone[first] - alone[second]
            together[first[0], second[0]] = change if math.isfinite(change) else 0.0
    ranked = []
    for n_moves in range(1, MOST_TRIMMED + 1):
        for chosen in itertools.combinations(alone, n_moves):
            if len({layer for layer, _ in chosen}) < n_moves:
                continue
            likely = base + sum(alone[move] for move in chosen)
            for (layer, by), (other, other_by) in itertools.combinations(chosen, 2):
                likely += by * other_by * together.get((layer, other), 0.0)
            ranked.append((max(abs(likely), CLOSE), n_moves, moved(*chosen)))
    for _, _, plan in sorted(ranked)[:MOST_VERIFIED]:
        if abs(difference(plan)) <= CLOSE:
            break
