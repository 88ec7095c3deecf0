"""Write what was measured in a zoo as tables: every network, and every transfer.

    python bench/studies/pairs.py ZOO

``results/pairs.csv`` has a line for each stored network with its accuracies and costs on its own
task, ``results/transfers.csv`` one for each probe (0 epochs) and fine-tune on another task. They
hold the zoo as it was built, of which the shipped one keeps the most diverse tasks.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

from common import RESULTS
from tans.zoo.zoo import Zoo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", help="folder of a zoo")
    zoo = Zoo.open(parser.parse_args().zoo)
    costs = {task.name: task for task in zoo.tasks()}
    pairs = (
        {
            "id": entry.id,
            "task": entry.task,
            "family": costs[entry.task].card.get("family", ""),
            "architecture": str(entry.architecture),
            "resolution": entry.resolution,
            "params": entry.params,
            "flops": entry.flops,
            "val_accuracy": _rounded(entry.val_accuracy),
            "accuracy": _rounded(entry.accuracy),
        }
        for entry in zoo.entries(vectors=False)
    )
    transfers = (
        {
            "source": transfer.source,
            "target": transfer.target,
            "epochs": transfer.epochs,
            "images": transfer.images,
            "seed": transfer.seed,
            "accuracy": _rounded(transfer.accuracy),
            "seconds": round(transfer.seconds, 2),
        }
        for transfer in zoo.transfers()
    )
    _write(RESULTS / "pairs.csv", pairs)
    _write(RESULTS / "transfers.csv", transfers)


def _rounded(accuracy: float | None) -> float | str:
    return "" if accuracy is None else round(accuracy, 4)


def _write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    first, *rest = rows
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(first))
        table.writeheader()
        table.writerows([first, *rest])


if __name__ == "__main__":
    main()
