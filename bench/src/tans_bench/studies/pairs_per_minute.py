"""How many pairs a minute are measured, with and without what those of one task can share.

Tasks take turns, two networks of each at a time, as a strategy that learns names them. Each pair is
measured in both ways, one after the other, in the same process: alone it is loaded by
``Zoo.load_network``, the held-out images are cut, and accuracies measured by
``tans.training.accuracy``; shared it is what ``tans.build.measure.Meter`` does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TypeVar

from tans.build.measure import Meter, accuracies
from tans.networks.batchnorm import folded
from tans.networks.features import functional_embedding, reference_similarities
from tans.tasks.task import Task
from tans.training import accuracy
from tans.types import NetworkRef
from tans.zoo.weights import assemble, calibrated
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results

AT_ONCE = 2
"""Networks of a task that a strategy names in one batch, at most."""
ALONE, SHARED = WAYS = ("alone", "shared")
T = TypeVar("T")
Vector = tuple[float, ...] | None
Measurement = tuple[float | None, float | None, Vector, Vector]


@dataclass
class Watch:
    """Seconds of each step of each task."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def time(self, task: str, step: str, work: Callable[[], T]) -> T:
        """Do the work, and keep how long it took."""
        began = time.perf_counter()
        done = work()
        self.seconds.setdefault(step, {}).setdefault(task, []).append(time.perf_counter() - began)
        return done

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """Medians by step and task, and their mean."""
        found = {}
        for step, by_task in self.seconds.items():
            medians = {task: 1e3 * statistics.median(each) for task, each in by_task.items()}
            medians["mean"] = statistics.fmean(medians.values())
            found[step] = {task: round(value, 1) for task, value in medians.items()}
        return found


@dataclass(frozen=True)
class Pace:
    """Measure pairs in both ways, and time each step."""

    tasks: tuple[str, ...]
    """Source tasks of the zoo."""
    pairs: int = 8
    """Of each task."""
    name: str = "pairs_per_minute"
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        zoo, watch, different = bench.zoo, Watch(), 0
        meter = lru_cache(maxsize=16)(partial(Meter.of, zoo))
        tasks = {name: bench.tasks(name, None) for name in self.tasks}
        for task, architecture in _pairs(zoo, tasks, self.pairs):
            weights = zoo.task(task.name).weights
            alone = watch.time(task.name, ALONE, partial(_alone, zoo, task, architecture))
            of_task = partial(meter, task, weights)
            shared = watch.time(task.name, SHARED, lambda: _of(of_task(), architecture))  # noqa: B023
            different += alone != shared
            _steps(watch, zoo, of_task(), task, architecture)
        return {"pairs": self.pairs * len(tasks), "different_measurements": different} | _paces(
            watch.milliseconds()
        )


def _paces(steps: dict[str, dict[str, float]]) -> dict[str, object]:
    alone, shared = (60e3 / steps.pop(way)["mean"] for way in WAYS)
    return {
        "pairs_per_minute": {ALONE: round(alone, 1), SHARED: round(shared, 1)},
        "ratio": round(shared / alone, 3),
        "steps_ms": steps,
    }


def _pairs(zoo: Zoo, tasks: dict[str, Task], count: int) -> Iterator[tuple[Task, NetworkRef]]:
    """The first networks of each task, tasks by turns."""
    own = {n: [e.ref for e in zoo.entries(vectors=False, task=n)] for n in tasks}
    for start in range(0, count, AT_ONCE):
        for name, task in tasks.items():
            for ref in own[name][start : min(start + AT_ONCE, count)]:
                yield task, ref


def _alone(zoo: Zoo, task: Task, ref: NetworkRef) -> Measurement:
    """As a pair was measured before anything was shared."""
    held_out = [task.split(name, zoo.resolution) for name in ("val", "test")]
    network = zoo.load_network(ref, zoo.task(task.name).supernet, task.name)
    val_accuracy, test_accuracy = (accuracy(network, *split) for split in held_out)
    return (
        val_accuracy,
        test_accuracy,
        tuple(functional_embedding(network).tolist()),
        tuple(reference_similarities(network).tolist()),
    )


def _of(meter: Meter, ref: NetworkRef) -> Measurement:
    entry = meter.entry(ref)
    return entry.val_accuracy, entry.accuracy, entry.functional, entry.similarities


def _steps(watch: Watch, zoo: Zoo, meter: Meter, task: Task, ref: NetworkRef) -> None:
    """Time what is shared, and then what each network needs for itself."""
    lap = partial(watch.time, task.name)
    lap("read_shared", lambda: Meter.of(zoo, task, meter.weights))
    lap("assemble", lambda: assemble(meter.state, ref))
    network = calibrated(meter.state, ref, lambda: meter.thumbnails)
    lap(
        "assemble_and_batch_norm",
        lambda: calibrated(meter.state, ref, lambda: meter.thumbnails),
    )
    lap("fold", lambda: folded(network))
    lap("fold_and_accuracies", lambda: accuracies(network, meter.held_out))
    lap("embed", lambda: functional_embedding(network))
    lap("probe", lambda: reference_similarities(network))


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # one result
    stored = results.read(EXPERIMENT.name)
    if stored is None:
        return []
    paces = stored["pairs_per_minute"]
    caption = (
        f"Of {stored['pairs']} pairs on {stored['threads']} threads, {paces[ALONE]} a minute alone "
        f"and {paces[SHARED]} where those of a task share what they can; "
        f"{stored['different_measurements']} differ. Milliseconds of each step, medians of a task "
        "and their mean."
    )
    steps: Mapping[str, Mapping[str, float]] = stored["steps_ms"]
    tasks = list(next(iter(steps.values())))
    rows = [[step, *(f"{own[task]:.1f}" for task in tasks)] for step, own in steps.items()]
    return [Table("steps", caption, ("step", *tasks), rows)]


EXPERIMENT = Experiment(
    name="pairs_per_minute",
    title="Pairs a minute, alone and sharing",
    question="How much sooner are pairs measured that share what those of a task can?",
    plan=Fixed((Pace(("script-telugu", "script-sinhala", "silhouettes", "textile")),)),
    drawn=draw,
)
