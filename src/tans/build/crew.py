"""Who does work that falls into pieces: this machine, or a cluster (``tans.build.cluster``)."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

import torch

from tans.build.measure import METERS, Meter
from tans.errors import ZooError
from tans.networks.device import DEVICE, device, on, several, shared_out
from tans.tasks.task import Task
from tans.types import Costs, NetworkRef, ZooEntry
from tans.zoo.zoo import Zoo

NEWS_S = 0.5
"""Seconds between two looks at what the workers tell."""

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


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


class Work(Protocol[Item_contra, Result_co]):
    """One piece of work; a function of a module, or a partial of one, so that it can be sent."""

    def __call__(self, item: Item_contra, *, on_progress: Listener | None) -> Result_co: ...


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
    """Trains supernets, measures pairs, looks at networks: whatever falls into pieces."""

    @property
    def distant(self) -> bool:
        """Whether its workers may be on other machines, which do not see a task's files."""
        ...

    @property
    def slots(self) -> int:
        """Pairs that it measures at the same time, now."""
        ...

    def each(
        self, work: Work[Item, Result], items: Iterable[Item], on_progress: Listener | None = None
    ) -> Generator[tuple[int, Result], None, None]:
        """Do the work for every item; number and result of each, in any order."""
        ...

    def measure(self, zoo: Zoo, candidates: Sequence[Candidate]) -> Iterator[Timed]:
        """Measure pairs in any order."""
        ...


class Here:
    """The processes of this machine.

    Args:
        workers: that train supernets side by side. Pairs are measured one after another, on cards
            as many at once as fit.
    """

    slots = 1
    distant = False

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._meter = lru_cache(maxsize=METERS)(_meter)

    def each(
        self, work: Work[Item, Result], items: Iterable[Item], on_progress: Listener | None = None
    ) -> Generator[tuple[int, Result], None, None]:
        """Do the work for every item, sharing the processor's cores, and the cards.

        Two processes of one thread each get through about a third more than one of two threads,
        as the layers of small networks are too short to share.

        An interrupt of this process, and its death, stops the workers, after they have stored what
        is done.

        Raises:
            whatever the work raises, or ZooError where a worker died; what was not begun by then
            is left undone.
        """
        if self.workers <= 1:
            for number, item in enumerate(items):
                yield number, work(item, on_progress=on_progress)
        elif len(given := list(items)) <= 1:
            yield from Here().each(work, given, on_progress)
        else:
            yield from _pooled(work, given, self.workers, on_progress)

    def measure(self, zoo: Zoo, candidates: Sequence[Candidate]) -> Iterator[Timed]:
        # those of a task one after another, so that its supernet is read once
        order = sorted(range(len(candidates)), key=lambda k: candidates[k].weights)

        def measured(candidate: Candidate) -> ZooEntry:
            meter = self._meter(zoo, candidate.task, candidate.weights, device())
            return meter.entry(candidate.ref)

        began = time.perf_counter()
        for place, entry in several(measured, [candidates[number] for number in order]):
            now = time.perf_counter()
            yield Timed(order[place], entry, now - began)
            began = time.perf_counter()


def _meter(zoo: Zoo, task: Task, weights: str, where: torch.device) -> Meter:
    """That of a device, which what it reads is put on."""
    with on(where):
        return Meter.of(zoo, task, weights)


def side_by_side(
    work: Work[Item, object],
    items: Sequence[Item],
    workers: int = 1,
    on_progress: Listener | None = None,
) -> None:
    """Do the work for every item here, so many at a time, as ``Here.each``."""
    for _ in Here(workers).each(work, items, on_progress):
        pass


def in_order(results: Iterable[tuple[int, Result]]) -> list[Result]:
    """What a crew's work gave, in the order of the items."""
    return [result for _, result in sorted(results, key=lambda each: each[0])]


def _pooled(
    work: Work[Item, Result], items: Sequence[Item], workers: int, on_progress: Listener | None
) -> Generator[tuple[int, Result], None, None]:
    context = get_context("spawn")
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    news, (ended, end) = context.SimpleQueue(), context.Pipe(duplex=False)
    places = context.SimpleQueue()  # each worker takes one
    for where in shared_out(workers):
        places.put(str(where))
    pool = ProcessPoolExecutor(
        workers, context, initializer=_begin, initargs=(threads, places, news, ended)
    )
    with end, pool:
        # a terminal interrupts all processes; this one alone decides what comes of it
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        futures: dict[Future[Result], int] = {
            pool.submit(_do, _Whole((work, item))): number for number, item in enumerate(items)
        }
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            for future in _ended(futures, news, on_progress):
                yield futures[future], future.result()
        except (KeyboardInterrupt, GeneratorExit):
            end.close()  # which stops the workers
            pool.shutdown(cancel_futures=True)  # one that is starting needs what is held here
            raise
        except BrokenProcessPool as error:
            raise ZooError(
                "a worker process ended before its work was done, as one does that is killed or "
                "finds no memory; what is stored stays: go on with fewer workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass
class _Worker:
    """What this process is to the one that began it."""

    news: SimpleQueue[BuildProgress] | None = None
    busy: bool = False
    """Whether it is in a piece of work, which an interrupt lets store what is done."""


_worker = _Worker()


def _begin(
    threads: int,
    places: SimpleQueue[str],
    news: SimpleQueue[BuildProgress],
    ended: Connection,
) -> None:
    """In a worker, first."""
    torch.set_num_threads(threads)
    os.environ[DEVICE] = places.get()
    _worker.news = news
    signal.signal(signal.SIGTERM, _stop)
    Thread(target=_stop_with, args=(ended,), daemon=True).start()


def _stop_with(ended: Connection) -> None:
    """Wait until the other end of a pipe is closed, by hand or by death, and stop this process."""
    with suppress(EOFError, OSError):
        ended.recv()
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _worker.busy:
        raise KeyboardInterrupt
    os._exit(1)


class _Whole:
    """Sent as a copy of all that it holds, and is that where it arrives.

    torch would have the other process ask for the memory of tensors, and where that is killed
    meanwhile, what answers here writes of it in the midst of what the user reads.
    """

    def __init__(self, content: object) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Callable[[bytes], object], tuple[bytes]]:
        return pickle.loads, (pickle.dumps(self.content, pickle.HIGHEST_PROTOCOL),)


def _do(given: Any) -> Any:
    """In a worker: the work for one item; both are given, and what comes of it is sent whole."""
    work, item = given
    assert _worker.news is not None
    try:
        _worker.busy = True
        return _Whole(work(item, on_progress=_worker.news.put))
    except KeyboardInterrupt:
        os._exit(1)  # there may be nobody to tell
    finally:
        _worker.busy = False


def _ended(
    futures: Iterable[Future[Result]],
    news: SimpleQueue[BuildProgress],
    on_progress: Listener | None,
) -> Iterator[Future[Result]]:
    """The futures as they end, and what the workers tell passed on until all have."""
    running = set(futures)
    while running:
        ended, running = wait(running, timeout=NEWS_S)
        while not news.empty():
            told = news.get()
            if on_progress:
                on_progress(told)
        yield from ended
