"""How far the order of a supernet's slices can be trusted: subnets fine-tuned one by one.

    python bench/studies/slices.py --workers 2   # resumable; results/slices.jsonl, .md and .png

A zoo's accuracies are those of slices of one supernet. Here ten subnets of each of two tasks are
cut from the elastic base instead and fine-tuned alone, on the images and for the epochs that the
supernet had, and judged on the same test images.
"""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial

from matplotlib.figure import Figure
from scipy.stats import spearmanr

from common import RESULTS, Ledger, Line
from tans.build.engine import BuildSettings
from tans.build.workers import BuildProgress, Listener, side_by_side
from tans.training import finetune
from tans.types import ZooEntry
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.sources.registry import fetch

RUNS = Ledger("slices.jsonl")
TASKS = ("emoji-twitter", "script-ethiopic")
SUBNETS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    side_by_side(partial(run_task, arguments.zoo), TASKS, arguments.workers, None)
    report()


def run_task(zoo_path: str | None, name: str, *, on_progress: Listener | None = None) -> None:
    """Fine-tune what is missing of one task's subnets."""
    zoo, task = Zoo.open(zoo_path), fetch(name)
    assert zoo.base is not None
    settings = BuildSettings()
    for count, entry in enumerate(spread(zoo, name), 1):
        key: Line = {"task": name, "architecture": str(entry.architecture)}
        if RUNS.find(key):
            continue
        images = len(task.split("train", zoo.resolution, settings.images_per_task)[1])
        epochs = settings.epochs(images)
        network = zoo.load_subnet(IMAGENET, zoo.base, entry.architecture)
        recipe = dataclasses.replace(settings.recipe, epochs=epochs, fit_head=False)
        tuned = finetune(network, task, zoo.resolution, recipe, limit=settings.images_per_task)
        RUNS.add(
            {
                **key,
                "params": entry.params,
                "epochs": epochs,
                "slice": entry.accuracy,
                "alone": tuned.test_accuracy,
                "seconds": round(tuned.seconds, 1),
            }
        )
        if on_progress:
            on_progress(BuildProgress(name, "alone", count, SUBNETS))


def spread(zoo: Zoo, task: str) -> list[ZooEntry]:
    """Subnets of a task at equal steps from its smallest to its largest."""
    own = sorted(zoo.entries(task=task, vectors=False), key=lambda e: e.params)
    return [own[round(k * (len(own) - 1) / (SUBNETS - 1))] for k in range(SUBNETS)]


def report() -> None:
    """Draw each pair, and write the rank correlations of slices and of sizes."""
    lines = [
        "Test accuracy of a supernet's slices against the same architectures fine-tuned alone.",
        "",
        "| task | subnets | mean slice | mean alone | Spearman, slices | Spearman, parameters |",
        "|---|---|---|---|---|---|",
    ]
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    for task in TASKS:
        runs = [run for run in RUNS if run["task"] == task]
        slices, alone, params = ([r[k] for r in runs] for k in ("slice", "alone", "params"))
        axes.scatter([100 * a for a in slices], [100 * a for a in alone], label=task)
        ranks = [spearmanr(x, alone).statistic for x in (slices, params)]
        means = [100 * sum(x) / len(x) for x in (slices, alone)]
        lines.append(
            f"| {task} | {len(runs)} | {means[0]:.1f} | {means[1]:.1f} "
            f"| {ranks[0]:.2f} | {ranks[1]:.2f} |"
        )
    axes.set(xlabel="slice of the supernet (%)", ylabel="fine-tuned alone (%)")
    axes.axline((50, 50), slope=1, color="grey", linewidth=0.8)
    axes.legend()
    figure.savefig(RESULTS / "slices.png", dpi=120)
    (RESULTS / "slices.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
