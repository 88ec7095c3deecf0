"""Which networks fit the limits, and what to ask for when none does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tans.costs.latency import latencies
from tans.costs.pace import cached_pace, paced
from tans.errors import LimitError
from tans.networks.family import describe
from tans.tasks.splits import SPLITS
from tans.tasks.task import Task
from tans.training import HEAD_IMAGES, NORM_IMAGES, Recipe
from tans.types import Constraints, NetworkRef, ZooEntry

Array = NDArray[np.float64]
EPOCHS = Recipe.epochs
"""Of the fine-tune that ``max_minutes`` limits, and that accuracies are predicted for."""


def costs_of(
    entries: Sequence[ZooEntry], task: Task, limits: Constraints
) -> tuple[dict[str, Array], float | None]:
    """Per limit, what each entry needs (N,), and the mean relative error of the latencies.

    Latency and minutes are only there when they are limited, as both are measured on first use.
    """
    classes = len(task.classes)
    widths = np.array([entry.width for entry in entries])
    costs = {
        "max_params": np.array([e.body_params for e in entries]) + (widths + 1.0) * classes,
        "max_flops": np.array([e.body_flops for e in entries]) + widths * float(classes),
    }
    return costs, _add_times(costs, [entry.ref for entry in entries], task, limits)


def needs(refs: Sequence[NetworkRef], task: Task, limits: Constraints) -> dict[str, Array]:
    """Per limit, what each network needs (N,), whether it is stored or not."""
    own = [describe(ref).costs(len(task.classes)) for ref in refs]
    costs = {
        "max_params": np.array([float(c.params) for c in own]),
        "max_flops": np.array([float(c.flops) for c in own]),
    }
    _add_times(costs, refs, task, limits)
    return costs


def _add_times(
    costs: dict[str, Array], refs: Sequence[NetworkRef], task: Task, limits: Constraints
) -> float | None:
    """Add what is limited of latency and minutes; the latencies' relative error."""
    error = None
    if limits.max_latency_ms is not None:
        costs["max_latency_ms"], error = latencies(refs, len(task.classes))
    if limits.max_minutes is not None:
        costs["max_minutes"] = _minutes(refs, costs["max_flops"], task)
    return error


def _minutes(refs: Sequence[NetworkRef], flops: Array, task: Task) -> Array:
    """Minutes (N,) of a fine-tune on this device, its validation and its test included."""
    train, val, test = torch.bincount(task.splits, minlength=len(SPLITS)).tolist()
    # before the first epoch and after each: batch-norm statistics, and validation
    looked_at = (EPOCHS + 1) * (val + min(train, NORM_IMAGES))
    looked_at += test + min(train, HEAD_IMAGES)
    paces: dict[str, list[int]] = {}
    for row, ref in enumerate(refs):
        paces.setdefault(paced(ref), []).append(row)
    minutes = np.zeros(len(refs))
    for rows in paces.values():
        pace = cached_pace(refs[rows[0]])
        minutes[rows] = pace.minutes(flops[rows], train, EPOCHS, looked_at)
    return minutes


def fits(costs: dict[str, Array], limits: Constraints) -> NDArray[np.bool_]:
    """Mask of networks within every limit.

    Raises:
        LimitError: the mask would be empty.
    """
    within = {
        name: costs[name] <= limit for name, limit in vars(limits).items() if limit is not None
    }
    everyone = np.ones(len(costs["max_params"]), dtype=bool)
    fits = np.logical_and.reduce([everyone, *within.values()])
    if fits.any():
        return fits
    asked = ", ".join(f"{name} {vars(limits)[name]:g}" for name in within)
    raise LimitError(f"no network here fits {asked}; {_nearest_limit(costs, within)}")


def _nearest_limit(costs: dict[str, Array], within: dict[str, NDArray[np.bool_]]) -> str:
    """What to raise: one limit where that is enough, else all to those of the smallest network."""
    enough = []
    for name in within:
        others = np.logical_and.reduce(
            [np.ones(len(costs[name]), dtype=bool), *(m for n, m in within.items() if n != name)]
        )
        if others.any():
            enough.append(f"{name} {_round_up(costs[name][others].min()):g}")
    if enough:
        return f"the nearest limit that one would fit is {' or '.join(enough)}"
    smallest = int(costs["max_params"].argmin())
    return "the smallest needs " + ", ".join(
        f"{name} {_round_up(costs[name][smallest]):g}" for name in within
    )


def _round_up(value: float) -> float:
    """Four digits, never below ``value``, so that the limit named is one that works."""
    step = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(np.ceil(value / step) * step)
