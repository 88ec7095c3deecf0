"""Which settings of meta-learning find the best source for a task of an unseen family.

    python benchmarks/leave_one_family_out.py     # results/leave_one_family_out.json and .md

The truth is the zoo's measured transfers: one network of every source task, fine-tuned for 10
epochs on 200 images of every other train task. A family (scripts, icons, ...) is held out whole:
its tasks are the targets, the other families' networks the candidates.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics

import torch

from common import RESULTS, environment
from tans.meta.data import MetaData
from tans.meta.evaluate import Choice, leave_one_family_out
from tans.meta.presets import PRESETS, MetaSettings
from tans.zoo.store import Zoo

DEFAULT = PRESETS["default"]
VARIANTS: dict[str, MetaSettings] = {
    "paper": PRESETS["paper"],
    "default": DEFAULT,
    "default, mean pooling": dataclasses.replace(DEFAULT, pooling="mean"),
    "default, hinge": dataclasses.replace(DEFAULT, loss="hinge"),
    "default, equation 3": dataclasses.replace(DEFAULT, loss="equation3"),
    "default, functional": dataclasses.replace(DEFAULT, parts=("topology", "functional")),
    "default, no transfers": dataclasses.replace(DEFAULT, transfer_weight=0.0),
    "default, no q*m": dataclasses.replace(DEFAULT, interaction=False),
    "default, transfers x 4": dataclasses.replace(DEFAULT, transfer_weight=4.0),
}
SEEDS = (777, 778, 779)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", help="folder of a zoo; the shipped one by default")
    zoo = Zoo.open(parser.parse_args().zoo)
    data, truth = MetaData.from_zoo(zoo), measured(zoo)
    rows: dict[str, list[dict[str, Choice]]] = {}
    for name, settings in VARIANTS.items():
        rows[name] = [
            dict(leave_one_family_out(data, dataclasses.replace(settings, seed=s), truth).choices)
            for s in SEEDS
        ]
        print(name, {method: summary(rows[name], method) for method in rows[name][0]}, flush=True)
    write(rows)


def measured(zoo: Zoo) -> torch.Tensor:
    """Accuracy (tasks, tasks) of source on target, NaN where nothing was measured."""
    index = {task.name: i for i, task in enumerate(zoo.tasks())}
    owner = {entry.id: entry.task for entry in zoo.entries(vectors=False)}
    truth = torch.full((len(index), len(index)), torch.nan)
    for transfer in zoo.transfers():
        truth[index[owner[transfer.source]], index[transfer.target]] = transfer.accuracy
    return truth


def summary(runs: list[dict[str, Choice]], method: str) -> dict[str, float]:
    """Means over seeds."""
    return {
        name: round(statistics.fmean(getattr(run[method], name) for run in runs), 4)
        for name in ("spearman", "regret", "top1", "accuracy")
    }


def write(rows: dict[str, list[dict[str, Choice]]]) -> None:
    (RESULTS / "leave_one_family_out.json").write_text(
        json.dumps(
            {
                "environment": environment(),
                "seeds": SEEDS,
                "settings": {name: dataclasses.asdict(v) for name, v in VARIANTS.items()},
                "runs": {
                    name: [{m: dataclasses.asdict(c) for m, c in run.items()} for run in runs]
                    for name, runs in rows.items()
                },
            },
            indent=1,
        )
        + "\n"
    )
    lines = [
        "Means over three seeds and all targets; regret in points of accuracy, lower is better.",
        "",
        "| settings | score | Spearman | regret | top 1 |",
        "|---|---|---|---|---|",
    ]
    peers = [(next(iter(rows)), m) for m in ("nearest dataset", "best on average", "random")]
    learned = [(name, m) for name in rows for m in ("similarity", "predicted")]
    for name, method in [*learned, *peers]:
        found = summary(rows[name], method)
        label = "(no learning)" if (name, method) in peers else name
        lines.append(
            f"| {label} | {method} | {found['spearman']:.2f} | {100 * found['regret']:.1f} "
            f"| {100 * found['top1']:.0f}% |"
        )
    (RESULTS / "leave_one_family_out.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
