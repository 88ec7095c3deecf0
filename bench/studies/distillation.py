"""What distilling the elastic base brings: ImageNet slices of five sizes, before and after.

    python bench/studies/distillation.py     # resumable; results/distillation.jsonl and .md

Each slice is fine-tuned on two dev tasks for 5 epochs on 300 images. Before: the slice of the
published weights, channels sorted by importance. After: the slice of the elastic base.
"""

from __future__ import annotations

import argparse
import statistics

from common import RESULTS, Ledger
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.imagenet import imagenet_network
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.supernet import extract, sort_channels
from tans.training import Recipe, finetune
from tans.types import Architecture
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.sources.registry import fetch

RUNS = Ledger("distillation.jsonl")
TASKS = ("script-greek", "fashion-mnist")
SEEDS = (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    zoo = Zoo.open(parser.parse_args().zoo)
    assert zoo.base is not None
    architectures = five_sizes(zoo)
    for name in TASKS:
        task = fetch(name).limited(300)
        for seed in SEEDS:
            for architecture in architectures:
                for weights in ("published", "elastic base"):
                    key = {
                        "task": name,
                        "architecture": str(architecture),
                        "weights": weights,
                        "seed": seed,
                    }
                    if RUNS.find(key):
                        continue
                    if weights == "published":
                        network = published_slice(zoo, architecture)
                    else:
                        network = zoo.load_subnet(IMAGENET, zoo.base, architecture)
                    tuned = finetune(network, task, 64, Recipe(epochs=5, seed=seed))
                    params = zoo.space.costs(architecture, len(task.classes), 64).params
                    RUNS.add({**key, "params": params, "accuracy": tuned.test_accuracy})
    report(architectures)


def five_sizes(zoo: Zoo) -> list[Architecture]:
    """The smallest, the largest, and three between, of the entries of the elastic base."""
    entries = [e for e in zoo.entries(vectors=False) if e.weights == zoo.base]
    ordered = [e.architecture for e in sorted(entries, key=lambda e: e.params)]
    return [ordered[round(share * (len(ordered) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]


def published_slice(zoo: Zoo, architecture: Architecture) -> Network:
    whole = imagenet_network()
    sort_channels(whole)
    network = extract(whole.state_dict(), zoo.space, architecture)
    recalibrate(network, zoo.thumbnails(IMAGENET))
    return network


def report(architectures: list[Architecture]) -> None:
    lines = [
        "Test accuracy in %, mean of three seeds, after 5 epochs on 300 images.",
        "",
        "| task | params (M) | published weights | elastic base |",
        "|---|---|---|---|",
    ]
    for task in TASKS:
        for architecture in architectures:
            runs = [r for r in RUNS if r["task"] == task and r["architecture"] == str(architecture)]
            means = [
                100 * statistics.fmean(r["accuracy"] for r in runs if r["weights"] == weights)
                for weights in ("published", "elastic base")
            ]
            lines.append(
                f"| {task} | {runs[0]['params'] / 1e6:.2f} | {means[0]:.1f} | {means[1]:.1f} |"
            )
    (RESULTS / "distillation.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
