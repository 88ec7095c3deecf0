"""Is a user better off with the match? Every method's network, fine-tuned on unseen tasks.

    python benchmarks/answers.py run --role dev --workers 2
    python benchmarks/answers.py report

A method names a stored network for a task; runs are kept by network, so methods that agree share
them. Each task has 300 training images, and its own validation and test splits. Choices go to
``results/answers/TASK.json``, runs to ``results/answers.jsonl``; what is there is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import random
import statistics
import time
from collections.abc import Sequence
from functools import partial

import torch

import answers_report
from common import RESULTS, Ledger, Line, environment
from tans.search import SearchResult, search
from tans.spaces.embedding import image_features
from tans.spaces.network import Network
from tans.spaces.probe import logme, probe_accuracy
from tans.tasks.sources.registry import fetch, sources
from tans.tasks.task import Task
from tans.training import Recipe, accuracy, adapted_features, finetune, fit_head
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.store import QUERY_IMAGES, Zoo
from tans.zoo.workers import BuildProgress, Listener, side_by_side

RUNS = Ledger("answers.jsonl")
CHOICES = RESULTS / "answers"
LOOKS = RESULTS / "sealed_looks.jsonl"
TRAIN_IMAGES = 300
EPOCHS = Recipe.epochs
LENGTHS = {
    "match": (0, 1, EPOCHS, 10),
    "imagenet": (0, 1, EPOCHS, 10),
    "elastic base": (EPOCHS,),
}
"""Epochs of the main methods; 0 is the fitted head alone."""
LONG = 50
"""Epochs of the ImageNet network on siblings, which the match should reach within five."""
HIGHER = {"imagenet 128 px": (EPOCHS,), "imagenet 224 px": (0, 1)}
"""Epochs of the ImageNet network at higher resolutions, where one image costs 4 and 12 times as
much, at the first seed."""
SHORT = 3
"""Epochs of the match under limits, beside the whole length, to compare at equal seconds."""
LIMITS = {"1M": 1e6, "2M": 2e6, "3M": 3e6}
SEEDS = (0, 1, 2)
SCREENED = 4
"""Networks that the probes put first, all of which are fine-tuned to find the best."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One fine-tune."""

    entry: str
    epochs: int
    seed: int
    fit_head: bool = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("do", choices=("run", "report"))
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    parser.add_argument("--role", choices=("dev", "sealed"), default="dev")
    parser.add_argument("--tasks", nargs="*", help="some of the role's tasks")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.do == "run":
        names = arguments.tasks or [s.name for s in sources() if s.role == arguments.role]
        if arguments.role == "sealed":
            _log_look(names)
        for seed in SEEDS[: arguments.seeds]:  # all tasks at one seed before the next
            work = partial(run_task, arguments.zoo, seed)
            side_by_side(work, names, arguments.workers, _show)
        siblings = [name for name in names if name.startswith(answers_report.SIBLINGS)]
        side_by_side(partial(run_long, arguments.zoo), siblings, arguments.workers, _show)
    answers_report.write()


def run_task(
    zoo_path: str | None, seed: int, name: str, *, on_progress: Listener | None = None
) -> None:
    """Choose each method's network for a task, and fine-tune those whose runs are not stored."""
    zoo = Zoo.open(zoo_path)
    task = fetch(name).limited(TRAIN_IMAGES)
    chosen = _choices(zoo, task)
    jobs = _jobs(zoo, chosen, seed)
    for count, job in enumerate(jobs, 1):
        _measure(zoo, task, job)
        if on_progress:
            on_progress(BuildProgress(name, f"seed {seed}", count, len(jobs)))


def run_long(zoo_path: str | None, name: str, *, on_progress: Listener | None = None) -> None:
    """Fine-tune the ImageNet network for long, after all else."""
    zoo = Zoo.open(zoo_path)
    task = fetch(name).limited(TRAIN_IMAGES)
    _measure(zoo, task, Job(_choices(zoo, task)["methods"]["imagenet"], LONG, SEEDS[0]))
    if on_progress:
        on_progress(BuildProgress(name, "long", LONG, LONG))


