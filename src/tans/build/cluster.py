"""The home of Ray: build a zoo on a cluster.

Pieces of work are sent to whichever node has room. A piece whose worker or node dies is run again,
and nothing else is lost. The folder of the zoo must be the same on all nodes, as on a network file
system: workers read supernets and thumbnails there, and store the supernets that they train.
Measured pairs come back to the driver, which alone adds them, a batch in one commit. A task's
held-out images go to a node once.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from tans.build.crew import BuildProgress, Candidate, Item, Listener, Timed, Work
from tans.build.measure import METERS, Meter, held_out
from tans.errors import InputError, MissingExtraError, ZooError
from tans.networks.device import DEVICE
from tans.tasks.task import Task
from tans.types import NetworkRef, ZooEntry
from tans.zoo.zoo import Zoo

LOCAL = "local"
"""The address that starts a Ray here."""
ANSWER_S = 10
"""Seconds that a cluster has to answer."""
QUEUED = 2
"""Pieces of work for each slot that are handed out at once, so that their images do not fill memory
and no slot waits."""
RETRIES = 3
"""How often Ray runs a piece of work again whose worker or node died, and how often the driver
hands it in again when that was not enough."""


@dataclass(frozen=True)
class Resources:
    """What one piece of work takes: a pair, or a task's supernet.

    Raises:
        InputError: it takes nothing, or less.
    """

    cpus: float = 1.0
    """Processor cores; also the threads of its process, at least one."""
    gpus: float = 0.0
    """Accelerators; a fraction lets several share one."""

    def __post_init__(self) -> None:
        if not (self.cpus > 0 and self.gpus >= 0):
            raise InputError(
                f"a pair takes {self.cpus} CPUs and {self.gpus} GPUs; "
                "expected CPUs above 0 and GPUs of 0 or more"
            )


@dataclass(frozen=True)
class Source:
    """What a worker makes a ``Meter`` from."""

    path: Path
    """Of the zoo."""
    task: str
    weights: str
    licence: str
    held_out: Any
    """A reference to images and labels, which are fetched only where they are missing."""


@contextmanager
def connected(address: str, resources: Resources | None = None) -> Iterator[Cluster]:
    """A cluster to work on, left again at the end.

    Args:
        address: of a running Ray, such as ``10.0.0.1:6379`` or ``auto``; ``local`` starts one here
            and stops it at the end. A Ray that this process is connected to already is used as
            it is.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no cluster at the address, or it never has room for a pair.
    """
    ray = _ray()
    joined = not ray.is_initialized()
    if joined:
        _join(ray, address)
    try:
        yield Cluster(ray, resources or Resources())
    finally:
        if joined:
            ray.shutdown()


class Cluster:
    """A crew (``tans.build.crew.Crew``) of all nodes of a Ray cluster; get one from ``connected``.

    Args:
        ray: the module, connected.
        resources: that each piece of work takes.

    Raises:
        InputError: no node will ever have room for a piece of work.
    """

    def __init__(self, ray: Any, resources: Resources) -> None:
        self._ray, self.resources = ray, resources
        self._held_out = cache(self._put_held_out)
        self._remote = cache(self._prepare)
        if not self.slots:
            raise InputError(
                f"a pair takes {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, and no node of "
                "the cluster has so many; give smaller --cpus-per-pair or --gpus-per-pair"
            )

    @property
    def slots(self) -> int:
        """Pairs that it measures at the same time, with the nodes that are there now."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(_room(node, self.resources) for node in alive)

    def side_by_side(
        self, work: Work[Item], items: Sequence[Item], on_progress: Listener | None = None
    ) -> None:
        """Do the work for every item, which must look first for what is done already.

        Tells the last that the work told of each item, when the item is done.

        Raises:
            whatever the work raises, or ZooError where its worker dies again and again.
        """
        calls = ((self.resources.cpus, work, self._ray.put(item)) for item in items)
        for _, told in self._each(_do, calls):
            if told is not None and on_progress:
                on_progress(told)

    def measure(self, zoo: Zoo, candidates: Sequence[Candidate]) -> Iterator[Timed]:
        """Measure pairs in the order in which they end.

        Raises:
            whatever measuring raises, or ZooError where its worker dies again and again.
        """
        path = zoo.path.resolve()
        calls = (
            (self.resources.cpus, self._source(path, zoo.resolution, c), c.ref) for c in candidates
        )
        for number, (entry, seconds) in self._each(_measure, calls):
            yield Timed(number, entry, seconds)

    def _each(
        self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """Number and result of each call, in the order in which they end."""
        ray, deaths, remote = self._ray, Counter[int](), self._remote(function)
        waiting, most = enumerate(calls), max(1, QUEUED * self.slots)
        running: dict[Any, tuple[int, tuple[Any, ...]]] = {}
        try:
            while True:
                for number, call in islice(waiting, most - len(running)):
                    running[remote.remote(*call)] = number, call
                if not running:
                    return
                (ended,), _ = ray.wait(list(running), num_returns=1)
                number, call = running.pop(ended)
                try:
                    result = ray.get(ended)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.RayError as error:
                    deaths[number] += 1
                    if deaths[number] > RETRIES:
                        raise _given_up(error) from error
                    running[remote.remote(*call)] = number, call
                    continue
                yield number, result
        finally:
            for reference in running:
                ray.cancel(reference)

    def _source(self, path: Path, resolution: int, candidate: Candidate) -> Source:
        task = candidate.task
        images = self._held_out(task, resolution)
        return Source(path, task.name, candidate.weights, task.card.licence, images)

    def _put_held_out(self, task: Task, resolution: int) -> Any:
        return self._ray.put(held_out(task, resolution))

    def _prepare(self, function: Callable[..., Any]) -> Any:
        """The function as Ray runs it."""
        return self._ray.remote(
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus,
            max_retries=RETRIES,
            max_calls=0,  # a process keeps what it has read, also where it holds an accelerator
        )(function)


def _do(cpus: float, work: Work[Any], item: object) -> BuildProgress | None:
    """On a worker: the work for one item; the last that it told."""
    _begin(cpus)
    told: list[BuildProgress] = []
    work(item, on_progress=told.append)
    return told[-1] if told else None


def _measure(cpus: float, source: Source, ref: NetworkRef) -> tuple[ZooEntry, float]:
    """On a worker: a measured pair, and the seconds that it took."""
    _begin(cpus)
    began = time.perf_counter()
    entry = _meter(source).entry(ref)
    return entry, time.perf_counter() - began


def _begin(cpus: float) -> None:
    """On a worker, first."""
    torch.set_num_threads(max(1, int(cpus)))
    if os.environ.get(DEVICE) != "cpu":  # Ray shows it the cards that are its own, under new names
        os.environ.pop(DEVICE, None)


@lru_cache(maxsize=METERS)
def _meter(source: Source) -> Meter:
    """On a worker: what the pairs of a task share."""
    images = _ray().get(source.held_out)
    zoo = Zoo.open(source.path)
    return Meter.read(zoo, source.task, source.weights, source.licence, held_out=images)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray


def _join(ray: Any, address: str) -> None:
    given: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        if address not in (LOCAL, "auto"):  # Ray itself would try for many minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
        with warnings.catch_warnings():
            # LanceDB's, of forks: those of Ray turn into other programs at once
            warnings.simplefilter("ignore", RuntimeWarning)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **given)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise InputError(
            f"no Ray cluster can be joined at {address!r}: {error}; expected the address of a "
            f"running one as 'ray start' names it, such as 10.0.0.1:6379, or {LOCAL!r}"
        ) from error


def _room(node: dict[str, float], resources: Resources) -> int:
    """Pieces of work that fit a node."""
    needs = {"CPU": resources.cpus, "GPU": resources.gpus}
    return int(min(node.get(name, 0.0) / need for name, need in needs.items() if need))


def _given_up(error: Exception) -> ZooError:
    (reason,) = str(error).splitlines()[:1] or [type(error).__name__]
    return ZooError(
        f"a worker was lost {RETRIES + 1} times over one piece of work ({reason}); what is stored "
        "stays: give a higher --cpus-per-pair, so that fewer share a node's memory, and build again"
    )
