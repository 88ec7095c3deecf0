"""Who does the work of a build: this machine here, or a cluster (``tans.build.cluster``)."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

import torch

from tans.build.measure import METERS, Meter
from tans.tasks.task import Task
from tans.types import Costs, NetworkRef, ZooEntry
from tans.zoo.zoo import Zoo

NEWS_S = 0.5
"""Seconds between two looks at what the workers tell."""

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)


@dataclass(frozen=True)
class BuildProgress:
    """Where a build is."""

    task: str
    """Empty where it is in the pairs of all tasks."""
    step: str
    """``distil``, ``train``, ``measure``, ``probe`` or ``transfer``."""
    done: int
    total: int
    volume: float | None = None
    """Mean hypervolume of the tasks' fronts by then, where pairs are chosen."""


Listener = Callable[[BuildProgress], None]


class Work(Protocol[Item_contra]):
    """One piece of work; a function of a module, or a partial of one, so that it can be sent."""

    def __call__(self, item: Item_contra, *, on_progress: Listener | None) -> None: ...


@dataclass(frozen=True)
class Candidate:
    """A pair of a task and a network that may be measured."""

    id: str
    """Of the entry that it is or will be."""
    task: Task
    weights: str
    """SHA-256 of the supernet's weights."""
    ref: NetworkRef
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
        """Do the work for every item, as the function ``side_by_side``."""
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
            entry = meter().entry(candidate.ref)
            yield Timed(number, entry, time.perf_counter() - began)


def side_by_side(
    work: Work[Item],
    items: Sequence[Item],
    workers: int = 1,
    on_progress: Listener | None = None,
) -> None:
    """Do the work for every item, so many at a time, sharing the processor's cores.

    Two processes of one thread each get through about a third more than one of two threads, as
    the layers of small networks are too short to share.

    Raises:
        whatever the work raises; what was not begun by then is left undone.
    """
    if workers <= 1 or len(items) <= 1:
        for item in items:
            work(item, on_progress=on_progress)
        return
    context = get_context("spawn")
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(
            workers, context, initializer=torch.set_num_threads, initargs=(threads,)
        ) as pool,
    ):
        news = manager.Queue()
        futures = [pool.submit(_do, work, item, news) for item in items]
        try:
            _follow(futures, news, on_progress)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _do(work: Work[Any], item: object, news: queue.Queue[BuildProgress]) -> None:
    work(item, on_progress=news.put)


def _follow(
    futures: Sequence[Future[None]],
    news: queue.Queue[BuildProgress],
    on_progress: Listener | None,
) -> None:
    """Pass on what the workers tell until all have ended or one has failed."""
    running = set(futures)
    while running:
        ended, running = wait(running, timeout=NEWS_S)
        while not news.empty():
            told = news.get()
            if on_progress:
                on_progress(told)
        for future in ended:
            future.result()
