"""Which settings of meta-learning find the best source for a task of an unseen family.

    python benchmarks/leave_one_family_out.py   # resumable; results in .jsonl, .md

The truth is the zoo's measured transfers: one network of every source task, fine-tuned for 10
epochs on 200 images of every other train task. A family (scripts, icons, ...) is held out whole:
its tasks are the targets, the other families' networks the candidates.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics

import torch

from common import RESULTS, Ledger
from tans.meta.data import MetaData
from tans.meta.evaluate import leave_one_family_out
from tans.meta.presets import PRESETS, MetaSettings
from tans.zoo.store import Zoo

DEFAULT = PRESETS["default"]
VARIANTS: dict[str, MetaSettings] = {
    "default": DEFAULT,
    "default, mean pooling": dataclasses.replace(DEFAULT, pooling="mean"),
    "default, hinge": dataclasses.replace(DEFAULT, loss="hinge"),
    "default, functional": dataclasses.replace(DEFAULT, parts=("topology", "functional")),
    "default, no transfers": dataclasses.replace(DEFAULT, transfer_weight=0.0),
    "default, no q*m": dataclasses.replace(DEFAULT, interaction=False),
    "paper": PRESETS["paper"],
}
RUNS = Ledger("leave_one_family_out.jsonl")
SEEDS = (777, 778, 779)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    arguments = parser.parse_args()
    zoo = Zoo.open(arguments.zoo)
    data, truth = MetaData.from_zoo(zoo), measured(zoo)
    for name in arguments.variants:
        for seed in SEEDS:
            if RUNS.find({"settings": name, "seed": seed}):
                continue
            found = leave_one_family_out(
                data, dataclasses.replace(VARIANTS[name], seed=seed), truth
            )
            choices = {method: dataclasses.asdict(c) for method, c in found.choices.items()}
            RUNS.add({"settings": name, "seed": seed, "data": data.digest()[:16], **choices})
    report()


def measured(zoo: Zoo) -> torch.Tensor:
    """Accuracy (tasks, tasks) of source on target, NaN where nothing was measured."""
    index = {task.name: i for i, task in enumerate(zoo.tasks())}
    owner = {entry.id: entry.task for entry in zoo.entries(vectors=False)}
    truth = torch.full((len(index), len(index)), torch.nan)
    for transfer in zoo.transfers():
        truth[index[owner[transfer.source]], index[transfer.target]] = transfer.accuracy
    return truth


def report() -> None:
    """Write the table from the stored runs alone."""
    lines = [
        f"Means over {len(SEEDS)} seeds and all targets; regret in points of accuracy, lower is "
        "better.",
        "",
        "| settings | score | Spearman | regret | top 1 |",
        "|---|---|---|---|---|",
    ]
    runs = {name: [r for r in RUNS if r["settings"] == name] for name in VARIANTS}
    rows = [(n, n, m) for n in VARIANTS if runs[n] for m in ("similarity", "predicted")]
    first = next(name for name in VARIANTS if runs[name])
    peers = ("nearest dataset", "best on average", "random")
    rows += [("no learning", first, method) for method in peers]
    for label, name, method in rows:
        found = {
            key: statistics.fmean(run[method][key] for run in runs[name])
            for key in ("spearman", "regret", "top1")
        }
        lines.append(
            f"| {label} | {method} | {found['spearman']:.2f} | {100 * found['regret']:.1f} "
            f"| {100 * found['top1']:.0f}% |"
        )
    (RESULTS / "leave_one_family_out.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
