"""What a user gets on unseen tasks: the match beside its peers, after 1, 5 and 10 epochs.

    python benchmarks/dev_tasks.py run      # resumable; a line a run in results/dev_tasks.jsonl
    python benchmarks/dev_tasks.py report   # results/dev_tasks.md and results/dev_tasks.png

Every run is a fine-tune of its own with its own cosine. The peers: the whole ImageNet network; the
elastic base at full size, which is ImageNet once adapted to low resolution; a random entry, drawn
anew for each seed; the largest network of the nearest source task by mean feature; and the best
source task, found by fine-tuning the largest network of every source task for 5 epochs (seed 0)
and looking at the *test* accuracy: an oracle, which no user has.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import statistics

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from common import RESULTS, Ledger, Line, environment, limited
from tans.search import search
from tans.spaces.embedding import image_features
from tans.tasks.sources.registry import fetch
from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.types import ZooEntry
from tans.zoo.store import IMAGENET, QUERY_IMAGES, Zoo

RUNS = Ledger("dev_tasks.jsonl")
CHOICES = RESULTS / "dev_tasks_choices.json"
TASKS = {
    "script-greek": "sibling",
    "icons-apps": "sibling",
    "fashion-mnist": "stranger",
    "openarena-textures": "stranger",
}
EPOCHS = (1, 5, 10)
SEEDS = (0, 1, 2)
TRAIN_IMAGES = 300
SCREEN = {"epochs": 5, "seed": 0}
METHODS = ("match", "imagenet", "elastic base", "random", "nearest", "best")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("do", choices=("run", "report"))
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    arguments = parser.parse_args()
    if arguments.do == "run":
        zoo = Zoo.open(arguments.zoo)
        for name in arguments.tasks:
            run_task(name, zoo)
    report()


def run_task(name: str, zoo: Zoo) -> None:
    """Choose each method's networks, and fine-tune those whose runs are not stored."""
    task = limited(fetch(name), TRAIN_IMAGES, zoo.resolution)
    largest = {
        entry.task: entry for entry in sorted(zoo.entries(vectors=False), key=lambda e: e.params)
    }
    largest[IMAGENET] = next(
        e for e in zoo.entries(vectors=False) if e.task == IMAGENET and _is_whole(e, zoo)
    )
    screened = {
        source: measure(zoo, entry, task, **SCREEN)["accuracy"] for source, entry in largest.items()
    }
    result = search(task, zoo)
    ids = [entry.id for entry in zoo.entries(vectors=False)]
    chosen = {
        "match": [result[0].id] * len(SEEDS),
        "imagenet": [largest[IMAGENET].id] * len(SEEDS),
        "elastic base": [_largest_of_base(zoo).id] * len(SEEDS),
        "random": [random.Random(f"{name} {seed}").choice(ids) for seed in SEEDS],
        "nearest": [largest[nearest_task(task, zoo)].id] * len(SEEDS),
        "best": [largest[max(screened, key=lambda s: screened[s])].id] * len(SEEDS),
    }
    choices = json.loads(CHOICES.read_text()) if CHOICES.exists() else {}
    choices[name] = {
        "kind": TASKS[name],
        "environment": environment(),
        "classes": len(task.classes),
        "majority": torch.bincount(task.split("test", 64)[1]).max().item()
        / len(task.split("test", 64)[1]),
        "test_images": len(task.split("test", 64)[1]),
        "methods": chosen,
        "screened": screened,
        "matches": [dataclasses.asdict(match) for match in result],
    }
    CHOICES.write_text(json.dumps(choices, indent=1) + "\n")
    for seed in SEEDS:
        for method in METHODS:
            for epochs in EPOCHS:
                measure(zoo, zoo.entry(chosen[method][seed]), task, epochs, seed)


def measure(zoo: Zoo, entry: ZooEntry, task: Task, epochs: int, seed: int) -> Line:
    """One fine-tune, from the file where it is there."""
    key = {"task": task.name, "entry": entry.id, "epochs": epochs, "seed": seed}
    if found := RUNS.find(key):
        return found
    tuned = finetune(zoo.load(entry.id), task, zoo.resolution, Recipe(epochs=epochs, seed=seed))
    costs = zoo.space.costs(entry.architecture, len(task.classes), zoo.resolution)
    return RUNS.add(
        {
            **key,
            "source": entry.task,
            "train_images": TRAIN_IMAGES,
            "accuracy": tuned.test_accuracy,
            "val_accuracy": tuned.history[tuned.best_epoch - 1].val_accuracy,
            "seconds": round(tuned.seconds, 2),
            **dataclasses.asdict(costs),
        }
    )


