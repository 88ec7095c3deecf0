"""Which pairs of a dataset and an architecture to train next (paper, section 3.3).

A strategy sees a pool of pairs and the accuracies of those that were measured, and names a batch.
It keeps no state of its own, so a construction that was stopped goes on from what is measured.

References:
    Jeong et al., Task-Adaptive Neural Network Search with Meta-Contrastive Learning, NeurIPS 2021,
    equation 7.
    Ginsbourger, Le Riche and Carraro, Kriging Is Well-Suited to Parallelize Optimization, 2010
    (batches by believing the predicted mean).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tans.build.plan.growth import Array, Front
from tans.errors import InputError

Indices = NDArray[np.intp]
PER_DATASET = 2
"""Pairs of one dataset in a batch, at most: what one of them shows may change what to try next."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Pairs of a dataset and an architecture that may be trained; a pair is its row."""

    datasets: Indices
    """(n,), number of each pair's dataset, from 0."""
    costs: Array
    """(n, 2), as of ``tans.build.costing``, normalised as by ``growth.normalised``."""
    features: Array
    """(n, f), what the surrogate is told of each pair."""
    seconds: Array
    """(n,), expected seconds of training each, or in proportion to them."""

    def __post_init__(self) -> None:
        size = len(self.datasets)
        shapes = [a.shape for a in (self.datasets, self.costs, self.features, self.seconds)]
        expected = [(size,), (size, 2), (size, *self.features.shape[1:]), (size,)]
        if not size or shapes != expected or self.features.ndim != 2:
            raise InputError(
                f"a pool of shapes {shapes} was given; expected pairs (n,), (n, 2), (n, f), (n,)"
            )
        if not (self.seconds > 0).all():
            raise InputError("a pair of the pool takes no time; expected seconds above 0")

    def __len__(self) -> int:
        return len(self.datasets)

    @cached_property
    def rows(self) -> tuple[Indices, ...]:
        """Pairs of each dataset."""
        count = int(self.datasets.max()) + 1
        return tuple(np.flatnonzero(self.datasets == dataset) for dataset in range(count))


@dataclass(frozen=True, eq=False)
class Measured:
    """What has been trained so far, in order."""

    pairs: tuple[int, ...] = ()
    accuracies: tuple[float, ...] = ()
    """In [0, 1]."""

    def __post_init__(self) -> None:
        if len(self.pairs) != len(self.accuracies) or len(set(self.pairs)) < len(self.pairs):
            raise InputError(
                f"{len(self.pairs)} pairs with {len(self.accuracies)} accuracies were given; "
                "expected one accuracy for each pair, and each pair once"
            )

    def added(self, pair: int, accuracy: float) -> Measured:
        """With one more."""
        return Measured((*self.pairs, pair), (*self.accuracies, accuracy))

    def open(self, pool: Pool) -> Indices:
        """Pairs of the pool that are not among these, in order."""
        return np.setdiff1d(np.arange(len(pool)), np.array(self.pairs, dtype=np.intp))

    def fronts(self, pool: Pool) -> list[Front]:
        """The Pareto front of each dataset."""
        pairs = np.array(self.pairs, dtype=np.intp)
        accuracies = np.array(self.accuracies)
        own = [pool.datasets[pairs] == dataset for dataset in range(len(pool.rows))]
        return [Front.of(accuracies[rows], pool.costs[pairs[rows]]) for rows in own]


@dataclass(frozen=True)
class Pick:
    """A pair to train."""

    pair: int
    growth: float | None = None
    """What it is expected to add to its dataset's hypervolume; None where nothing was expected."""


class Surrogate(Protocol):
    """Predicts the accuracy of pairs that were not trained."""

    def fit(self, features: Array, accuracies: Array) -> None:
        """Learn from features (n, f) and accuracies (n,)."""
        ...

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean (m,) and standard deviation (m,) of what measuring pairs (m, f) will give."""
        ...


class Strategy(Protocol):
    """A way to choose."""

    def choose(self, pool: Pool, measured: Measured, count: int) -> list[Pick]:
        """At most so many pairs that are not measured, at least one where there are any."""
        ...


@dataclass(frozen=True)
class Grid:
    """All pairs in the order of the pool."""

    def choose(self, pool: Pool, measured: Measured, count: int) -> list[Pick]:
        return [Pick(int(pair)) for pair in measured.open(pool)[:count]]


@dataclass(frozen=True)
class Random:
    """All pairs in one random order."""

    seed: int = 0

    def choose(self, pool: Pool, measured: Measured, count: int) -> list[Pick]:
        order = np.random.default_rng(self.seed).permutation(len(pool))
        is_open = np.isin(order, measured.open(pool))
        return [Pick(int(pair)) for pair in order[is_open][:count]]


@dataclass(frozen=True)
class Pareto:
    """The pairs that are expected to make their datasets' Pareto fronts grow most (equation 7)."""

    surrogate: Surrogate
    per_second: bool = False
    """Growth for each second that a pair takes."""

    def choose(self, pool: Pool, measured: Measured, count: int) -> list[Pick]:
        mean, std = _predicted(self.surrogate, pool, measured)
        worth = 1 / pool.seconds if self.per_second else np.ones(len(pool))
        return _greedy(pool, measured, (mean, std), worth, count)


