"""How long it takes to say which pair to train next, for zoos of growing size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tans.build.plan.construct import BATCH
from tans.build.plan.growth import Array, normalised
from tans.build.plan.strategies import Measured, Pareto, Pool, first_pairs
from tans.build.plan.surrogate import describe_pairs
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results

NETWORKS = 100
"""Of a task."""
TOPOLOGY = 36
REPEATS = 3
STEPS = {
    "score_s": "scoring (s)",
    "batch_s": "naming a batch (s)",
    "first_fit_s": "first fit (s)",
    "fit_s": "fit (s)",
    "predict_s": "predicting (s)",
}


@dataclass(frozen=True)
class Growth:
    """Time each step of choosing among made-up pairs."""

    tasks: tuple[int, ...] = (24, 140)
    shares: tuple[float, ...] = (0.02, 0.18)
    """Of the pairs that are measured so far."""
    name: str = "growth"
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        del bench  # accuracies are made up
        return {"runs": [_measured(n, share) for n in self.tasks for share in self.shares]}


def _measured(tasks: int, share: float) -> dict[str, float]:
    """Seconds of each step; the least of ``REPEATS``, as other work can only add to it."""
    rng = np.random.default_rng(0)
    count = tasks * NETWORKS
    numbers, topology = np.repeat(np.arange(tasks), NETWORKS), rng.normal(size=(count, TOPOLOGY))
    raw = rng.uniform(0.3, 1.0, (count, 2))
    features, surrogate = describe_pairs(
        [rng.normal(size=(20, 64)) for _ in range(tasks)], numbers, topology, raw
    )
    pool = Pool(numbers, normalised(raw), features, raw[:, 1])
    level = rng.uniform(0.3, 0.9, tasks)[numbers]
    accuracies = (level + 0.1 * raw.mean(1) + rng.normal(0, 0.02, count)).clip(0, 1)
    pairs = first_pairs(pool, round(share * NETWORKS), seed=0)
    known = Measured(tuple(pairs), tuple(accuracies[pairs].tolist()))
    given = (features[pairs], accuracies[pairs])
    first = _seconds(lambda: surrogate.fit(*given), 1)
    return {
        "pairs": count,
        "measured": len(pairs),
        "score_s": _seconds(_scoring(pool, known, surrogate.predict(features))),
        "batch_s": _seconds(lambda: Pareto(surrogate).choose(pool, known, BATCH)),
        "first_fit_s": first,
        "fit_s": _seconds(lambda: surrogate.fit(*given)),
        "predict_s": _seconds(lambda: surrogate.predict(features)),
    }


def _scoring(pool: Pool, known: Measured, predicted: tuple[Array, Array]) -> Callable[[], None]:
    mean, std = predicted

    def score() -> None:
        for rows, front in zip(pool.rows, known.fronts(pool), strict=True):
            front.expected_growth(mean[rows], std[rows], pool.costs[rows])

    return score


def _seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return round(min(found), 4)


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # one result
    stored = results.read(Growth().name)
    if stored is None:
        return []
    rows = [
        [str(run["pairs"]), str(run["measured"]), *(f"{run[step]:.4f}" for step in STEPS)]
        for run in stored["runs"]
    ]
    caption = (
        f"Least of {REPEATS} times on {stored['threads']} threads, {NETWORKS} networks a task, "
        "accuracies made up: scoring all pairs by their expected growth, the fronts included; "
        f"naming a batch of {BATCH}, which is to fit the surrogate again, predict, and score; "
        "fitting it for the first time, when its variances are found too, and again; predicting."
    )
    return [Table("seconds", caption, ("pairs", "measured", *STEPS.values()), rows)]


EXPERIMENT = Experiment(
    name="growth",
    title="Seconds of naming the next pairs",
    question="How long does it take to say which pair to train next, in zoos of growing size?",
    plan=Fixed((Growth(),)),
    drawn=draw,
)
