"""How many pairs a minute are measured, with and without what those of one task can share.

    OMP_NUM_THREADS=1 python bench/studies/pairs_per_minute.py [--tasks NAME ...] [--pairs N]

Tasks are of the shipped zoo and take turns, two networks of each at a time, as a strategy that
learns names them. Each pair is measured in both ways, one after the other, in the same process.
``alone`` loads the network by ``Zoo.load_subnet``, cuts the held-out images, and measures by
``tans.training.accuracy``; ``shared`` is ``tans.build.measure.Meter``.
``results/pairs_per_minute.json`` has pairs a minute from the mean over tasks of their medians, and
what each step takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial

from common import RESULTS, environment
from tans.build.measure import Meter, accuracies
from tans.networks.batchnorm import folded
from tans.networks.features import functional_embedding, probe_similarities
from tans.tasks.task import Task
from tans.training import accuracy
from tans.types import Architecture
from tans.zoo.weights import assemble, calibrated
from tans.zoo.zoo import Zoo
from tans_bench.sources.registry import fetch

TASKS = ("script-telugu", "script-sinhala", "silhouettes", "textile")
AT_ONCE = 2
"""Networks of a task that a strategy names in one batch, at most."""
Measurement = tuple[float | None, float | None, tuple[float, ...], tuple[float, ...]]


@dataclass
class Watch:
    """Seconds of each step of each task."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def time(self, task: str, step: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        self.seconds.setdefault(step, {}).setdefault(task, []).append(time.perf_counter() - began)

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """Medians by step and task, and their mean."""
        found = {}
        for step, by_task in self.seconds.items():
            medians = {task: 1e3 * statistics.median(each) for task, each in by_task.items()}
            medians["mean"] = statistics.fmean(medians.values())
            found[step] = {task: round(value, 1) for task, value in medians.items()}
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--pairs", type=int, default=8, help="of each task")
    given = parser.parse_args()
    zoo, watch = Zoo.open(), Watch()
    meter = lru_cache(maxsize=16)(partial(Meter.of, zoo))
    tasks = {name: fetch(name) for name in given.tasks}
    different = 0
    for task, architecture in _pairs(zoo, tasks, given.pairs):
        weights, found = zoo.task(task.name).weights, list[Measurement]()
        watch.time(task.name, "alone", lambda: found.append(_alone(zoo, task, architecture)))  # noqa: B023
        watch.time(
            task.name,
            "shared",
            lambda: found.append(_of(meter(task, weights), architecture)),  # noqa: B023
        )
        different += found[0] != found[1]
        _steps(watch, zoo, meter(task, weights), task, architecture)
    steps = watch.milliseconds()
    alone, shared = (60e3 / steps.pop(way)["mean"] for way in ("alone", "shared"))
    result = {
        "pairs": given.pairs * len(tasks),
        "different_measurements": different,
        "pairs_per_minute": {"alone": round(alone, 1), "shared": round(shared, 1)},
        "ratio": round(shared / alone, 3),
        "steps_ms": steps,
        **environment(),
    }
    (RESULTS / "pairs_per_minute.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _pairs(zoo: Zoo, tasks: dict[str, Task], count: int) -> Iterator[tuple[Task, Architecture]]:
    """The first networks of each task, tasks by turns."""
    own = {n: [e.architecture for e in zoo.entries(vectors=False, task=n)] for n in tasks}
    for start in range(0, count, AT_ONCE):
        for name, task in tasks.items():
            for architecture in own[name][start : min(start + AT_ONCE, count)]:
                yield task, architecture


def _alone(zoo: Zoo, task: Task, architecture: Architecture) -> Measurement:
    """As a pair was measured before anything was shared."""
    held_out = [task.split(name, zoo.resolution) for name in ("val", "test")]
    network = zoo.load_subnet(task.name, zoo.task(task.name).weights, architecture)
    val_accuracy, test_accuracy = (accuracy(network, *split) for split in held_out)
    return (
        val_accuracy,
        test_accuracy,
        tuple(functional_embedding(network, zoo.resolution).tolist()),
        tuple(probe_similarities(network, zoo.resolution).tolist()),
    )


def _of(meter: Meter, architecture: Architecture) -> Measurement:
    entry = meter.entry(architecture)
    return entry.val_accuracy, entry.accuracy, entry.functional, entry.similarities


def _steps(watch: Watch, zoo: Zoo, meter: Meter, task: Task, architecture: Architecture) -> None:
    """Time what is shared, and then what each network needs for itself."""
    lap = partial(watch.time, task.name)
    lap("read_shared", lambda: Meter.of(zoo, task, meter.weights))
    lap("assemble", lambda: assemble(meter.state, meter.space, architecture))
    network = calibrated(meter.state, meter.space, architecture, lambda: meter.thumbnails)
    lap(
        "assemble_and_batch_norm",
        lambda: calibrated(meter.state, meter.space, architecture, lambda: meter.thumbnails),
    )
    lap("fold", lambda: folded(network))
    lap("fold_and_accuracies", lambda: accuracies(network, meter.held_out))
    lap("embed", lambda: functional_embedding(network, meter.resolution))
    lap("probe", lambda: probe_similarities(network, meter.resolution))


if __name__ == "__main__":
    main()
