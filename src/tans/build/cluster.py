"""The home of Ray: build a zoo on a cluster, and whatever else falls into pieces.

Pieces of work are sent to whichever node has room. A piece whose worker or node dies is run again,
and nothing else is lost. Workers read and store the zoo's files: in a folder that must be the same
on all nodes, as on a network file system, or at an address such as ``s3://bucket/zoo``. All rows
come back to the driver, which alone adds them, a batch in one commit.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import islice
from typing import Any

import torch

from tans.build.crew import BuildProgress, Candidate, Item, Listener, Result, Timed, Work
from tans.build.measure import METERS, Meter, Split, held_out
from tans.build.packing import pack, unpack
from tans.errors import InputError, MissingExtraError, ZooError
from tans.networks.device import DEVICE
from tans.tasks.task import Task
from tans.types import NetworkRef, ZooEntry
from tans.zoo.shared import TRAFFIC, Traffic
from tans.zoo.zoo import Zoo

LOCAL = "local"
"""The address that starts a Ray here."""
ANSWER_S = 10
"""Seconds that a cluster has to answer."""
QUEUED = 2
"""Pieces of work for each slot that are handed out at once, so that their images do not fill memory
and no slot waits."""
RECOUNTED_S = 1.0
"""Seconds from which on slots are counted anew, as nodes join and die."""
PARTS = ("images", "labels")
"""Of a split, as it is packed."""
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

    place: str
    """Folder or address of the zoo."""
    task: str
    weights: str
    licence: str
    held_out: Any
    """Key at the zoo's address of images and labels, or a reference to them in Ray's object store;
    either way they are fetched only where they are missing."""
    zoo: Zoo = field(compare=False)
    """That knows this task."""


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

    Counts what its workers exchanged with the zoo's address, over all work: ``traffic``.

    Raises:
        InputError: no node will ever have room for a piece of work.
    """

    def __init__(self, ray: Any, resources: Resources) -> None:
        self._ray, self.resources = ray, resources
        self.traffic = Traffic()
        self._sent = cache(self._send)
        self._remote = self._prepare()
        if not self.slots:
            raise InputError(
                f"a pair takes {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, and no node of "
                "the cluster has so many; give smaller --cpus-per-pair or --gpus-per-pair"
            )

    distant = True

    @property
    def slots(self) -> int:
        """Pairs that it measures at the same time, with the nodes that are there now."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(_room(node, self.resources) for node in alive)

    def each(
        self, work: Work[Item, Result], items: Iterable[Item], on_progress: Listener | None = None
    ) -> Generator[tuple[int, Result], None, None]:
        """Do the work for every item, which must look first for what is done already.

        What all items share is best a part of the work, which a node is sent once. Tells the last
        that the work told of each item, when the item is done.

        Raises:
            whatever the work raises, or ZooError where its worker dies again and again.
        """
        shared = self._ray.put(work)
        for number, (result, told, traffic) in self._answers(shared, items):
            self.traffic += traffic
            if told is not None and on_progress:
                on_progress(told)
            yield number, result

    def measure(self, zoo: Zoo, candidates: Sequence[Candidate]) -> Iterator[Timed]:
        """Measure pairs in the order in which they end.

        Raises:
            whatever measuring raises, or ZooError where its worker dies again and again.
        """
        items = ((self._source(zoo, c), c.ref) for c in candidates)
        measured: Generator[tuple[int, tuple[ZooEntry, float]], None, None]
        measured = self.each(_measure, items)
        with closing(measured):
            for number, (entry, seconds) in measured:
                yield Timed(number, entry, seconds)

    def _answers(self, work: Any, items: Iterable[object]) -> Iterator[tuple[int, Any]]:
        """Number and answer of each item, in the order in which they end."""
        ray, deaths, remote = self._ray, Counter[int](), self._remote
        waiting, running = enumerate(items), dict[Any, tuple[int, object]]()
        most, counted = 0, -math.inf
        try:
            while True:
                if time.monotonic() - counted > RECOUNTED_S:  # nodes join and die
                    most, counted = max(1, QUEUED * self.slots), time.monotonic()
                for number, item in islice(waiting, max(0, most - len(running))):
                    running[remote.remote(self.resources.cpus, work, item)] = number, item
                if not running:
                    return
                (ended,), _ = ray.wait(list(running), num_returns=1)
                number, item = running.pop(ended)
                try:
                    answer = ray.get(ended)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.RayError as error:
                    deaths[number] += 1
                    if deaths[number] > RETRIES:
                        raise _given_up(error) from error
                    running[remote.remote(self.resources.cpus, work, item)] = number, item
                    continue
                yield number, answer
        finally:
            for reference in running:
                ray.cancel(reference)

    def _source(self, zoo: Zoo, candidate: Candidate) -> Source:
        task = candidate.task
        known, images = self._sent(zoo, task)
        return Source(zoo.place, task.name, candidate.weights, task.card.licence, images, known)

    def _send(self, zoo: Zoo, task: Task) -> tuple[Zoo, Any]:
        """The zoo as a worker needs it, and where it finds the held-out images of a task."""
        splits = held_out(task, zoo.resolution)
        if zoo.address is None:
            return zoo.portable(task.name), self._ray.put(splits)
        named = {
            f"{name}{k}": tensor
            for k, split in enumerate(splits)
            for name, tensor in zip(PARTS, split, strict=True)
        }
        return zoo.portable(task.name), pack(zoo.files.blobs, named)

    def _prepare(self) -> Any:
        """What workers do, as Ray runs it."""
        return self._ray.remote(
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus,
            max_retries=RETRIES,
            max_calls=0,  # a process keeps what it has read, also where it holds an accelerator
        )(_do)


def _do(
    cpus: float, work: Work[Any, Any], item: object
) -> tuple[Any, BuildProgress | None, Traffic]:
    """On a worker: what the work gives for one item, the last that it told, and its traffic."""
    _begin(cpus)
    told: list[BuildProgress] = []
    before = replace(TRAFFIC)
    result = work(item, on_progress=told.append)
    return result, told[-1] if told else None, TRAFFIC - before


def _measure(
    item: tuple[Source, NetworkRef], *, on_progress: Listener | None
) -> tuple[ZooEntry, float]:
    """On a worker: measure a pair."""
    del on_progress  # one pair is one step
    source, ref = item
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
    zoo = source.zoo
    if isinstance(source.held_out, str):
        named = unpack(zoo.files.blobs, source.held_out)
        images, labels = ([named[f"{name}{k}"] for k in (0, 1)] for name in PARTS)
        splits: tuple[Split, ...] = tuple(zip(images, labels, strict=True))
    else:
        splits = _ray().get(source.held_out)
    return Meter.read(zoo, source.task, source.weights, source.licence, held_out=splits)


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
