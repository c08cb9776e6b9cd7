"""The interval of a mean over items that share talkers and noises: one method for scores and differences.

Items are not independent: those of one talker, and those with one noise, are alike. The method is a two-way
cluster bootstrap (Owen 2007, "The pigeonhole bootstrap"): each draw resamples the talkers and, apart from
them, the noises, with replacement, and an item's weight is the product of its clusters' counts. Its plain
percentiles are too wide with many clusters (the item's own noise counts three times) and too narrow with
few, so the draws are studentised: each draw's deviation is divided by the standard error that the draw
itself would have stated, and the 95 % point of that ratio takes the place of 1.96. The standard error adds
up residuals of items that share a cluster (Cameron, Gelbach, Miller 2011, by inclusion and exclusion). Where
five talkers carry most of the variance, draws of them vary too little (0.93 covered), so the ratio's point is
never below Student's t with Satterthwaite's degrees of freedom. With very few items or clusters that of the
fewest clusters takes the place of the draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.stats import t as student_t

KEYS = ("talker", "noise")
"""Which clusters are random. Others, such as rooms or seeds, are further keys of the same method."""

SEPARATOR = "+"
"""Joins the names of an item with several talkers: `a+b` belongs to the clusters `a` and `b`."""

N_DRAWS = 2000
FEWEST_CLUSTERS = 4
FEWEST_ITEMS = 30
"""With fewer, many draws hold next to nothing and the interval is too wide (0.96 to 0.99 covered with 22 items of
16 talkers and 20 noises); Student's t with the clusters' degrees of freedom serves then (0.93 to 0.97)."""
LARGEST_CACHED = 1_000_000
"""Items times draws up to which the draws of a layout are kept for the next score of the same items."""

Array = NDArray[np.float64]
Names = tuple[tuple[str, str], ...]


class _Draws(NamedTuple):
    """Weights of all draws.

    Attributes:
        weights: of the items (item, draw).
        total: their sum (draw,).
        group_weights: their sum in each group (group, draw).
        inverse_copies: one over the number of copies of each group (group, draw), 0 where it was not drawn.
    """

    weights: Array
    total: Array
    group_weights: Array
    inverse_copies: Array


@dataclass(frozen=True)
class Interval:
    """A mean over items with its interval.

    Attributes:
        mean: over the items with a value; NaN without one.
        low: lower end; NaN where there is one cluster or item only.
        high: upper end.
        n: items with a value.
        clusters: how many talkers, noises and so on those have, by key; a key that no item has is left out.
    """

    mean: float
    low: float
    high: float
    n: int
    clusters: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def half_width(self) -> float:
        """Half the interval's length."""
        return (self.high - self.low) / 2

    @property
    def fewest_clusters(self) -> int:
        """Clusters of the key that has fewest; where no key is known, items."""
        return min(self.clusters.values(), default=self.n)


class _Layout:
    """Which items share which clusters, and the draws that go with it.

    Args:
        items: the clusters of every item.
        n_draws: bootstrap draws.
        seed: of the draws.
    """

    def __init__(self, items: tuple[Names, ...], n_draws: int, seed: int) -> None:
        self.items = items
        self.n_draws = n_draws
        self.seed = seed
        # Groups are sets of clusters; an item is in the group of every subset of its clusters.
        groups: dict[Names, list[int]] = {}
        for index, names in enumerate(items):
            for size in range(1, len(names) + 1):
                for subset in combinations(names, size):
                    groups.setdefault(subset, []).append(index)
        self.groups = list(groups)
        rows = np.concatenate([np.full(len(members), row) for row, members in enumerate(groups.values())])
        columns = np.concatenate([np.array(members) for members in groups.values()])
        self.membership = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(groups), len(items)))
        keys = sorted({key for names in items for key, _ in names})
        self.clusters = {
            key: sorted(subset[0] for subset in groups if len(subset) == 1 and subset[0][0] == key)
            for key in keys
        }
        self.within = {
            key: np.array([all(name[0] == key for name in subset) for subset in groups]) for key in keys
        }
        # Pairs of items that share two clusters were counted twice: even subsets are taken away again.
        self.sign = np.array([(-1.0) ** (len(subset) + 1) for subset in groups])
        sizes = np.array([len(members) for members in groups.values()], dtype=float)
        for within in self.within.values():
            # Residuals from the items' own mean are too small: G / (G - 1) for G clusters of equal size.
            tied = float((self.sign * np.square(sizes))[within].sum()) / len(items) ** 2
            self.sign[within] /= max(1.0 - tied, 1.0 / len(items))

    @cached_property
    def draws(self) -> _Draws:
        """The weights of all draws, made when they are first needed."""
        generator = np.random.Generator(np.random.Philox(self.seed))
        counts: dict[tuple[str, str], Array] = {}
        for clusters in self.clusters.values():
            share = np.full(len(clusters), 1 / len(clusters))
            drawn = generator.multinomial(len(clusters), share, self.n_draws)
            counts.update(zip(clusters, drawn.T.astype(float), strict=True))
        weights = np.array([np.prod([counts[name] for name in names], axis=0) for names in self.items])
        # Draws with items in none of the drawn clusters say nothing and are left out.
        kept = weights.sum(0) > 0
        weights = weights[:, kept]
        copies = np.array([np.prod([counts[name] for name in subset], axis=0) for subset in self.groups])
        copies = copies[:, kept]
        inverse = np.divide(1.0, copies, out=np.zeros_like(copies), where=copies > 0)
        return _Draws(weights, weights.sum(0), self.membership @ weights, inverse)

    def _errors(self, squared_sums: Array, squares: Array, total: Array) -> Array:
        """Standard errors of draws.

        A sum by inclusion and exclusion can come out too small by chance: an error is never below that of one
        key alone, nor below that of independent items.

        Args:
            squared_sums: of the residuals in each group (group, draw).
            squares: sum of all squared residuals (draw,).
            total: sum of the weights (draw,).
        """
        signed = self.sign[:, None] * squared_sums
        variance = np.maximum(signed.sum(0), squares)
        for within in self.within.values():
            variance = np.maximum(variance, signed[within].sum(0))
        return np.sqrt(variance) / total

    def interval(self, values: Array, level: float) -> tuple[float, float]:
        """Lower and upper end for values (item,)."""
        mean, n = float(values.mean()), float(len(values))
        residual = values - mean
        squares = np.square(residual)
        squared_sums = np.square(self.membership @ residual)[:, None]
        error = float(self._errors(squared_sums, squares.sum() * n / (n - 1), np.array([n]))[0])
        fewest = min(map(len, self.clusters.values()))
        if fewest < FEWEST_CLUSTERS or n < FEWEST_ITEMS:
            factor = float(student_t.ppf((1 + level) / 2, fewest - 1))
        else:
            factor = max(self._factor(residual, level), self._student(squared_sums[:, 0], error * n, level))
        return mean - factor * error, mean + factor * error

    def _student(self, squared_sums: Array, error: float, level: float) -> float:
        """Student's t with Satterthwaite's degrees of freedom: few where a key with few clusters varies most.

        Args:
            squared_sums: of the residuals in each group (group,).
            error: standard error of the sum of all values.
            level: share of intervals that are to hold the true mean.
        """
        fewest = min(map(len, self.clusters.values())) - 1
        spread = 0.0
        for key, within in self.within.items():
            variance = max(float((self.sign * squared_sums)[within].sum()), 0.0)
            spread += variance**2 / (len(self.clusters[key]) - 1)
        freedom = max(error**4 / spread, fewest) if spread > 0 else fewest
        return float(student_t.ppf((1 + level) / 2, freedom))

    def _factor(self, residual: Array, level: float) -> float:
        """How many of its own standard errors a draw's mean deviates by in a share `level` of all draws."""
        draws = self.draws
        weighted = draws.weights * residual[:, None]
        deviation = weighted.sum(0) / draws.total
        sums = self.membership @ weighted - deviation * draws.group_weights
        # Squared residuals from the draw's own mean, without a matrix of them.
        squares = np.square(residual) @ draws.weights - np.square(deviation) * draws.total
        errors = self._errors(np.square(sums) * draws.inverse_copies, squares, draws.total)
        # Rounding apart, a draw without spread deviates by nothing, or by more than it could know.
        tiny = 1e-12 * float(np.abs(residual).max())
        ratios = np.where(np.abs(deviation) > tiny, np.abs(deviation) / np.maximum(errors, tiny or 1.0), 0.0)
        return float(np.quantile(ratios, level))


