"""Looks and runs as if they had been stored."""

from __future__ import annotations

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.experiment import EXPERIMENT
from tans_bench.experiments.judged.methods import METHODS, read_seen, tuned
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results

CELLS = EXPERIMENT.plan.cells(field.TASKS, field.IMAGES)
NAMES = [f"{name}@{size}" for name, size in field.sized(field.WITHIN)] + [
    *("base@64", "flags@64", "digits@64")
]


def add_runs(
    results: Results,
    method: str,
    accuracy: float,
    tasks: tuple[str, ...],
    steps: int = 200,
    validated: float = 0.5,
) -> None:
    seen = read_seen(results)
    for cell in CELLS:
        if cell.task in tasks:
            job = tuned(METHODS[method], seen[cell], steps)
            run = {"splits": (300, 100, 200), "flops": 3e7, "head_width": 100, "classes": 5}
            told = {"accuracy": accuracy, "val_accuracy": validated, "seconds": 10.0, "card": "one"}
            results.write(job.name, {**job.key(), **run, **told})


def cells_of(table: Table, *first: str) -> list[str]:
    (row,) = [row for row in table.rows if tuple(row[: len(first)]) == first]
    return list(row[len(first) :])
