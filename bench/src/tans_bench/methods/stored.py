"""The stored networks that a problem allows."""

from __future__ import annotations

from collections.abc import Sequence

from tans.costs.limits import costs_of, fits
from tans.types import ZooEntry
from tans_bench.methods.method import Problem, Proposal


def within(entries: Sequence[ZooEntry], problem: Problem) -> list[ZooEntry]:
    """Those within the problem's limits.

    Raises:
        LimitError: there are none; names the nearest limit that one would fit.
    """
    costs, _ = costs_of(entries, problem.task, problem.limits)
    kept = fits(costs, problem.limits)  # (n,)
    return [entry for entry, fit in zip(entries, kept.tolist(), strict=True) if fit]


def largest_of(tasks: Sequence[str], entries: Sequence[ZooEntry]) -> Proposal:
    """The largest network of the first of the tasks that has any."""
    task = next(task for task in tasks if any(entry.task == task for entry in entries))
    own = [entry for entry in entries if entry.task == task]
    return Proposal.of(max(own, key=lambda entry: (entry.body_params, entry.resolution)))
