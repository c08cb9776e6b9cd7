"""Searching the widths of a network that give it a wanted count: one factor for all, single layers a step off."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from audiocx.errors import ConfigError

TOLERANCE = 0.01
"""Largest relative difference of a match; narrow networks may miss it."""
CLOSE = 0.002
"""Relative difference below which nothing is trimmed any more."""
MOST_TRIMMED, MOST_VERIFIED = 4, 6
"""Layers that are trimmed together, and plans that are counted, at most."""

Plan = tuple[int, ...]
"""Widths of a network in the smallest steps that its arithmetic allows."""


class Widths:
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


def search(widths: Widths, count_plan: Callable[[Plan], int], wanted: int) -> Plan:
    """Find the plan whose count is nearest to the one wanted: one factor, then single layers a step off.

    Args:
        widths: as written.
        count_plan: raises ConfigError for widths that the topology does not take.
        wanted: the count.
    """
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


def _one_factor(widths: Widths, difference: Callable[[Plan], float]) -> Plan:
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
