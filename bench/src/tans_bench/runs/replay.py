"""Build a zoo again from what is known of it: pairs are looked up instead of trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tans.build.costing import Costing, describe_latency, parse_latency
from tans.build.plan.construct import BATCH, Budget, Outcome, construct
from tans.build.plan.growth import Array, Front, normalised
from tans.build.plan.strategies import STRATEGIES, Pool, Surrogate, first_pairs
from tans.build.plan.surrogate import describe_pairs
from tans.build.spending import seconds_per_network
from tans.costs.latency import LatencyModel, cached_latency
from tans.errors import InputError
from tans.networks.families.elastic.specification import FAMILY
from tans.types import ZooEntry
from tans.zoo.zoo import Zoo
from tans_bench.methods.method import space_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Result, Results

BLIND = "pareto-costs-alone"
"""As ``pareto``, with a surrogate that is not told which network a pair has: costs alone tell
pairs of a task apart."""
NAMES = ("pareto", "pareto-per-second", BLIND, "thompson", "random", "grid")
BY_FLOPS = "pareto-flops"
"""As ``pareto``, by multiply-adds although the hypervolume counts latency."""
ALIKE = {BLIND: "pareto", BY_FLOPS: "pareto"}
"""Strategies that are another one, which is shown something else."""
TIMED = ("pareto", BY_FLOPS, "random")
"""Those that are replayed with latency too."""
START = 2
"""Random pairs of each task that every strategy begins with."""
POINTS = 100
"""Of the curve, at equal shares of all pairs."""
SHARES = (0.95, 0.99, 0.999, 1.0)
"""Of the hypervolume of all pairs."""
SIZES = (0.4, 0.6, 1.0)
"""Limits of a retrieval, as shares of the largest network's multiply-adds or latency."""


@dataclass(frozen=True, eq=False)
class Known:
    """The measured pairs of a zoo.

    What a strategy sees and the hypervolume counts are accuracies on validation images; what a
    retrieval finally gives is judged on test images.
    """

    pool: Pool
    surrogate: Surrogate
    accuracies: Array
    """(n,), validation."""
    test_accuracies: Array
    """(n,)."""
    chances: Array
    """(t,), accuracy of a guess on each task."""

    @classmethod
    def of(cls, zoo: Zoo, costing: Costing | None = None) -> Known:
        """Read a zoo; multiply-adds stand for latency unless another costing is given.

        Raises:
            InputError: none of its networks was measured.
        """
        entries = [e for e in zoo.entries() if None not in (e.accuracy, e.val_accuracy)]
        if not entries:
            raise InputError(f"the zoo in {zoo.path} has no measured networks; build one with some")
        names = sorted({entry.task for entry in entries})
        datasets = np.array([names.index(entry.task) for entry in entries])
        counted = np.array([[e.body_params, e.body_flops] for e in entries], dtype=float)
        costs = _costs(entries, costing or Costing())
        images = [zoo.features(name)[0].numpy() for name in names]
        topology = np.array([entry.topology for entry in entries])
        features, surrogate = describe_pairs(images, datasets, topology, counted)
        return cls(
            Pool(datasets, normalised(costs), features, _seconds(zoo, entries)),
            surrogate,
            np.array([entry.val_accuracy for entry in entries], dtype=float),
            np.array([entry.accuracy for entry in entries], dtype=float),
            np.array([1 / len(zoo.task(name).classes) for name in names]),
        )

    def train(self, pairs: Sequence[int]) -> Iterator[Outcome]:
        """Look pairs up."""
        for pair in pairs:
            yield Outcome(pair, float(self.accuracies[pair]), float(self.pool.seconds[pair]))

    def volumes(self, order: Sequence[int]) -> Array:
        """Share of the hypervolume of all pairs after each of a sequence, mean over tasks (n,)."""
        whole = [Front.of(self.accuracies[rows], self.pool.costs[rows]) for rows in self.pool.rows]
        fronts = [Front.of([], np.zeros((0, 2))) for _ in whole]
        shares, found = np.zeros(len(whole)), np.zeros(len(order))
        for place, pair in enumerate(order):
            task = self.pool.datasets[pair]
            costs, accuracy = self.pool.costs[pair], self.accuracies[pair]
            fronts[task] = fronts[task].with_network(float(accuracy), costs)
            shares[task] = fronts[task].volume / whole[task].volume
            found[place] = shares.mean()
        return found

    def retrieved(self, pairs: Sequence[int]) -> float:
        """Test accuracy of the best of some pairs by validation, mean over tasks and ``SIZES``.

        Among equals the smallest is taken; where nothing is small enough, a guess counts.
        """
        rows = np.array(pairs, dtype=np.intp)
        rows = rows[np.lexsort((rows, self.pool.costs[rows, 1]))]
        found = []
        for task, chance in enumerate(self.chances):
            for size in SIZES:
                fit = rows[(self.pool.datasets[rows] == task) & (self.pool.costs[rows, 1] <= size)]
                best = fit[self.accuracies[fit].argmax()] if len(fit) else None
                found.append(chance if best is None else self.test_accuracies[best])
        return float(np.mean(found))


