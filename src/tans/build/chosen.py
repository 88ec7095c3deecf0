"""Fill a zoo with the pairs of a task and a network that a strategy names (paper, section 3.3).

Every task's supernet is trained first; training a pair then means to measure one of its subnets.
What is stored counts as measured, so a build that was stopped goes on where it was, and it counts
what it began with (``tans.build.costing``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tans.build.costing import Costing, check_counted, fixed_costing
from tans.build.crew import Candidate, Crew, Here
from tans.build.engine import BuildSettings, make_supernets, subnets_of
from tans.build.plan import ledger
from tans.build.plan.construct import BATCH, Budget, Outcome, Step, construct
from tans.build.plan.growth import Array, normalised
from tans.build.plan.strategies import (
    STRATEGIES,
    Measured,
    Pool,
    Surrogate,
    check_strategy,
    first_pairs,
)
from tans.build.spending import log_seconds
from tans.build.workers import Listener
from tans.tasks.task import Task
from tans.types import ZooEntry
from tans.zoo.zoo import Zoo, entry_id

Counted = Callable[[Step, int], None]
"""Is told of each measured pair, and how many there will be in all, at most."""


class Describe(Protocol):
    """Says what a surrogate is told of pairs, and makes one that reads it.

    ``tans.build.plan.surrogate.describe_pairs`` is one; a zoo knows nothing of learning.
    """

    def __call__(
        self,
        images: Sequence[NDArray[np.floating]],
        tasks: NDArray[np.integer],
        topology: Array,
        costs: Array,
    ) -> tuple[Array, Surrogate]:
        """Features (n, f), from each task's image features (n_i, d) and pairs' tasks (n,),
        topology (n, t), and parameters and multiply-adds (n, 2)."""
        ...


@dataclass(frozen=True)
class Choice:
    """How pairs are chosen."""

    strategy: str
    """One of ``tans.build.plan.strategies.STRATEGIES``."""
    budget: Budget
    start: int = 2
    """Random pairs of each task to begin with, where the strategy learns."""
    batch: int = BATCH
    """Pairs that are named at once, at least; as many as the crew measures at the same time."""
    cost: str | None = None
    """What counts beside accuracy and parameters, one of ``costing.COUNTED``; None is what
    the build began with, and latency where it begins now."""

    def __post_init__(self) -> None:
        check_strategy(self.strategy)
        if self.cost is not None:
            check_counted(self.cost)


def build_chosen(
    path: str | Path,
    tasks: Sequence[Task],
    settings: BuildSettings,
    choice: Choice,
    describe: Describe,
    *,
    base_from: Zoo | None = None,
    crew: Crew | None = None,
    on_progress: Listener | None = None,
    on_pair: Counted | None = None,
) -> Zoo:
    """Make or continue a zoo of some pairs, with a ledger and a report of the fronts.

    Args:
        path: folder of the zoo, made when missing.
        base_from: a zoo whose elastic base to share; None distils a new one on these tasks.
        crew: who trains supernets and measures pairs; this process when None.
        on_progress: told after every epoch.
        on_pair: told after every measured pair.

    Raises:
        ZooError: the folder holds something else, a zoo of other settings, or a build that counts
            another cost.
    """
    tasks = list({task.name: task for task in tasks}.values())  # a task that is named twice is one
    crew = crew or Here()
    zoo = Zoo.create(path, settings.space, settings.resolution)
    # before there is other work on this device
    costing = fixed_costing(zoo.path, zoo.space, zoo.resolution, choice.cost)
    zoo = make_supernets(
        path, tasks, settings, base_from=base_from, crew=crew, on_progress=on_progress
    )
    candidates = _candidates(zoo, tasks, settings)
    costs = [costing.of(c.architecture, c.costs, zoo.resolution) for c in candidates]
    pool, surrogate = _pool(zoo, tasks, candidates, np.array(costs), describe)
    total = min(choice.budget.pairs, len(pool))
    learns = choice.strategy not in ("grid", "random")
    steps = construct(
        pool,
        STRATEGIES[choice.strategy](surrogate, settings.seed),
        lambda pairs: _measure(zoo, crew, candidates, pairs),
        choice.budget,
        measured=_measured(zoo, candidates),
        start=first_pairs(pool, choice.start, settings.seed) if learns else (),
        batch=max(choice.batch, crew.slots),
    )
    with closing(steps):
        for step in steps:
            candidate = candidates[step.outcome.pair]
            ms = costs[step.outcome.pair][1] if costing.latency else None
            ledger.append(zoo.path, ledger.Line.of(step, candidate.id, candidate.task.name, ms))
            if on_pair:
                on_pair(step, total)
    zoo = Zoo.open(zoo.path)
    _report(zoo, candidates, costs, costing)
    zoo.compact()
    return zoo


def _candidates(zoo: Zoo, tasks: Sequence[Task], settings: BuildSettings) -> list[Candidate]:
    """Each task's subnets, in the order in which ``build_zoo`` would measure them."""
    found = []
    for task in tasks:
        weights = zoo.task(task.name).weights
        for architecture in subnets_of(task.name, settings):
            id = entry_id(task.name, weights, architecture, zoo.resolution)
            costs = zoo.space.costs(architecture, 0, zoo.resolution)
            found.append(Candidate(id, task, weights, architecture, costs))
    return found


