"""What a user gets on unseen tasks: the match beside its peers, after 1, 5 and 10 epochs.

    python benchmarks/dev_tasks.py run      # resumable; a line a run in results/dev_tasks.jsonl
    python benchmarks/dev_tasks.py report   # results/dev_tasks.md and results/dev_tasks.png

Every run is a fine-tune of its own with its own cosine. The peers: the whole ImageNet network, a
random entry (drawn anew for each seed), the largest network of the nearest source task by mean
feature, and the best source task, found by fine-tuning the largest network of every source task
for 5 epochs (seed 0) and looking at the *test* accuracy: an oracle, which no user has.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import statistics

import matplotlib

matplotlib.use("Agg")
import torch
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
METHODS = ("match", "imagenet", "random", "nearest", "best")


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


def report() -> None:
    """Write the table and draw the figure from the stored runs alone."""
    runs = {(r["task"], r["entry"], r["epochs"], r["seed"]): r for r in RUNS}
    choices = json.loads(CHOICES.read_text())
    lines = [
        "Test accuracy in %, mean of three seeds ± half their range, and seconds relative to the "
        "ImageNet network's.",
        "",
        "| task | kind | method | trained on | params (M) | 1 epoch | 5 epochs | 10 epochs "
        "| time |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots(2, 2).flatten()
    for axis, (task, choice) in zip(axes, choices.items(), strict=False):
        kind = choice["kind"]
        axis.set_title(f"{task} ({kind}, {choice['classes']} classes)")
        for method in METHODS:
            ids = choice["methods"][method]
            table = {e: [runs.get((task, ids[s], e, s)) for s in SEEDS] for e in EPOCHS}
            if not all(all(cells) for cells in table.values()):
                continue
            imagenet = [runs[task, choice["methods"]["imagenet"][s], 10, s] for s in SEEDS]
            time = _mean(table[10], "seconds") / _mean(imagenet, "seconds")
            sources = ", ".join(dict.fromkeys(r["source"] for r in table[10]))
            accuracies = " | ".join(_cell(table[e]) for e in EPOCHS)
            params = f"{_mean(table[10], 'params') / 1e6:.2f}"
            lines.append(
                f"| {task} | {kind} | {method} | {sources} | {params} | {accuracies} | {time:.2f} |"
            )
            axis.plot(
                [_mean(table[e], "seconds") for e in EPOCHS],
                [100 * _mean(table[e], "accuracy") for e in EPOCHS],
                marker="o",
                label=method,
            )
        axis.set_xlabel("seconds of fine-tuning")
        axis.set_ylabel("test accuracy (%)")
        axis.legend()
    (RESULTS / "dev_tasks.md").write_text("\n".join(lines) + "\n")
    figure.savefig(RESULTS / "dev_tasks.png", dpi=110)


def _mean(cells: list[dict[str, float]], name: str) -> float:
    return statistics.fmean(cell[name] for cell in cells)


def _cell(cells: list[dict[str, float]]) -> str:
    values = [100 * cell["accuracy"] for cell in cells]
    return f"{statistics.fmean(values):.1f} ± {(max(values) - min(values)) / 2:.1f}"


if __name__ == "__main__":
    main()
