"""A made-up pool in which accuracies are known, and a made-up device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tans.build.plan.construct import Outcome
from tans.build.plan.growth import Array, normalised
from tans.build.plan.strategies import Pool
from tans.costs.latency import LatencyModel
from tans.networks.family import WORKLOAD


@dataclass(frozen=True, eq=False)
class Landscape:
    """A pool, and what measuring each pair gives."""

    pool: Pool
    accuracies: Array
    """(n,)."""

    def train(self, pairs: Sequence[int]) -> Iterator[Outcome]:
        for pair in pairs:
            yield Outcome(pair, float(self.accuracies[pair]), float(self.pool.seconds[pair]))


class Oracle:
    """A surrogate that knows every accuracy up to a std; the last feature is the pair's number."""

    def __init__(self, accuracies: Array, std: float = 0.01) -> None:
        self.accuracies, self.std = accuracies, std

    def fit(self, features: Array, accuracies: Array) -> None:
        assert np.allclose(self.accuracies[features[:, -1].astype(int)], accuracies)

    def predict(self, features: Array) -> tuple[Array, Array]:
        return self.accuracies[features[:, -1].astype(int)], np.full(len(features), self.std)


def landscape(datasets: int = 3, networks: int = 20, seed: int = 0) -> Landscape:
    """Larger networks are a little better on the whole."""
    rng = np.random.default_rng(seed)
    count = datasets * networks
    numbers = np.repeat(np.arange(datasets), networks)
    costs = normalised(rng.uniform(0.3, 1.0, (count, 2)))
    level = rng.uniform(0.4, 0.8, datasets)
    noise = rng.normal(0, 0.03, count)
    accuracies = (level[numbers] + 0.1 * costs.mean(1) + noise).clip(0, 1)
    features = np.column_stack([numbers, costs, np.arange(count)]).astype(float)
    return Landscape(Pool(numbers, costs, features, costs[:, 1]), accuracies)


def charging(resolution: int = 64, **charges: float) -> LatencyModel:
    """A device that charges so much for what is named, and nothing for all else."""
    each = tuple(charges.get(name, 0.0) for name in WORKLOAD)
    return LatencyModel("lite0", resolution, each, 0.02, (("lite0:a", 1.0), ("lite0:b", 2.0)))
