"""How to fine-tune few images: learning rates, and a fitted against a random head.

    python bench/studies/recipes.py --workers 2   # resumable; results/recipes.jsonl and .md

On train tasks, from the ImageNet network and the best-probed source of the zoo, on 300 images.
What wins here is the default of every fine-tune, of the baselines too.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from functools import partial

from common import RESULTS, Ledger, Line
from tans.build.workers import BuildProgress, Listener, side_by_side
from tans.training import Recipe, finetune
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tans_bench.sources.registry import fetch

RUNS = Ledger("recipes.jsonl")
TASKS = ("clipart", "flags", "icons-places", "script-latin-small", "textile")
RATES = (0.003, 0.01, 0.03)
GRID = (
    *((5, rate, fitted) for rate in RATES for fitted in (True, False)),
    (10, RATES[-1], True),
)
"""Epochs, learning rate, and whether the head is fitted before."""
NETWORKS = ("ImageNet", "best-probed source")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    side_by_side(partial(run_task, arguments.zoo), TASKS, arguments.workers, None)
    report()


def run_task(zoo_path: str | None, name: str, *, on_progress: Listener | None = None) -> None:
    """Every recipe from every network on one task, where it is not stored."""
    zoo = Zoo.open(zoo_path)
    task = fetch(name).limited(300)
    kinds = Sources.of(zoo)
    networks = dict(zip(NETWORKS, (kinds.whole[0], _best_probed(zoo, name)), strict=True))
    for network, (epochs, rate, fitted) in itertools.product(NETWORKS, GRID):
        key: Line = {"task": name, "network": network, "epochs": epochs, "rate": rate}
        key["fit_head"] = fitted
        if not RUNS.find(key):
            recipe = Recipe(epochs=epochs, learning_rate=rate, fit_head=fitted)
            entry = networks[network]
            loaded = zoo.load(entry.id, len(task.classes))
            tuned = finetune(loaded, task, entry.resolution, recipe)
            RUNS.add({**key, "source": entry.task, "accuracy": tuned.test_accuracy})
            if on_progress:
                on_progress(BuildProgress(name, network, epochs, epochs))


def _best_probed(zoo: Zoo, task: str) -> ZooEntry:
    """Of the other tasks' largest networks, the one with the best stored probe on this task."""
    probes = {t.source: t.accuracy for t in zoo.transfers() if t.target == task and not t.epochs}
    others = [e for name, e in Sources.of(zoo).largest.items() if name != task]
    return max(others, key=lambda e: probes.get(e.id, 0.0))


def report() -> None:
    """Write the means over tasks."""
    lines = [
        f"Test accuracy in % on 300 training images, mean over {', '.join(TASKS)}, one seed.",
        "",
        "| network | epochs | head | " + " | ".join(f"rate {rate}" for rate in RATES) + " |",
        "|---|---|---|" + "---|" * len(RATES),
    ]
    kinds = dict.fromkeys((epochs, fitted) for epochs, _, fitted in GRID)
    for network, (epochs, fitted) in itertools.product(NETWORKS, kinds):
        key = {"network": network, "epochs": epochs, "fit_head": fitted}
        means = [_mean({**key, "rate": rate}) for rate in RATES]
        head = "fitted" if fitted else "random"
        lines.append(f"| {network} | {epochs} | {head} | {' | '.join(means)} |")
    (RESULTS / "recipes.md").write_text("\n".join(lines) + "\n")


def _mean(key: Line) -> str:
    """Mean over tasks, a dash while one is missing."""
    found = [run["accuracy"] for run in RUNS if key.items() <= run.items()]
    return f"{100 * statistics.fmean(found):.1f}" if len(found) == len(TASKS) else "–"  # noqa: RUF001


if __name__ == "__main__":
    main()
