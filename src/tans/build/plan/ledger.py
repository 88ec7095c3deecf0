"""What a construction wrote down: what each pair cost and brought, and the fronts it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tans.build.costing import FILE, Costing
from tans.build.plan.construct import Step
from tans.build.plan.growth import Array, Front, undominated
from tans.errors import in_markdown
from tans.types import ZooEntry
from tans.zoo.rows import LedgerLine
from tans.zoo.zoo import Zoo

REPORT = "construction.md"
"""In a zoo's folder: the Pareto front of every dataset."""
COLUMNS = ("network", "validation", "test", "parameters")
"""And what the build counts beside them."""


def line_of(step: Step, pair: str, task: str, latency_ms: float | None = None) -> LedgerLine:
    """What a step cost and brought, rounded.

    Args:
        pair: id of its entry.
        latency_ms: of its network, where the build counts it.
    """
    return LedgerLine(
        pair,
        task,
        seconds=round(step.outcome.seconds, 3),
        accuracy=round(step.outcome.accuracy, 6),
        expected=None if step.expected is None else round(step.expected, 6),
        growth=round(step.growth, 6),
        volume=round(step.volume, 6),
        latency_ms=None if latency_ms is None else round(latency_ms, 4),
    )


def pairs_of(zoo: Zoo) -> list[LedgerLine]:
    """The ledger of a zoo, of each pair the last line.

    A build that is killed while it stores a batch measures its pairs again, and logs them again.

    Raises:
        ZooError: it is damaged.
    """
    return list({line.pair: line for line in zoo.ledger.read()}.values())


def write_report(
    zoo: Zoo,
    entries: Mapping[str, Sequence[ZooEntry]],
    costs: Mapping[str, tuple[float, float]],
    costing: Costing,
) -> None:
    """Write the Pareto front of each task into the zoo's folder.

    Args:
        entries: measured networks of each task.
        costs: of all networks that there were to choose from, by entry id.
        costing: that these costs are of.
    """
    most = np.array(list(costs.values())).max(0)
    found = {task: _front(own, costs, most) for task, own in entries.items() if own}
    mean = sum(volume for _, volume in found.values()) / max(len(entries), 1)
    lines, measured = pairs_of(zoo), sum(map(len, entries.values()))
    head = (
        "# Construction of a zoo\n\n"
        f"{measured} of {len(costs)} pairs of a task and a network were measured, "
        f"{len(lines)} of them in the ledger with {sum(x.seconds for x in lines):.0f} s. "
        f"The hypervolume is {mean:.4f}, mean over {len(entries)} tasks.\n\n"
        "Below, for each task, the networks that no other beats in accuracy on validation images, "
        f"parameters and {_counted(costing)}"
    )
    sections = [
        _section(
            f"{in_markdown(task)}\n\n{len(front)} of {len(entries[task])} networks.",
            front,
            costs,
            costing,
        )
        for task, (front, _) in found.items()
    ]
    zoo.seals.put(REPORT, ("\n\n".join([head, *sections]) + "\n").encode())


def _counted(costing: Costing) -> str:
    """What is counted beside parameters, and the units of the tables."""
    if costing.latency is None:
        return "multiply-adds; accuracies in %, costs in millions, without a head."
    return (
        "latency; accuracies in %, parameters in millions, latency in milliseconds for one image, "
        "both without a head. Latency is predicted from what the device that the build began on "
        f"charged ({FILE}), {costing.latency.error:.0%} off on networks that were left out of that."
    )


def _front(
    entries: Sequence[ZooEntry], costs: Mapping[str, tuple[float, float]], most: Array
) -> tuple[list[ZooEntry], float]:
    """Networks of the front, smallest first, and its hypervolume."""
    own = np.array([costs[entry.id] for entry in entries]) / most
    accuracies = [e.val_accuracy or 0.0 for e in entries]
    kept = undominated(accuracies, own)
    found = [entry for entry, keep in zip(entries, kept, strict=True) if keep]
    return sorted(found, key=lambda e: e.body_params), Front.of(accuracies, own).volume


def _section(
    head: str,
    front: Sequence[ZooEntry],
    costs: Mapping[str, tuple[float, float]],
    costing: Costing,
) -> str:
    counts_time = costing.latency is not None
    title = "latency" if counts_time else "multiply-adds"
    columns = [f"| {' | '.join((*COLUMNS, title))} |", "| --- | ---: | ---: | ---: | ---: |"]
    rows = [
        f"| {in_markdown(e.id)} "
        f"| {100 * (e.val_accuracy or 0):.1f} | {100 * (e.accuracy or 0):.1f} "
        f"| {e.body_params / 1e6:.2f} "
        f"| {f'{costs[e.id][1]:.2f}' if counts_time else f'{e.body_flops / 1e6:.1f}'} |"
        for e in front
    ]
    return "\n".join([f"## {head}\n", *columns, *rows])
