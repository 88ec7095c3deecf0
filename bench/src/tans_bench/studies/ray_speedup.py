"""What a Ray cluster gains here, and what it would with a thousand workers.

Measured are pairs a minute in this process and on a Ray of each number of workers of one thread,
after a first round in which the workers start and read; and what each step of a build costs. From
these, builds on up to 1,000 workers are simulated (``ray_simulation``).
"""

from __future__ import annotations

import pickle
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tans.build.cluster import Cluster, Resources, connected
from tans.build.crew import Candidate, Crew, Here, Listener
from tans.build.measure import Meter, held_out
from tans.errors import MissingExtraError
from tans.networks.family import describe
from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.results import Result, Results
from tans_bench.studies.growth import Growth
from tans_bench.studies.ray_simulation import Costs, Scale, simulate

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


@dataclass(frozen=True)
class SpeedUp:
    """Measure pairs a minute and the steps of a build, and simulate builds from them."""

    tasks: tuple[str, ...]
    """Source tasks of the zoo."""
    pairs: int = 48
    workers: tuple[int, ...] = (1, 2)
    """The first is what the others are compared with."""
    name: str = "ray_speedup"
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        growth = bench.results.read(Growth().name)
        tasks = [bench.tasks(name, None) for name in self.tasks]
        found = self._measured(bench.zoo, tasks)
        first = found[f"ray_{self.workers[0]}"]
        costs = _costs(found, first["pair_s"], growth["runs"] if growth else [])
        return {
            **found,
            "speedup": {
                str(n): round(found[f"ray_{n}"]["pairs_per_minute"] / first["pairs_per_minute"], 3)
                for n in self.workers
            },
            "costs": asdict(replace(costs, pair_s=[statistics.fmean(costs.pair_s)])),
            "simulated": list(_simulated(costs)),
        }

    def _measured(self, zoo: Zoo, tasks: Sequence[Task]) -> dict[str, Any]:
        candidates = _candidates(zoo, tasks, self.pairs)
        return {
            "here": _speed(Here(), zoo, candidates),
            **{
                f"ray_{n}": _on_ray(n, lambda crew: _speed(crew, zoo, candidates))
                for n in self.workers
            },
            "hand_out_s": _on_ray(1, _hand_out),
            "commit_s": _commits(zoo),
            "steps": _steps(zoo, tasks, candidates),
        }


@dataclass(frozen=True)
class SpeedUps:
    """A plan: the seconds of choosing first, from which the simulation is made too."""

    growth: Growth
    speedup: SpeedUp

    def jobs(self, bench: Bench) -> Sequence[Job]:
        return [self.growth, *([self.speedup] if self.growth.done(bench) else [])]

    def scaled(self, preset: str) -> SpeedUps:
        del preset
        return self


