"""What a construction wrote down: what each pair cost and brought, and the fronts it found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tans.types import ZooEntry
from tans.zoo.construct import Step
from tans.zoo.files import damaged, write_file
from tans.zoo.growth import Front, undominated

LEDGER = "ledger.jsonl"
"""In a zoo's folder: a line of JSON for each pair, in the order they were measured."""
REPORT = "construction.md"
"""In a zoo's folder: the Pareto front of every dataset."""
COLUMNS = ("network", "validation", "test", "parameters", "multiply-adds")


@dataclass(frozen=True)
class Line:
    """What a pair cost and brought."""

    pair: str
    """Entry id."""
    task: str
    seconds: float
    accuracy: float
    """On validation images, in [0, 1]."""
    expected: float | None
    """Growth of the task's hypervolume that was expected; None where nothing was."""
    growth: float
    """Real growth."""
    volume: float
    """Hypervolume after it, mean over tasks."""

    @classmethod
    def of(cls, step: Step, pair: str, task: str) -> Line:
        """Of a step, rounded."""
        expected = None if step.expected is None else round(step.expected, 6)
        numbers = (round(step.outcome.seconds, 3), round(step.outcome.accuracy, 6), expected)
        return cls(pair, task, *numbers, round(step.growth, 6), round(step.volume, 6))


def append(folder: Path, line: Line) -> None:
    """Add a line to the ledger in a zoo's folder."""
    with (folder / LEDGER).open("a") as file:
        file.write(json.dumps(vars(line)) + "\n")


def read(folder: Path) -> list[Line]:
    """The ledger in a zoo's folder; empty where there is none.

    Raises:
        ZooError: it is damaged.
    """
    path = folder / LEDGER
    try:
        lines = path.read_text().splitlines() if path.exists() else []
        return [Line(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise damaged(path, error) from error


def write_report(
    folder: Path, entries: Mapping[str, Sequence[ZooEntry]], most: tuple[int, int], pairs: int
) -> None:
    """Write the Pareto front of each task.

    Args:
        folder: of the zoo.
        entries: measured networks of each task.
        most: parameters and multiply-adds that costs are shares of.
        pairs: how many there were to choose from.
    """
    fronts = {task: _front(own, most) for task, own in entries.items() if own}
    mean = sum(volume for _, volume in fronts.values()) / max(len(entries), 1)
    lines, measured = read(folder), sum(map(len, entries.values()))
    sections = [_section(task, found, len(entries[task])) for task, (found, _) in fronts.items()]
    head = (
        "# Construction of a zoo\n\n"
        f"{measured} of {pairs} pairs of a task and a network were measured, "
        f"{len(lines)} of them in the ledger with {sum(x.seconds for x in lines):.0f} s. "
        f"The hypervolume is {mean:.4f}, mean over {len(entries)} tasks.\n\n"
        "Below, for each task, the networks that no other beats in accuracy on validation images, "
        "parameters and multiply-adds; accuracies in %, costs in millions, without a head."
    )
    write_file(folder / REPORT, ("\n\n".join([head, *sections]) + "\n").encode())


def _front(entries: Sequence[ZooEntry], most: tuple[int, int]) -> tuple[list[ZooEntry], float]:
    """Networks of the front, smallest first, and its hypervolume."""
    costs = np.array([[e.params, e.flops] for e in entries]) / most
    accuracies = [e.val_accuracy or 0.0 for e in entries]
    kept = undominated(accuracies, costs)
    found = [entry for entry, keep in zip(entries, kept, strict=True) if keep]
    return sorted(found, key=lambda e: e.params), Front.of(accuracies, costs).volume


def _section(task: str, front: Sequence[ZooEntry], count: int) -> str:
    rows = [
        f"| {e.id} | {100 * (e.val_accuracy or 0):.1f} | {100 * (e.accuracy or 0):.1f} "
        f"| {e.params / 1e6:.2f} | {e.flops / 1e6:.1f} |"
        for e in front
    ]
    head = [f"| {' | '.join(COLUMNS)} |", "| --- | ---: | ---: | ---: | ---: |"]
    return "\n".join([f"## {task}\n", f"{len(front)} of {count} networks.\n", *head, *rows])
