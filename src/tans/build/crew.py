"""Who does the work of a build: this machine here, or a cluster (``tans.build.cluster``)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol

from tans.build.measure import METERS, Meter
from tans.build.workers import Item, Listener, Work, side_by_side
from tans.tasks.task import Task
from tans.types import Architecture, Costs, ZooEntry
from tans.zoo.zoo import Zoo


@dataclass(frozen=True)
class Candidate:
    """A pair of a task and a network that may be measured."""

    id: str
    """Of the entry that it is or will be."""
    task: Task
    weights: str
    """SHA-256 of the supernet's weights."""
    architecture: Architecture
    costs: Costs
    """Without a head."""


@dataclass(frozen=True)
class Timed:
    """A measured pair, not yet stored."""

    number: int
    """Of the candidate, in the order that they were given."""
    entry: ZooEntry
    seconds: float


class Crew(Protocol):
    """Trains supernets and measures pairs."""

    @property
    def slots(self) -> int:
        """Pairs that it measures at the same time."""
        ...

    def side_by_side(
        self, work: Work[Item], items: Sequence[Item], on_progress: Listener | None = None
    ) -> None:
        """Do the work for every item, as ``tans.build.workers.side_by_side``."""
        ...

    def measure(self, zoo: Zoo, candidates: Sequence[Candidate]) -> Iterator[Timed]:
        """Measure pairs in any order."""
        ...


class Here:
    """The processes of this machine.

    Args:
        workers: that train supernets side by side; pairs are measured one after another.
    """

    slots = 1

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._meter = lru_cache(maxsize=METERS)(Meter.of)

    def side_by_side(
        self, work: Work[Item], items: Sequence[Item], on_progress: Listener | None = None
    ) -> None:
        side_by_side(work, items, self.workers, on_progress)

    def measure(self, zoo: Zoo, candidates: Sequence[Candidate]) -> Iterator[Timed]:
        # those of a task one after another, so that its supernet is read once
        for number in sorted(range(len(candidates)), key=lambda k: candidates[k].weights):
            candidate = candidates[number]
            meter = partial(self._meter, zoo, candidate.task, candidate.weights)
            began = time.perf_counter()
            entry = meter().entry(candidate.architecture)
            yield Timed(number, entry, time.perf_counter() - began)