_cached_layout = lru_cache(maxsize=16)(_Layout)


def _names(clusters: Sequence[Mapping[str, str]], keys: Sequence[str]) -> tuple[Names, ...]:
    """The clusters of every item as (key, name); an item without any is a cluster of its own."""
    items: list[list[tuple[str, str]]] = []
    for given in clusters:
        names = [
            (key, name) for key in keys if given.get(key) for name in sorted(set(given[key].split(SEPARATOR)))
        ]
        items.append(names)
    # With a single cluster nothing can be said about others like it: what is left is conditional on it.
    single = [key for key in keys if len({name for names in items for name in names if name[0] == key}) == 1]
    items = [[name for name in names if name[0] not in single] for names in items]
    return tuple(tuple(names) or (("item", str(index)),) for index, names in enumerate(items))


def count_clusters(clusters: Sequence[Mapping[str, str]], keys: Sequence[str] = KEYS) -> dict[str, int]:
    """Number of clusters by key; several talkers of an item are counted one by one."""
    found = {
        key: {name for given in clusters if given.get(key) for name in given[key].split(SEPARATOR)}
        for key in keys
    }
    return {key: len(names) for key, names in found.items() if names}


def cluster_interval(
    values: ArrayLike,
    clusters: Sequence[Mapping[str, str]],
    *,
    keys: Sequence[str] = KEYS,
    level: float = 0.95,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Interval:
    """Mean over items and its interval, with talkers and noises as random.

    For paired differences give the differences. Undefined values (NaN) are left out and not counted.

    Args:
        values: (item,).
        clusters: for each item the name of its cluster by key; several talkers are joined by `+`. A key that
            an item lacks does not tie it to others; an item that lacks all of them stands for itself.
        keys: which clusters are resampled. A key with one cluster in all is held fixed: the interval then
            speaks of that talker, or that noise, alone.
        level: share of intervals that are to hold the true mean.
        n_draws: bootstrap draws.
        seed: of the draws; the same seed gives the same interval.

    Returns:
        Mean, ends and number of values; the ends are NaN with fewer than two items or clusters.

    Example:
        >>> cluster_interval([1.0, 2.0, 3.0], [{}, {}, {}]).mean
        2.0
    """
    values = np.asarray(values, dtype=float)
    defined = np.flatnonzero(~np.isnan(values))
    if len(defined) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    values = values[defined]
    mean = float(values.mean())
    known = [clusters[int(index)] for index in defined]
    items, counts = _names(known, keys), count_clusters(known, keys)
    if len(items) < 2 or len({name for names in items for name in names}) < 2:
        return Interval(mean, math.nan, math.nan, len(values), counts)
    make = _cached_layout if len(items) * n_draws <= LARGEST_CACHED else _Layout
    low, high = make(items, n_draws, seed).interval(values, level)
    return Interval(mean, low, high, len(values), counts)