def nearest_task(task: Task, zoo: Zoo) -> str:
    """Source task whose mean feature is nearest by cosine."""
    query = image_features(zoo.query_network(), task.sample(QUERY_IMAGES, zoo.resolution)[0])
    means = {t.name: zoo.features(t.name)[0].mean(0) for t in zoo.tasks() if t.features}
    return max(means, key=lambda name: _cosine(means[name], query.mean(0)))


def _cosine(a: Tensor, b: Tensor) -> float:
    return torch.cosine_similarity(a, b, dim=0).item()


def _is_whole(entry: ZooEntry, zoo: Zoo) -> bool:
    """The published ImageNet network itself, not a slice of the elastic base."""
    return entry.architecture == zoo.space.largest and entry.weights != zoo.base


def _largest_of_base(zoo: Zoo) -> ZooEntry:
    """ImageNet once distilled at this resolution: what a match owes to that alone."""
    own = [entry for entry in zoo.entries(vectors=False) if entry.weights == zoo.base]
    return max(own, key=lambda entry: entry.params)


def report() -> None:
    """Write the table and draw the figure from the stored runs alone."""
    choices = json.loads(CHOICES.read_text())
    lines = [
        "Test accuracy in %, mean of three seeds ± half their range; predicted: by `tans search`, "
        "for 10 epochs; time: of the 10 epochs, as a multiple of the ImageNet network's.",
        "",
        "| task | kind | method | trained on | params (M) | 1 epoch | 5 epochs | 10 epochs "
        "| predicted | time |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    for axis, (task, choice) in zip(figure.subplots(2, 2).flat, choices.items(), strict=False):
        cells = {method: stored(task, ids) for method, ids in choice["methods"].items()}
        lines += [row(task, choice, method, cells) for method in METHODS]
        draw(axis, f"{task} ({choice['kind']}, {choice['classes']} classes)", cells)
    (RESULTS / "dev_tasks.md").write_text("\n".join(lines) + "\n")
    figure.savefig(RESULTS / "dev_tasks.png", dpi=110)


def stored(task: str, ids: list[str]) -> dict[int, list[Line]]:
    """Runs of a method on a task, one for each seed, by epochs."""
    runs = {(r["entry"], r["epochs"], r["seed"]): r for r in RUNS if r["task"] == task}
    return {e: [runs[ids[seed], e, seed] for seed in SEEDS] for e in EPOCHS}


def row(task: str, choice: Line, method: str, cells: dict[str, dict[int, list[Line]]]) -> str:
    own = cells[method]
    sources = ", ".join(dict.fromkeys(run["source"] for run in own[10]))
    predicted = choice["matches"][0]["predicted_accuracy"] if method == "match" else None
    time = _mean(own[10], "seconds") / _mean(cells["imagenet"][10], "seconds")
    columns = [
        task,
        choice["kind"],
        method,
        sources,
        f"{_mean(own[10], 'params') / 1e6:.2f}",
        *(_spread(own[epochs]) for epochs in EPOCHS),
        f"{100 * predicted:.1f}" if predicted is not None else "",
        f"{time:.2f}",
    ]
    return f"| {' | '.join(columns)} |"


def draw(axis: Axes, title: str, cells: dict[str, dict[int, list[Line]]]) -> None:
    """Accuracy against seconds, a line for each method."""
    for method, own in cells.items():
        seconds = [_mean(own[epochs], "seconds") for epochs in EPOCHS]
        percent = [100 * _mean(own[epochs], "accuracy") for epochs in EPOCHS]
        axis.plot(seconds, percent, marker="o", label=method)
    axis.set(title=title, xlabel="seconds of fine-tuning", ylabel="test accuracy (%)")
    axis.legend(frameon=False)


def _mean(cells: list[Line], name: str) -> float:
    return statistics.fmean(cell[name] for cell in cells)


def _spread(cells: list[Line]) -> str:
    values = [100 * cell["accuracy"] for cell in cells]
    return f"{statistics.fmean(values):.1f} ± {(max(values) - min(values)) / 2:.1f}"


if __name__ == "__main__":
    main()