def _jobs(zoo: Zoo, chosen: Line, seed: int) -> list[Job]:
    """The main methods at every length, all others at the whole one; the dear at one seed."""
    methods: dict[str, str] = chosen["methods"]
    main = [Job(methods[name], n, seed) for name, lengths in LENGTHS.items() for n in lengths]
    random_head = Job(methods["imagenet"], EPOCHS, seed, fit_head=False)
    within = [Job(methods[f"match {name}"], SHORT, seed) for name in LIMITS]
    all_others = [Job(id, EPOCHS, seed) for id in (*methods.values(), *chosen["screened"])]
    dear = [job for job in all_others if zoo.entry(job.entry).resolution > zoo.resolution]
    others = [job for job in all_others if job not in dear]
    higher = [Job(methods[name], n, seed) for name, lengths in HIGHER.items() for n in lengths]
    at_any_cost = Job(methods["match at any cost"], EPOCHS, seed)
    first = () if seed else (*higher, at_any_cost)
    return list(dict.fromkeys([*main, random_head, *others, *within, *first]))


def _choices(zoo: Zoo, task: Task) -> Line:
    """What each method takes, from the file where it is there."""
    path = CHOICES / f"{task.name}.json"
    if not path.exists():
        found = {"environment": environment(), **_describe(task), **choose(zoo, task)}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    return json.loads(path.read_text())


def _describe(task: Task) -> Line:
    labels = task.split("test", 64)[1]
    return {
        "family": task.card.family,
        "classes": len(task.classes),
        "majority": torch.bincount(labels).max().item() / len(labels),
        "test_images": len(labels),
    }


def choose(zoo: Zoo, task: Task) -> Line:
    """Every method's network for a task, without a single fine-tune."""
    kinds = Sources.of(zoo)
    at_zoo = [*kinds.largest.values(), kinds.base, kinds.whole[0]]
    scores = {entry.id: _scores(zoo, task, entry) for entry in at_zoo}
    by_probe = sorted(scores, key=lambda id: -scores[id]["probe"])
    # no dearer than ImageNet's network at the zoo's resolution, so that epochs compare
    most = zoo.space.costs(zoo.space.largest, len(task.classes), zoo.resolution).flops
    results = {
        "match": search(task, zoo, max_flops=most),
        "match at any cost": search(task, zoo),
        "embeddings alone": search(task, zoo, max_flops=most, look=0),
    }
    for name, params in LIMITS.items():
        results[f"match {name}"] = search(task, zoo, max_flops=most, max_params=params)
    drawn = random.Random(task.name)
    methods = {
        **{name: result[0].id for name, result in results.items()},
        "imagenet": kinds.whole[0].id,
        **{f"imagenet {e.resolution} px": e.id for e in kinds.whole if e.resolution in (128, 224)},
        "elastic base": kinds.base.id,
        **{f"elastic base {n}": _slice(zoo, most, task).id for n, most in LIMITS.items()},
        "nearest dataset": kinds.largest[_nearest_task(task, zoo)].id,
        "best on average": _best_on_average(zoo, at_zoo),
        "size-ordered": drawn.choice(at_zoo).id,  # many share the largest size
        "random": drawn.choice(zoo.entries(vectors=False)).id,
        "logme": max(scores, key=lambda id: scores[id]["logme"]),
        "probe alone": by_probe[0],
    }
    return {
        "methods": methods,
        "screened": by_probe[:SCREENED],
        "scores": scores,
        "result": _described(results["match"]),
    }


