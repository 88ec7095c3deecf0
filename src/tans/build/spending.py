"""What the steps of a zoo's building cost, from its log of costs."""

from __future__ import annotations

import time

from tans.zoo.rows import StepCost
from tans.zoo.zoo import Zoo


def log_since(zoo: Zoo, task: str, step: str, count: int, began: float) -> float:
    """Log what a step took for so many images since ``began`` of ``time.perf_counter``.

    Returns:
        Seconds.
    """
    seconds = time.perf_counter() - began
    zoo.costs.add([StepCost(task, step, count, round(seconds, 1))])
    return seconds


def seconds_spent(zoo: Zoo) -> dict[str, float]:
    """Seconds that a zoo has cost so far by step: ``distil``, ``train``, ``measure``, ``transfer``.

    Raises:
        ZooError: the log of costs is damaged.
    """
    found = {"transfer": sum(transfer.seconds for transfer in zoo.transfers())}
    for cost in zoo.costs.read():
        found[cost.step] = found.get(cost.step, 0.0) + cost.seconds
    return found


def seconds_per_network(zoo: Zoo) -> dict[str, float]:
    """Seconds that measuring a network of a task took, for each task that is on record.

    Raises:
        ZooError: the log of costs is damaged.
    """
    spent: dict[str, tuple[int, float]] = {}
    for cost in zoo.costs.read():
        if cost.step == "measure":
            count, seconds = spent.get(cost.task, (0, 0.0))
            spent[cost.task] = (count + cost.count, seconds + cost.seconds)
    return {task: seconds / count for task, (count, seconds) in spent.items()}
