"""How long it takes to say which pair to train next, for zoos of growing size.

    OMP_NUM_THREADS=1 python bench/studies/growth.py

``results/growth.json`` has, for each number of pairs, 100 networks a task, and each number of those
measured so far, the seconds of: scoring all pairs by their expected growth, the fronts included;
naming a batch, which is to fit the surrogate again, predict, and score; fitting it for the first
time, when its variances are found too; fitting it again; and predicting. Accuracies are made up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np

from common import RESULTS, environment
from tans.build.plan.construct import BATCH
from tans.build.plan.growth import Array, normalised
from tans.build.plan.strategies import Measured, Pareto, Pool, first_pairs
from tans.build.plan.surrogate import describe_pairs

NETWORKS = 100
TOPOLOGY = 36
SIZES = (24, 140)
SHARES = (0.02, 0.18)
REPEATS = 3


def main() -> None:
    lines = [_measured(tasks, share) for tasks in SIZES for share in SHARES]
    text = json.dumps({"runs": lines, **environment()}, indent=1)
    (RESULTS / "growth.json").write_text(text + "\n")
    print(text)


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


if __name__ == "__main__":
    main()