def _scores(zoo: Zoo, task: Task, entry: ZooEntry) -> dict[str, float]:
    """What frozen features of a network say of a task."""
    images, labels, folds = task.folds(entry.resolution, TRAIN_IMAGES)
    features = adapted_features(zoo.load(entry.id, len(task.classes)), images)
    return {"probe": probe_accuracy(features, labels, folds), "logme": logme(features, labels)}


def _slice(zoo: Zoo, most: float, task: Task) -> ZooEntry:
    """The largest slice of the elastic base within a limit of parameters, head included."""
    head = (zoo.space.features + 1) * len(task.classes)
    base = [e for e in zoo.entries(vectors=False) if e.weights == zoo.base]
    return max((e for e in base if e.params + head <= most), key=lambda e: e.params)


def _nearest_task(task: Task, zoo: Zoo) -> str:
    """Source task whose mean feature is nearest by cosine."""
    query = image_features(zoo.query_network(), task.sample(QUERY_IMAGES, zoo.resolution)[0])
    means = {t.name: zoo.features(t.name)[0].mean(0) for t in zoo.tasks() if t.features}
    return max(means, key=lambda n: torch.cosine_similarity(means[n], query.mean(0), 0).item())


def _best_on_average(zoo: Zoo, at_zoo: Sequence[ZooEntry]) -> str:
    """Largest network with the best probe, on average over the tasks where all were probed."""
    ids = {entry.id for entry in at_zoo}
    by_target: dict[str, dict[str, float]] = {}
    for transfer in zoo.transfers():
        if not transfer.epochs and transfer.source in ids:
            by_target.setdefault(transfer.target, {})[transfer.source] = transfer.accuracy
    gains: dict[str, list[float]] = {id: [] for id in ids}
    for probes in by_target.values():
        mean = statistics.fmean(probes.values())
        for id, probed in probes.items():
            gains[id].append(probed - mean)
    return max(gains, key=lambda id: statistics.fmean(gains[id] or [-1.0]))


def _described(result: SearchResult) -> Line:
    return {
        "matches": [dataclasses.asdict(match) for match in result],
        "looks": [dataclasses.asdict(look) for look in result.looks],
        "related": result.related,
        "seconds": result.embedding_s + result.search_s + result.look_s,
    }


def _measure(zoo: Zoo, task: Task, job: Job) -> None:
    """One fine-tune, unless the file has it."""
    key = {"task": task.name, **dataclasses.asdict(job)}
    if RUNS.find(key):
        return
    entry = zoo.entry(job.entry)
    network = zoo.load(entry.id, len(task.classes))
    if job.epochs:
        recipe = Recipe(epochs=job.epochs, seed=job.seed, fit_head=job.fit_head)
        tuned = finetune(network, task, entry.resolution, recipe)
        measured = tuned.test_accuracy, tuned.seconds
    else:
        measured = _head_alone(network, task, entry.resolution)
    costs = zoo.space.costs(entry.architecture, len(task.classes), entry.resolution)
    RUNS.add(
        {
            **key,
            "source": entry.task,
            "resolution": entry.resolution,
            "accuracy": measured[0],
            "seconds": round(measured[1], 2),
            **dataclasses.asdict(costs),
        }
    )


def _head_alone(network: Network, task: Task, resolution: int) -> tuple[float, float]:
    """Test accuracy of a head fitted to frozen features, and the seconds it took."""
    began = time.perf_counter()
    fit_head(network, *task.split("train", resolution))
    found = accuracy(network, *task.split("test", resolution))
    return found, time.perf_counter() - began


def _log_look(names: Sequence[str]) -> None:
    """Sealed tasks are run once for a release, and every look is on record."""
    line = {"when": datetime.date.today().isoformat(), "tasks": list(names)}
    with LOOKS.open("a") as file:
        file.write(json.dumps({**line, **environment()}) + "\n")


def _show(progress: BuildProgress) -> None:
    print(f"{progress.task}: {progress.step}, {progress.done} of {progress.total}", flush=True)


if __name__ == "__main__":
    main()
