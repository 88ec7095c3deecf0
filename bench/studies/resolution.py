"""Does a source trained at 128 pixels serve photo-like tasks better than ImageNet does there?

    python bench/studies/resolution.py --zoo128 PATH --workers 2   # resumable; results/resolution.*

Two photo-like train tasks get supernets at 128 pixels, from the base of the shipped zoo. Their
largest networks, the same sources at 64 pixels, and ImageNet's networks at both resolutions are
fine-tuned on photo-like dev tasks by the default recipe.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

from common import RESULTS, Ledger, environment
from tans.build.engine import BuildSettings, build_zoo
from tans.build.workers import BuildProgress, Listener, side_by_side
from tans.training import Recipe, finetune
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tans_bench.sources.registry import fetch

RUNS = Ledger("resolution.jsonl")
SOURCES = ("stamps-photos", "textile")
TARGETS = ("0ad-terrain", "openarena-textures", "stamps-animals", "ufoai-textures")
TRAIN_IMAGES = 300
HIGH = 128
SETTINGS = BuildSettings(resolution=HIGH, subnets=2, imagenet_resolutions=())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo128", required=True, help="folder of the zoo to build at 128 pixels")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    built = map(fetch, SOURCES)
    build_zoo(arguments.zoo128, built, SETTINGS, base_from=Zoo.open(), workers=arguments.workers)
    side_by_side(partial(run_task, arguments.zoo128), TARGETS, arguments.workers, None)
    report()


def run_task(zoo128: str, name: str, *, on_progress: Listener | None = None) -> None:
    """Fine-tune what is missing on one target."""
    task = fetch(name).limited(TRAIN_IMAGES)
    networks = [pair for zoo in (Zoo.open(), Zoo.open(zoo128)) for pair in contenders(zoo)]
    for count, (zoo, label, entry) in enumerate(networks, 1):
        key = {"target": name, "network": label, "resolution": entry.resolution}
        if not RUNS.find(key):
            network = zoo.load(entry.id, len(task.classes))
            tuned = finetune(network, task, entry.resolution, Recipe())
            seconds = round(tuned.seconds, 1)
            RUNS.add({**key, "accuracy": tuned.test_accuracy, "seconds": seconds, **environment()})
        if on_progress:
            on_progress(BuildProgress(name, "fine-tune", count, len(networks)))


def contenders(zoo: Zoo) -> list[tuple[Zoo, str, ZooEntry]]:
    """The networks of a zoo that are compared."""
    kinds = Sources.of(zoo)
    return [
        *((zoo, name, kinds.largest[name]) for name in SOURCES),
        (zoo, "elastic base", kinds.base),
        *((zoo, "ImageNet", e) for e in kinds.whole if e.resolution in (zoo.resolution, HIGH)),
    ]


def report() -> None:
    """A row for each network and resolution, with its seconds beside ImageNet's at 64 pixels."""
    lines = [
        "Test accuracy in % after 5 epochs on 300 training images, one seed; seconds as a multiple",
        "of ImageNet's at 64 pixels.",
        "",
        f"| network | pixels | {' | '.join(TARGETS)} | mean | seconds |",
        f"|---|---|{'---|' * len(TARGETS)}---|---|",
    ]
    found = {(run["network"], run["resolution"], run["target"]): run for run in RUNS}
    base = sum(found["ImageNet", 64, target]["seconds"] for target in TARGETS)
    for network, resolution in dict.fromkeys((n, r) for n, r, _ in sorted(found)):
        runs = [found[network, resolution, target] for target in TARGETS]
        accuracies = [100 * run["accuracy"] for run in runs]
        cells = [*(f"{a:.1f}" for a in accuracies), f"{statistics.fmean(accuracies):.1f}"]
        times = sum(run["seconds"] for run in runs) / base
        lines.append(f"| {network} | {resolution} | {' | '.join(cells)} | {times:.1f} |")
    (RESULTS / "resolution.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
