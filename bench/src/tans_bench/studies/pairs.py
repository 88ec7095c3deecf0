"""What was measured in a zoo as tables: every network, and every transfer.

``pairs.csv`` has a line for each stored network with its accuracies and costs on its own task,
``transfers.csv`` one for each probe (0 epochs) and fine-tune on another task.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result

NETWORKS, TRANSFERS = "pairs.csv", "transfers.csv"
Row = Mapping[str, object]


@dataclass(frozen=True)
class Export:
    """Write the tables beside the results."""

    name: str = "pairs"
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        """Stored tables stay, of whichever zoo they are."""
        return all((bench.results.folder / name).exists() for name in (NETWORKS, TRANSFERS))

    def run(self, bench: Bench) -> Result:
        folder = bench.results.folder
        folder.mkdir(parents=True, exist_ok=True)
        networks, transfers = list(_networks(bench.zoo)), list(_transfers(bench.zoo))
        _write(folder / NETWORKS, networks)
        _write(folder / TRANSFERS, transfers)
        return {"zoo": bench.digest, "networks": len(networks), "transfers": len(transfers)}


def _networks(zoo: Zoo) -> Iterator[Row]:
    cards = {task.name: task.card for task in zoo.tasks()}
    for entry in zoo.entries(vectors=False):
        yield {
            "id": entry.id,
            "task": entry.task,
            "family": cards[entry.task].get("family", ""),
            "architecture": entry.ref.name,
            "resolution": entry.resolution,
            "params": entry.body_params,
            "flops": entry.body_flops,
            "val_accuracy": _rounded(entry.val_accuracy),
            "accuracy": _rounded(entry.accuracy),
        }


def _transfers(zoo: Zoo) -> Iterator[Row]:
    for transfer in zoo.transfers():
        yield {
            "source": transfer.source,
            "target": transfer.target,
            "epochs": transfer.epochs,
            "images": transfer.images,
            "seed": transfer.seed,
            "accuracy": _rounded(transfer.accuracy),
            "seconds": round(transfer.seconds, 2),
            "recipe": transfer.recipe,
        }


def _rounded(accuracy: float | None) -> float | str:
    return "" if accuracy is None else round(accuracy, 4)


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else [])
        table.writeheader()
        table.writerows(rows)


EXPERIMENT = Experiment(
    name="pairs",
    title="Every network and every transfer that was measured",
    question="What was measured of the networks of the zoo that `--zoo` names?",
    plan=Fixed((Export(),)),
    drawn=lambda *_: [],
)
