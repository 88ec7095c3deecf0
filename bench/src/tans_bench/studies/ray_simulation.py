"""A build on a cluster of many workers, simulated from what its steps cost.

The driver is one thread: it names a batch, hands its pairs out, takes the results in, and commits
them. A worker runs one pair after another, and first reads what it lacks of the pair's task. Each
pair goes to the worker that is free first. ``ahead`` batches are named before the last has ended: 0
is how ``tans.build.plan`` works, and shows what waiting for the slowest pair of a batch costs.
Where the zoo lies at an address, each node fetches what is read of a task once, and a commit takes
some requests one after another.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

METERS = 16
"""Tasks that a worker remembers, as ``tans.build.measure.METERS``."""


@dataclass(frozen=True)
class Costs:
    """What was measured, in seconds and bytes."""

    pair_s: Sequence[float]
    """Of single pairs; drawn from at random."""
    read_s: float
    """Of reading what the pairs of a task share."""
    choose_s: float
    """Of naming a batch of 8 among 14,000 pairs."""
    choose_more_s: float
    """Of each further pair of a batch."""
    hand_out_s: float
    """On the driver, of handing a pair out and taking its result in."""
    commit_s: float
    """Of a commit, whatever its size."""
    commit_row_s: float
    """Of each entry of a commit."""
    pair_bytes: int
    """To a worker and back, for each pair."""
    read_bytes: int
    """From the file system to a node, once for each task: the page cache keeps them."""
    images_bytes: int
    """From the driver, or the store, to a node, once for each task."""
    request_s: float = 0.0
    """Until a store begins to answer; 0 where there is a shared folder."""
    reads: int = 3
    """Requests one after another, for what the pairs of a task share."""
    node_bytes_per_s: float = math.inf
    """That a node gets from the store."""
    commit_rounds: int = 0
    """Requests one after another, for a commit to be seen at an address."""
    commit_writes: int = 0
    """Files that a commit writes there."""


@dataclass(frozen=True)
class Scale:
    """How large a build is."""

    workers: int
    nodes: int
    tasks: int = 140
    pairs: int = 2520
    """That are measured; choosing is timed for so many among 14,000."""
    batch: int = 8
    ahead: int = 0
    slower: float = 1.0
    """Times the measured seconds of a pair: one that is fine-tuned takes many."""


@dataclass
class Worker:
    """When it is free, and the tasks that it remembers."""

    free: float = 0.0
    busy: float = 0.0
    known: OrderedDict[int, None] = field(default_factory=OrderedDict)
    node: int = 0

    def reads(self, task: int) -> bool:
        """Whether it must read the task first; then it knows it."""
        missing = task not in self.known
        self.known[task] = None
        self.known.move_to_end(task)
        if len(self.known) > METERS:
            self.known.popitem(last=False)
        return missing


def simulate(costs: Costs, scale: Scale, seed: int = 0) -> dict[str, float]:
    """Pairs a second, shares of time, and bytes a second of a whole build."""
    rng, most = random.Random(seed), -(-scale.workers // scale.nodes)
    workers = [Worker(node=number // most) for number in range(scale.workers)]
    fetched: set[tuple[int, int]] = set()
    free = [(0.0, number) for number in range(scale.workers)]
    now, driver, reads, left = 0.0, 0.0, 0, scale.pairs
    ended: list[float] = []
    while left:
        if len(ended) > scale.ahead:
            now = max(now, ended[-1 - scale.ahead])
        size = min(scale.batch, left)
        left -= size
        chosen = costs.choose_s + costs.choose_more_s * max(size - 8, 0)
        now, driver, last = now + chosen, driver + chosen, 0.0
        for task in _drawn(rng, scale.tasks, size):
            now += costs.hand_out_s
            end, read = _run(costs, scale, rng, workers, free, fetched, task, now)
            last, reads = max(last, end), reads + read
        commit = costs.commit_s + costs.commit_row_s * size + costs.commit_rounds * costs.request_s
        driver += costs.hand_out_s * size + commit
        ended.append(max(last, now) + commit)
        if scale.ahead:
            now += commit  # of an earlier batch, while this one runs
    total = max(ended)
    copies = scale.tasks * scale.nodes
    got = len(fetched) * (costs.read_bytes + costs.images_bytes)
    return {
        "seconds": total,
        "pairs_per_s": scale.pairs / total,
        "workers_busy": sum(worker.busy for worker in workers) / (scale.workers * total),
        "driver_busy": min(driver / total, 1.0),
        "pair_bytes_per_s": scale.pairs * costs.pair_bytes / total,
        "tasks_read": reads / scale.workers,
        "read_bytes": copies * costs.read_bytes,
        "image_bytes": copies * costs.images_bytes,
        "committing": len(ended) * costs.commit_rounds * costs.request_s / total,
        "fetched_bytes_per_s": got / total,
        "node_line": got / scale.nodes / costs.node_bytes_per_s / total,
        "gets_per_s": costs.reads * len(fetched) / total,
        "puts_per_s": costs.commit_writes * len(ended) / total,
    }


def _run(
    costs: Costs,
    scale: Scale,
    rng: random.Random,
    workers: Sequence[Worker],
    free: list[tuple[float, int]],
    fetched: set[tuple[int, int]],
    task: int,
    now: float,
) -> tuple[float, bool]:
    """Give a pair to the worker that is free first: when it ends, and whether it read a task."""
    since, number = heapq.heappop(free)
    worker = workers[number]
    reads = worker.reads(task)
    seconds = rng.choice(costs.pair_s) * scale.slower + (costs.read_s if reads else 0.0)
    if reads and (worker.node, task) not in fetched:  # the files of a node are read once
        fetched.add((worker.node, task))
        size = costs.read_bytes + costs.images_bytes
        seconds += costs.reads * costs.request_s + size / costs.node_bytes_per_s
    end = max(since, now) + seconds
    worker.busy += seconds
    heapq.heappush(free, (end, number))
    return end, reads


def _drawn(rng: random.Random, tasks: int, size: int) -> list[int]:
    """Tasks of a batch: each as often as any other, up to one, at random."""
    rounds = -(-size // tasks)
    drawn = [task for _ in range(rounds) for task in rng.sample(range(tasks), tasks)]
    return drawn[:size]