def _costs(entries: Sequence[ZooEntry], costing: Costing) -> Array:
    """Costs (n, 2) of each pair's network."""
    counted = [entry.body_costs for entry in entries]
    return np.array(
        [costing.of(entry.ref, costs) for entry, costs in zip(entries, counted, strict=True)],
        dtype=float,
    )


def _seconds(zoo: Zoo, entries: Sequence[ZooEntry]) -> NDArray[np.float64]:
    """Seconds (n,) of each pair: as measured on its task, in proportion to multiply-adds."""
    recorded = seconds_per_network(zoo)
    usual = float(np.mean(list(recorded.values()))) if recorded else 1.0
    flops = np.array([entry.body_flops for entry in entries], dtype=float)
    return np.array([recorded.get(e.task, usual) for e in entries]) * flops / flops.mean()


@dataclass(frozen=True)
class Calibrate:
    """What this device charges for latency, once for all replays that are judged by it."""

    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return "construction/latency/charges"

    def done(self, bench: Bench) -> bool:
        stored, zoo = self.found(bench.results), bench.zoo
        about = (space_of(zoo).name, zoo.resolution)
        return stored is not None and (stored.space, stored.resolution) == about

    def run(self, bench: Bench) -> Result:
        return describe_latency(
            cached_latency(FAMILY, space_of(bench.zoo).name, bench.zoo.resolution)
        )

    def found(self, results: Results) -> LatencyModel | None:
        """What was stored; None where it was not run."""
        stored = results.read(self.name)
        return None if stored is None else parse_latency(stored)


@dataclass(frozen=True)
class Replay:
    """One strategy from one start until all pairs are trained."""

    strategy: str
    """One of ``NAMES``, or of ``TIMED`` where latency is counted."""
    seed: int
    task: str = ""
    """None in particular."""
    latency: LatencyModel | None = None
    """What counts beside parameters; multiply-adds when None."""

    @property
    def name(self) -> str:
        folder = "construction" if self.latency is None else "construction/latency"
        return f"{folder}/{self.strategy}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        known = None if stored is None else (stored["zoo"], stored.get("charges"))
        return known == (bench.digest, self._charges)

    def run(self, bench: Bench) -> Result:
        known = Known.of(bench.zoo, Costing(self.latency))
        found = replayed(known, self.strategy, self.seed, self._pool(known, bench))
        charges = {} if self.latency is None else {"charges": self._charges}
        return {"zoo": bench.digest, **charges, **found}

    @property
    def _charges(self) -> Mapping[str, float] | None:
        """By what is charged for, as they are stored."""
        return None if self.latency is None else describe_latency(self.latency)["charges"]

    def _pool(self, known: Known, bench: Bench) -> Pool:
        """As the strategy sees it."""
        if self.strategy == BY_FLOPS:
            return Known.of(bench.zoo).pool
        return known.pool


def replayed(known: Known, strategy: str, seed: int, pool: Pool | None = None) -> Result:
    """What a strategy brings from one start until all pairs are trained.

    Args:
        strategy: one of ``NAMES``, or of ``TIMED``.
        pool: as the strategy is to see it; that of the known pairs when None.
    """
    pool = pool or known.pool
    pool = _blinded(pool) if strategy == BLIND else pool
    chooses = STRATEGIES[ALIKE.get(strategy, strategy)](known.surrogate, seed)
    start = first_pairs(pool, START, seed)
    steps = construct(pool, chooses, known.train, Budget(len(pool)), start=start)
    order = [step.outcome.pair for step in steps]
    return {
        "strategy": strategy,
        "seed": seed,
        "pairs": len(order),
        "start": len(start),
        "batch": BATCH,
        **_curves(known, order),
    }


def _blinded(pool: Pool) -> Pool:
    """The pool without what tells a task's networks apart, apart from their costs."""
    features = pool.features.copy()
    features[:, 1:] = 0
    return replace(pool, features=features)


def _curves(known: Known, order: Sequence[int]) -> Result:
    """At ``POINTS`` shares of all pairs; and how many pairs each of ``SHARES`` took."""
    volumes = known.volumes(order)
    seconds = np.cumsum(known.pool.seconds[list(order)])
    counts = [round(len(order) * (k + 1) / POINTS) for k in range(POINTS)]
    counts = sorted({max(count, 1) for count in counts})
    reached = {str(share): int((volumes < share - 1e-9).sum()) + 1 for share in SHARES}
    return {
        "counts": counts,
        "volume": [round(float(volumes[count - 1]), 5) for count in counts],
        "accuracy": [round(known.retrieved(order[:count]), 5) for count in counts],
        "time": [round(float(seconds[count - 1] / seconds[-1]), 4) for count in counts],
        "reached": reached,
        "reached_time": {
            share: round(float(seconds[count - 1] / seconds[-1]), 4)
            for share, count in reached.items()
        },
    }