@dataclass(frozen=True)
class Thompson:
    """The pairs that make the fronts grow most if one draw of every accuracy were true."""

    surrogate: Surrogate
    seed: int = 0

    def choose(self, pool: Pool, measured: Measured, count: int) -> list[Pick]:
        mean, std = _predicted(self.surrogate, pool, measured)
        rng = np.random.default_rng([self.seed, len(measured.pairs)])
        drawn = mean + std * rng.standard_normal(len(pool))
        sure = (drawn, np.zeros(len(pool)))
        return _greedy(pool, measured, sure, np.ones(len(pool)), count)


STRATEGIES: Mapping[str, Callable[[Surrogate, int], Strategy]] = {
    "grid": lambda *_: Grid(),
    "random": lambda _, seed: Random(seed),
    "pareto": lambda surrogate, _: Pareto(surrogate),
    "pareto-per-second": lambda surrogate, _: Pareto(surrogate, per_second=True),
    "thompson": Thompson,
}
"""By name, from a surrogate and a seed."""


def check_strategy(name: str) -> None:
    """Refuse a name that is none of ``STRATEGIES``.

    Raises:
        InputError: it is not.
    """
    if name not in STRATEGIES:
        raise InputError(f"no strategy {name!r}; expected one of {', '.join(STRATEGIES)}")


def first_pairs(pool: Pool, per_dataset: int, seed: int) -> list[int]:
    """Random pairs to start with: so many of each dataset, at most, datasets by turns."""
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(rows)[:per_dataset].tolist() for rows in pool.rows]
    return [own[k] for k in range(per_dataset) for own in drawn if k < len(own)]


def _predicted(surrogate: Surrogate, pool: Pool, measured: Measured) -> tuple[Array, Array]:
    """Mean (n,) and std (n,) of every pair of the pool."""
    if not measured.pairs:
        raise InputError("nothing is measured yet; start with some of first_pairs")
    surrogate.fit(pool.features[list(measured.pairs)], np.array(measured.accuracies))
    return surrogate.predict(pool.features)


def _greedy(
    pool: Pool,
    measured: Measured,
    predicted: tuple[Array, Array],
    worth: Array,
    count: int,
) -> list[Pick]:
    """One pair after another, each by its growth beyond the predicted means of those before.

    So a near-duplicate of a chosen pair is hardly worth anything; only the front of the chosen
    pair's dataset changes, and only its pairs are scored again.
    """
    mean, std = predicted
    fronts = measured.fronts(pool)
    is_open = np.zeros(len(pool), dtype=bool)
    is_open[measured.open(pool)] = True
    growth = np.zeros(len(pool))
    for dataset in range(len(fronts)):
        _score(pool, fronts, dataset, predicted, growth)
    left = np.full(len(fronts), PER_DATASET)
    picks: list[Pick] = []
    while len(picks) < count and (allowed := is_open & (left[pool.datasets] > 0)).any():
        best = _best(np.flatnonzero(allowed), growth * worth, mean)
        dataset = pool.datasets[best]
        picks.append(Pick(best, float(growth[best])))
        is_open[best] = False
        left[dataset] -= 1
        fronts[dataset] = fronts[dataset].with_network(mean[best], pool.costs[best])
        _score(pool, fronts, dataset, (mean, std), growth)
    return picks


def _score(
    pool: Pool,
    fronts: Sequence[Front],
    dataset: int,
    predicted: tuple[Array, Array],
    growth: Array,
) -> None:
    """Write the expected growth of a dataset's pairs into ``growth`` (n,)."""
    rows = pool.rows[dataset]
    mean, std = predicted
    growth[rows] = fronts[dataset].expected_growth(mean[rows], std[rows], pool.costs[rows])


def _best(pairs: Indices, worth: Array, mean: Array) -> int:
    """The pair of highest worth; among equals, as where none adds anything, of highest mean."""
    equals = pairs[worth[pairs] == worth[pairs].max()]
    return int(equals[mean[equals].argmax()])
