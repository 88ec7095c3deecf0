"""Train pairs in the order that a strategy names, until a budget is spent (paper, section 3.3)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from tans.build.plan.growth import Front
from tans.build.plan.strategies import Measured, Pick, Pool, Strategy
from tans.errors import InputError

BATCH = 8
"""Pairs between two looks at what to train next."""


@dataclass(frozen=True)
class Budget:
    """When to stop; whichever comes first."""

    pairs: int
    """In all, with those that were measured before."""
    minutes: float | None = None
    """From now on; None is no limit."""
    growth: float = 0.0
    """Stops when no pair of a batch is expected to add as much to its dataset's hypervolume."""

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise InputError(f"the budget is {self.pairs} pairs; expected at least 1")
        if self.minutes is not None and not self.minutes > 0:
            raise InputError(f"the budget is {self.minutes} minutes; expected more than 0")
        if not self.growth >= 0:
            raise InputError(f"the least growth is {self.growth}; expected 0 or more")


@dataclass(frozen=True)
class Outcome:
    """A pair that was trained."""

    pair: int
    accuracy: float
    """In [0, 1]."""
    seconds: float


Train = Callable[[Sequence[int]], Iterable[Outcome]]
"""Trains the pairs of a batch, in any order and side by side, and yields each when it is done."""


@dataclass(frozen=True)
class Step:
    """What a pair was expected to bring, and what it brought."""

    outcome: Outcome
    expected: float | None
    """Growth of its dataset's hypervolume; None where the strategy expects nothing."""
    growth: float
    """Real growth."""
    volume: float
    """Hypervolume after it, mean over datasets."""
    pairs: int
    """Measured by then, in all."""


def construct(
    pool: Pool,
    strategy: Strategy,
    train: Train,
    budget: Budget,
    *,
    measured: Measured | None = None,
    start: Sequence[int] = (),
    batch: Callable[[], int] = lambda: BATCH,
) -> Generator[Step, None, None]:
    """Train pairs until the budget is spent or none is left.

    Args:
        measured: pairs that are known already.
        start: pairs to train first, whatever the strategy.
        batch: pairs that are named at once, at most; asked anew each time, as a crew may grow.
    """
    measured = measured or Measured()
    fronts, began = measured.fronts(pool), time.monotonic()
    while (left := budget.pairs - len(measured.pairs)) > 0:
        picks = _next(pool, strategy, measured, start, min(batch(), left))
        if _too_little(picks, budget):
            return
        expected = {pick.pair: pick.growth for pick in picks}
        for outcome in train([pick.pair for pick in picks]):
            measured = measured.added(outcome.pair, outcome.accuracy)
            grown = _grow(fronts, pool, outcome)
            volume = statistics.fmean(front.volume for front in fronts)
            found = expected[outcome.pair]
            yield Step(outcome, found, grown, volume, len(measured.pairs))
            if budget.minutes is not None and time.monotonic() - began > 60 * budget.minutes:
                return


def _next(
    pool: Pool, strategy: Strategy, measured: Measured, start: Sequence[int], count: int
) -> list[Pick]:
    """The next batch: what is missing of the start, else what the strategy names."""
    known = set(measured.pairs)
    if missing := [pair for pair in start if pair not in known]:
        return [Pick(pair) for pair in missing[:count]]
    return strategy.choose(pool, measured, count) if len(known) < len(pool) else []


def _too_little(picks: Sequence[Pick], budget: Budget) -> bool:
    """Whether there is none, or none that is worth it."""
    expected = [pick.growth for pick in picks if pick.growth is not None]
    return not picks or (bool(expected) and max(expected) < budget.growth)


def _grow(fronts: list[Front], pool: Pool, outcome: Outcome) -> float:
    """Put an outcome on its dataset's front; by how much the volume grew."""
    dataset = pool.datasets[outcome.pair]
    before = fronts[dataset]
    fronts[dataset] = before.with_network(outcome.accuracy, pool.costs[outcome.pair])
    return max(fronts[dataset].volume - before.volume, 0.0)