def _candidates(zoo: Zoo, tasks: Sequence[Task], count: int) -> list[Candidate]:
    """Networks of the zoo, tasks by turns."""
    own = {t.name: zoo.entries(vectors=False, task=t.name) for t in tasks}
    return [
        Candidate(e.id, task, e.weights, e.ref, describe(e.ref).costs(0))
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
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray") from error
    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def _nothing(item: int, *, on_progress: Listener | None) -> None:
    """Work that costs only what handing it out does."""
    del item, on_progress


def _hand_out(crew: Cluster) -> float:
    """Seconds of handing a piece of work out and taking its result in."""
    items = list(range(NOTHINGS))
    list(crew.each(_nothing, items))  # the workers start
    began = time.perf_counter()
    list(crew.each(_nothing, items))
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
        meter = Meter.of(Zoo.open(zoo.path), task, stored.supernet)  # with an empty cache
        seconds.append(time.perf_counter() - began)
        names = [("weights", stored.weights), ("sheets", stored.sheet)]
        read.append(sum(len(zoo.files.get(folder, digest)) for folder, digest in names if digest))
    first = candidates[0]
    images = [len(pickle.dumps(held_out(task, zoo.resolution))) for task in tasks]
    sent = len(pickle.dumps((zoo.path, first.weights, first.ref)))
    return {
        "read_s": round(statistics.median(seconds), 4),
        "read_bytes": round(statistics.fmean(read)),
        "images_bytes": round(statistics.fmean(images)),
        "pair_bytes": sent + len(pickle.dumps(meter.entry(first.ref))),
    }


def _costs(
    found: Mapping[str, Any], pair_s: Sequence[float], growth: Sequence[Mapping[str, float]]
) -> Costs:
    """What was measured, with the choosing among the most pairs."""
    run = max(growth, key=lambda run: (run["pairs"], run["measured"]))
    few, many = (found["commit_s"][str(count)] for count in COMMITS)
    row = max((many - few) / (COMMITS[1] - COMMITS[0]), 0.0)
    return Costs(
        pair_s=pair_s,
        choose_s=run["batch_s"],
        choose_more_s=run["score_s"] / (run["pairs"] / 100),  # one dataset is scored again
        hand_out_s=found["hand_out_s"],
        commit_s=few - COMMITS[0] * row,
        commit_row_s=row,
        **found["steps"],
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


def draw(plan: SpeedUps, results: Results) -> Sequence[Drawing]:
    del plan  # one result
    stored = results.read(EXPERIMENT.name)
    if stored is None:
        return []
    return [_measurements(stored), _sent(stored), _simulations(stored["simulated"])]


def _measurements(stored: Result) -> Table:
    places = {"here": "this process"} | {
        f"ray_{n}": f"Ray, {n} worker{'s' * (n != '1')}" for n in stored["speedup"]
    }
    rows = [
        [title, *(f"{stored[place][key]:.1f}" for key in ("pairs_per_minute", "first_round_s"))]
        for place, title in places.items()
    ]
    caption = (
        f"{stored['here']['pairs']} pairs, the second time that they are measured, and the seconds "
        "of the first, in which workers start and read."
    )
    return Table("measured", caption, ("place", "pairs a minute", "first round (s)"), rows)


def _sent(stored: Result) -> Table:
    """What the simulation is made of."""
    steps = stored["steps"]
    milliseconds = {
        "a pair handed out and taken in (ms)": stored["hand_out_s"],
        "a batch named (ms)": stored["costs"]["choose_s"],
        **{f"a commit of {n} entries (ms)": s for n, s in stored["commit_s"].items()},
    }
    rows = [[what, f"{1e3 * seconds:.1f}"] for what, seconds in milliseconds.items()]
    rows += [
        ["networks and thumbnails of a task (MB)", f"{steps['read_bytes'] / 1e6:.1f}"],
        ["held-out images of a task (MB)", f"{steps['images_bytes'] / 1e6:.1f}"],
        ["a pair and its entry (kB)", f"{steps['pair_bytes'] / 1e3:.0f}"],
    ]
    caption = "What a step takes and sends, which builds are simulated from."
    return Table("steps", caption, ("step", "measured"), rows)


def _simulations(simulated: Sequence[Result]) -> Table:
    rows = [
        [
            run["pair"],
            *(str(run[key]) for key in ("workers", "nodes", "batch", "ahead")),
            f"{run['pairs_per_s']:.2f}",
            *(f"{run[key]:.0%}" for key in ("workers_busy", "driver_busy")),
        ]
        for run in simulated
    ]
    caption = (
        f"Simulated builds of {simulated[0]['pairs']} pairs of {simulated[0]['tasks']} tasks: "
        f"pairs that are measured alone, or fine-tuned for {FINE_TUNED:.0f} s, and batches that "
        "are named ahead of the last result."
    )
    columns = (
        *("pair", "workers", "nodes", "batch", "ahead", "pairs a second"),
        *("workers busy", "driver busy"),
    )
    return Table("simulated", caption, columns, rows)


EXPERIMENT = Experiment(
    name="ray_speedup",
    title="Pairs a minute on Ray workers",
    question="What does a Ray cluster gain here, and what would it with a thousand workers?",
    plan=SpeedUps(Growth(), SpeedUp(("script-telugu", "script-sinhala", "silhouettes", "textile"))),
    drawn=draw,
)
