"""Means over tasks, and their intervals over families of tasks."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tans_bench.experiments.judged.jobs import Cell
from tans_bench.sources.registry import get_source

DRAWS, SEED = 10_000, 0
"""Of families, for an interval."""
NONE = "\N{EN DASH}"
"""Where something was not measured."""


def interval(gains: Mapping[str, float]) -> tuple[float, float, float]:
    """Mean gain of tasks, and its 95 % interval by a bootstrap over their families.

    Args:
        gains: by task.
    """
    families: dict[str, list[float]] = {}
    for task, gain in gains.items():
        families.setdefault(get_source(task).family, []).append(gain)
    sums = np.array([[sum(own), len(own)] for own in families.values()])  # (f, 2)
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(DRAWS, len(sums)))
    totals = sums[drawn].sum(1)  # (draws, 2)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], (0.025, 0.975))
    return statistics.fmean(gains.values()), float(low), float(high)


def spread(gains: Mapping[str, Sequence[float]]) -> str:
    """Mean gain over tasks, each the mean of its seeds; of several tasks with its interval."""
    means = {task: statistics.fmean(own) for task, own in gains.items() if own}
    if not means:
        return NONE
    middle, low, high = interval(means)
    between = f" ({low:+z.1f} to {high:+z.1f})" if len(means) > 1 else ""
    return f"{middle:+z.1f}{between}"


def paired(
    found: Iterable[tuple[Cell, float | None, float | None]],
) -> dict[str, list[float]]:
    """Differences by task, of the cells where both were measured."""
    gains: dict[str, list[float]] = {}
    for cell, own, other in found:
        if own is not None and other is not None:
            gains.setdefault(cell.task, []).append(own - other)
    return gains


def mean(values: Sequence[float | None]) -> float | None:
    """The mean, or None where a value is missing: one over other runs compares with nothing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def count_families(tasks: Iterable[str]) -> int:
    return len({get_source(task).family for task in tasks})
