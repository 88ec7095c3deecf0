"""Stored fine-tunes, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.cost import looking, training
from tans_bench.experiments.judged.jobs import TUNED, Cell
from tans_bench.experiments.judged.methods import Method, Seen, tuned
from tans_bench.runs.results import Result, Results


class Runs:
    """Stored fine-tunes, and what was known before them.

    Args:
        results: where they are stored.
        seen: of each cell.
    """

    def __init__(self, results: Results, seen: Mapping[Cell, Seen]) -> None:
        self.seen = seen
        self._stored = {_key(line): line for line in results.lines(TUNED)}

    def of(self, method: Method, cell: Cell, steps: int = field.STEPS) -> Result | None:
        """The run of what a method chose on a cell; None where it is not stored."""
        if cell not in self.seen or not method.knows(self.seen[cell]):
            return None
        return self._stored.get(_key(tuned(method, self.seen[cell], steps).key()))

    def accuracy(self, method: Method, cell: Cell, steps: int = field.STEPS) -> float | None:
        """In %."""
        run = self.of(method, cell, steps)
        return None if run is None else 100 * run["accuracy"]

    def cost(self, method: Method, cell: Cell, steps: int = field.STEPS) -> float | None:
        """Multiply-adds of look and fine-tune."""
        run, seen = self.of(method, cell, steps), self.seen.get(cell)
        if run is None or seen is None:
            return None
        looked = (seen.flops[name] for name in method.looked_at(seen))
        return training(tuned(method, seen, steps), run) + looking(looked, run["splits"][0])


def _key(run: Result) -> tuple[object, ...]:
    names = ("task", "seed", "images", "network", "size", "steps", "recipe")
    return tuple(run[name] for name in names)