def _pool(
    zoo: Zoo,
    tasks: Sequence[Task],
    candidates: Sequence[Candidate],
    costs: Array,
    describe: Describe,
) -> tuple[Pool, Surrogate]:
    """Candidates and their costs (n, 2) as numbers.

    A pair's time goes with its multiply-adds and with the images that it is measured on. What the
    surrogate is told is the same on every device, as accuracies are.
    """
    names = [task.name for task in tasks]
    numbers = np.array([names.index(c.task.name) for c in candidates])
    counted = np.array([[c.costs.params, c.costs.flops] for c in candidates], dtype=float)
    held_out = np.array(
        [sum(len(task.split(s, zoo.resolution)[1]) for s in ("val", "test")) for task in tasks],
        dtype=float,
    )
    topology = np.array([zoo.space.topology(c.architecture) for c in candidates])
    images = [zoo.features(name)[0].numpy() for name in names]
    features, surrogate = describe(images, numbers, topology, counted)
    return Pool(numbers, normalised(costs), features, counted[:, 1] * held_out[numbers]), surrogate


def _measured(zoo: Zoo, candidates: Sequence[Candidate]) -> Measured:
    """What is stored already."""
    stored = {entry.id: entry.val_accuracy for entry in zoo.entries(vectors=False)}
    known = [(k, stored[c.id] or 0.0) for k, c in enumerate(candidates) if c.id in stored]
    return Measured(tuple(k for k, _ in known), tuple(accuracy for _, accuracy in known))


def _measure(
    zoo: Zoo, crew: Crew, candidates: Sequence[Candidate], pairs: Sequence[int]
) -> Iterator[Outcome]:
    """Measure the pairs of a batch, and store them when it ends, however it does."""
    entries: list[ZooEntry] = []
    spent: dict[str, list[float]] = {}
    try:
        for done in crew.measure(zoo, [candidates[pair] for pair in pairs]):
            entries.append(done.entry)
            spent.setdefault(done.entry.task, []).append(done.seconds)
            yield Outcome(pairs[done.number], done.entry.val_accuracy or 0.0, done.seconds)
    finally:  # one commit, as one for each would slow the table
        zoo.add_entries(entries)
        for task, each in spent.items():
            log_seconds(zoo, task, "measure", len(each), sum(each))


def _report(
    zoo: Zoo,
    candidates: Sequence[Candidate],
    costs: Sequence[tuple[float, float]],
    costing: Costing,
) -> None:
    entries = {entry.id: entry for entry in zoo.entries(vectors=False)}
    found: dict[str, list[ZooEntry]] = {}
    for candidate in candidates:
        own = found.setdefault(candidate.task.name, [])
        if candidate.id in entries:
            own.append(entries[candidate.id])
    named = {candidate.id: own for candidate, own in zip(candidates, costs, strict=True)}
    ledger.write_report(zoo.path, found, named, costing)
