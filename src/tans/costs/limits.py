"""Which networks fit the limits, and what to ask for when none does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tans.costs.latency import latencies
from tans.costs.pace import cached_pace, paced
from tans.errors import LimitError
from tans.networks.family import describe, head_width
from tans.training import Recipe
from tans.types import Constraints, NetworkRef, ZooEntry

Array = NDArray[np.float64]
DEFAULT = Recipe()
"""Of the fine-tune that ``max_minutes`` limits, and that accuracies are predicted for."""
FEWEST_STEPS, MOST_STEPS = 50, 500
"""Changes of the weights in a fine-tune that minutes shorten, at least, and lengthen, at most."""


class Counted(Protocol):
    """What costs depend on: a task, or a query that was made of one."""

    @property
    def classes(self) -> Sequence[object]: ...

    @property
    def split_sizes(self) -> tuple[int, ...]:
        """Images to train, to validate and to test."""
        ...


def costs_of(
    entries: Sequence[ZooEntry],
    task: Counted,
    limits: Constraints,
    deep_head: bool = DEFAULT.deep_head,
) -> tuple[dict[str, Array], float | None]:
    """Per limit, what each entry needs (N,), and the mean relative error of the latencies.

    Latency and minutes are only there when they are limited, as both are measured on first use.

    Args:
        deep_head: whether the head reads all stages, else the last features alone.
    """
    classes = len(task.classes)
    widths = np.array([head_width(e.ref) if deep_head else e.width for e in entries])
    costs = {
        "max_params": np.array([e.body_params for e in entries]) + (widths + 1.0) * classes,
        "max_flops": np.array([e.body_flops for e in entries]) + widths * float(classes),
    }
    return costs, _add_times(costs, [entry.ref for entry in entries], task, limits)


def needs(refs: Sequence[NetworkRef], task: Counted, limits: Constraints) -> dict[str, Array]:
    """Per limit, what each network needs (N,), whether it is stored or not."""
    own = [describe(ref).costs(len(task.classes), DEFAULT.deep_head) for ref in refs]
    costs = {
        "max_params": np.array([float(c.params) for c in own]),
        "max_flops": np.array([float(c.flops) for c in own]),
    }
    _add_times(costs, refs, task, limits)
    return costs


def _add_times(
    costs: dict[str, Array], refs: Sequence[NetworkRef], task: Counted, limits: Constraints
) -> float | None:
    """Add what is limited of latency and minutes; the latencies' relative error."""
    error = None
    if limits.max_latency_ms is not None:
        costs["max_latency_ms"], error = latencies(refs, len(task.classes))
    if limits.max_minutes is not None:
        costs["max_minutes"] = _minutes(refs, costs["max_flops"], task, DEFAULT)
    return error


def _minutes(refs: Sequence[NetworkRef], flops: Array, task: Counted, recipe: Recipe) -> Array:
    """Minutes (N,) of a fine-tune on this device, its validation and its test included."""
    trained, looked_at = recipe.seen(*task.split_sizes)
    paces: dict[str, list[int]] = {}
    for row, ref in enumerate(refs):
        paces.setdefault(paced(ref), []).append(row)
    minutes = np.zeros(len(refs))
    for rows in paces.values():
        minutes[rows] = cached_pace(refs[rows[0]]).minutes(flops[rows], trained, looked_at)
    return minutes


def minutes_at_pace(ref: NetworkRef, flops: Array, task: Counted) -> Array:
    """Minutes (N,) of a fine-tune of networks that train as fast as one, for their multiply-adds.

    Args:
        flops: under the user's head, (N,).
    """
    return _minutes([ref] * len(flops), flops, task, DEFAULT)


def shortened(
    costs: dict[str, Array], refs: Sequence[NetworkRef], task: Counted
) -> dict[str, Array]:
    """The same costs (N,) each, of a fine-tune of few steps where minutes are limited."""
    if "max_minutes" not in costs:
        return costs
    recipe = replace(DEFAULT, epochs=shortest(task))
    return {**costs, "max_minutes": _minutes(refs, costs["max_flops"], task, recipe)}


def shortest(task: Counted) -> int:
    """Epochs of the shortest fine-tune that is worth it."""
    train = task.split_sizes[0]
    return min(DEFAULT.passes(train), math.ceil(FEWEST_STEPS / DEFAULT.steps(train)))


def epochs_within(minutes: float, ref: NetworkRef, task: Counted) -> int:
    """Epochs of a network's fine-tune that fit into so many minutes on this device.

    No more than ``MOST_STEPS`` ask for, or the default recipe; no fewer than ``shortest``.
    """
    images = task.split_sizes[0]
    most = max(DEFAULT.passes(images), MOST_STEPS // DEFAULT.steps(images))
    least = shortest(task)
    for epochs in range(most, least, -1):
        if minutes_of(epochs, ref, task) <= minutes:
            return epochs
    return least


def minutes_of(epochs: int, ref: NetworkRef, task: Counted) -> float:
    """That a network's fine-tune of so many epochs takes on this device."""
    flops = describe(ref).costs(len(task.classes), DEFAULT.deep_head).flops
    seen = replace(DEFAULT, epochs=epochs).seen(*task.split_sizes)
    return cached_pace(ref).minutes(flops, *seen)


def fits(
    costs: dict[str, Array], limits: Constraints, free: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Mask of networks within every limit.

    Args:
        free: mask of those that come into question at all; all when None.

    Raises:
        LimitError: the mask would be empty.
    """
    found = allowed(costs, limits)
    found = found if free is None else found & free
    if found.any():
        return found
    if free is not None:  # what is named next has to fit
        costs = {name: needed[free] for name, needed in costs.items()}
    within = _within(costs, limits)
    asked = ", ".join(f"{name} {vars(limits)[name]:g}" for name in within)
    raise LimitError(f"no network here fits {asked}; {_nearest_limit(costs, within)}")


def allowed(costs: dict[str, Array], limits: Constraints) -> NDArray[np.bool_]:
    """Mask of networks within every limit, which may be empty."""
    everyone = np.ones(len(costs["max_params"]), dtype=bool)
    return np.logical_and.reduce([everyone, *_within(costs, limits).values()])


def _within(costs: dict[str, Array], limits: Constraints) -> dict[str, NDArray[np.bool_]]:
    """Of each limit that there is, the mask of networks within it."""
    return {name: costs[name] <= limit for name, limit in vars(limits).items() if limit is not None}


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
