"""What a Ray cluster gains here, and what it would with a thousand workers.

    python bench/studies/ray_speedup.py [--pairs N] [--workers 1 2] [--again]

Measures, of the shipped zoo: pairs a minute in this process and on a Ray of each number of workers
of one thread, after a first round in which the workers start and read; and what each step of a
build costs. From these it simulates builds on up to 1,000 workers (``ray_simulation.py``).
``results/ray_speedup.json`` is written after each part, and a part that is there is not measured
again.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from common import RESULTS, environment
from ray_simulation import Costs, Scale, simulate
from tans.build.cluster import Cluster, Resources, connected
from tans.build.crew import Candidate, Crew, Here
from tans.build.measure import Meter, held_out
from tans.build.workers import Listener
from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tans_bench.sources.registry import fetch

RESULT = RESULTS / "ray_speedup.json"
TASKS = ("script-telugu", "script-sinhala", "silhouettes", "textile")
COMMITS = (8, 256)
REPEATS = 5
NOTHINGS = 400
"""Pieces of work that do nothing, to time handing them out."""
FINE_TUNED = 60.0
"""Seconds of a pair that is fine-tuned rather than measured."""
PLANS = ((0.28, 0), (1, 0), (2, 0), (1, 1))
"""Pairs of a batch for each worker, and batches that are named ahead. The first is what two pairs
of each of 140 tasks make for 1,000 workers."""
CLUSTERS = ((1, 1), (2, 1), (10, 1), (100, 10), (1000, 100))
"""Workers and nodes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--again", action="store_true", help="measure all parts anew")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {} if given.again or not RESULT.exists() else json.loads(RESULT.read_text())
    zoo = Zoo.open()
    tasks = [fetch(name) for name in TASKS]
    candidates = _candidates(zoo, tasks, given.pairs)
    parts: dict[str, Callable[[], Any]] = {
        "here": lambda: _speed(Here(), zoo, candidates),
        **{
            f"ray_{n}": lambda n=n: _on_ray(n, lambda crew: _speed(crew, zoo, candidates))
            for n in given.workers
        },
        "hand_out_s": lambda: _on_ray(1, _hand_out),
        "commit_s": lambda: _commits(zoo),
        "steps": lambda: _steps(zoo, tasks, candidates),
        "environment": environment,
    }
    for name, measure in parts.items():
        if name not in found:
            found[name] = measure()
            _write(found)
    found["speedup"] = {
        n: round(found[f"ray_{n}"]["pairs_per_minute"] / found["ray_1"]["pairs_per_minute"], 3)
        for n in given.workers
        if "ray_1" in found
    }
    costs = _costs(found)
    found["costs"] = asdict(replace(costs, pair_s=[statistics.fmean(costs.pair_s)]))
    found["simulated"] = list(_simulated(costs))
    _write(found)
    print(json.dumps(found, indent=1))


