"""The record of what each step of a zoo's building cost."""

from __future__ import annotations

import json

from tans.zoo.blobs import damaged
from tans.zoo.zoo import Zoo

COSTS = "costs.jsonl"
"""In a zoo's folder: what each step of its building cost, a line of JSON a step."""


def log_seconds(zoo: Zoo, task: str, step: str, count: int, seconds: float) -> None:
    """Note in the record of costs what a step took for so many images or networks."""
    line = {"task": task, "step": step, "count": count, "seconds": round(seconds, 1)}
    with (zoo.path / COSTS).open("a") as file:
        file.write(json.dumps(line) + "\n")


def seconds_spent(zoo: Zoo) -> dict[str, float]:
    """Seconds that a zoo has cost so far by step: ``distil``, ``train``, ``measure``, ``transfer``.

    Raises:
        ZooError: the record of costs is damaged.
    """
    found = {"transfer": sum(transfer.seconds for transfer in zoo.transfers())}
    for _, step, _, seconds in _logged(zoo):
        found[step] = found.get(step, 0.0) + seconds
    return found


def seconds_per_network(zoo: Zoo) -> dict[str, float]:
    """Seconds that measuring a network of a task took, for each task that is on record.

    Raises:
        ZooError: the record of costs is damaged.
    """
    spent: dict[str, tuple[int, float]] = {}
    for task, step, count, seconds in _logged(zoo):
        if step == "measure":
            before = spent.get(task, (0, 0.0))
            spent[task] = (before[0] + count, before[1] + seconds)
    return {task: seconds / count for task, (count, seconds) in spent.items()}


def _logged(zoo: Zoo) -> list[tuple[str, str, int, float]]:
    """Task, step, count and seconds of each line of the record."""
    path = zoo.path / COSTS
    try:
        lines = map(json.loads, path.read_text().splitlines() if path.exists() else [])
        return [(x["task"], x["step"], int(x["count"]), float(x["seconds"])) for x in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from error