def _candidates(zoo: Zoo, tasks: Sequence[Task], count: int) -> list[Candidate]:
    """Networks of the zoo, tasks by turns."""
    own = {t.name: zoo.entries(vectors=False, task=t.name) for t in tasks}
    return [
        Candidate(e.id, task, e.weights, e.architecture, zoo.space.costs(e.architecture, 0, 64))
        for k in range(count // len(tasks))
        for task in tasks
        for e in [own[task.name][k]]
    ]


def _speed(crew: Crew, zoo: Zoo, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Seconds of all pairs, the second time that they are measured."""
    began = time.perf_counter()
    list(crew.measure(zoo, candidates))
    first = time.perf_counter() - began
    began = time.perf_counter()
    seconds = [done.seconds for done in crew.measure(zoo, candidates)]
    total = time.perf_counter() - began
    return {
        "pairs": len(candidates),
        "first_round_s": round(first, 2),
        "pairs_per_minute": round(60 * len(candidates) / total, 1),
        "pair_s": [round(each, 3) for each in seconds],
    }


def _on_ray(workers: int, measure: Callable[[Cluster], Any]) -> Any:
    """On a Ray of so many workers of one thread."""
    with _started(workers), connected("auto", Resources()) as crew:
        return measure(crew)


@contextmanager
def _started(workers: int) -> Iterator[None]:
    import ray

    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def _nothing(_: object, *, on_progress: Listener | None) -> None:
    """Work that costs only what handing it out does."""


def _hand_out(crew: Cluster) -> float:
    """Seconds of handing a piece of work out and taking its result in."""
    items = list(range(NOTHINGS))
    crew.side_by_side(_nothing, items)  # the workers start
    began = time.perf_counter()
    crew.side_by_side(_nothing, items)
    return round((time.perf_counter() - began) / NOTHINGS, 5)


def _commits(zoo: Zoo) -> dict[str, float]:
    """Seconds of adding so many entries in one commit; the median of some."""
    entries, found = zoo.entries(), {}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(zoo.path, Path(folder) / "zoo")
        copy = Zoo.open(Path(folder) / "zoo")
        for count in COMMITS:
            seconds = []
            for k in range(REPEATS):
                # of other ids, as new pairs have
                rows = [replace(e, id=f"{e.id}-{count}-{k}") for e in entries[:count]]
                began = time.perf_counter()
                copy.add_entries(rows)
                seconds.append(time.perf_counter() - began)
            found[str(count)] = round(statistics.median(seconds), 4)
    return found


def _steps(zoo: Zoo, tasks: Sequence[Task], candidates: Sequence[Candidate]) -> dict[str, float]:
    """Seconds of reading what a task's pairs share, and bytes of what is sent."""
    seconds, read = [], []
    for task in tasks:
        stored = zoo.task(task.name)
        began = time.perf_counter()
        meter = Meter.of(Zoo.open(zoo.path), task, stored.weights)  # with an empty cache
        seconds.append(time.perf_counter() - began)
        names = [("weights", stored.weights), ("sheets", stored.sheet)]
        read.append(sum(len(zoo.files.get(folder, digest)) for folder, digest in names if digest))
    first = candidates[0]
    images = [len(pickle.dumps(held_out(task, zoo.resolution))) for task in tasks]
    sent = len(pickle.dumps((zoo.path, first.weights, first.architecture)))
    return {
        "read_s": round(statistics.median(seconds), 4),
        "read_bytes": round(statistics.fmean(read)),
        "images_bytes": round(statistics.fmean(images)),
        "pair_bytes": sent + len(pickle.dumps(meter.entry(first.architecture))),
    }


def _costs(found: dict[str, Any]) -> Costs:
    """What was measured, with the choosing that ``growth.py`` measured."""
    runs = json.loads((RESULTS / "growth.json").read_text())["runs"]
    run = max(runs, key=lambda run: (run["pairs"], run["measured"]))
    few, many = (found["commit_s"][str(count)] for count in COMMITS)
    row = max((many - few) / (COMMITS[1] - COMMITS[0]), 0.0)
    return Costs(
        pair_s=found["ray_1" if "ray_1" in found else "here"]["pair_s"],
        choose_s=run["batch_s"],
        choose_more_s=run["score_s"] / (run["pairs"] / 100),  # one dataset is scored again
        hand_out_s=found["hand_out_s"],
        commit_s=few - COMMITS[0] * row,
        commit_row_s=row,
        **{name: found["steps"][name] for name in found["steps"]},
    )


def _simulated(costs: Costs) -> Iterator[dict[str, Any]]:
    slower = FINE_TUNED / statistics.fmean(costs.pair_s)
    for workers, nodes in CLUSTERS:
        for name, times in (("measured", 1.0), ("fine-tuned", slower)):
            plans = {(max(8, int(share * workers)), ahead) for share, ahead in PLANS}
            for batch, ahead in sorted(plans):
                scale = Scale(workers, nodes, batch=batch, ahead=ahead, slower=times)
                numbers = {k: float(f"{v:.4g}") for k, v in simulate(costs, scale).items()}
                yield {"pair": name, **asdict(scale), **numbers}


def _write(found: dict[str, Any]) -> None:
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
