"""What is learnt from: datasets, and architectures whose accuracy on them was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from tans.errors import ZooError
from tans.networks.families.elastic.specification import architecture_of
from tans.types import Architecture
from tans.zoo.zoo import Zoo
from tans_bench.methods.metad2a.encoder import Sets
from tans_bench.methods.metad2a.graphs import Graphs, elastic_graphs
from tans_bench.methods.method import space_of

Dataset = tuple[Tensor, Tensor]
"""Image features (n, f) and labels (n,)."""
LEAST_SPREAD = 1e-4
"""Of the accuracies of a task, that others are divided by."""


@dataclass(frozen=True)
class Pair:
    """An architecture that was measured on a task."""

    task: str
    architecture: Architecture
    accuracy: float
    """On validation images, in [0, 1]; this is learnt from."""
    flops: int
    """Multiply-adds for one image."""
    test_accuracy: float | None = None
    """On test images; to judge by alone."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of one space, and the datasets of their tasks."""

    graphs: Graphs
    datasets: Mapping[str, Dataset]
    """By task."""
    measured: Sequence[Pair]
    """Of these tasks."""

    @classmethod
    def of_zoo(cls, zoo: Zoo) -> Pairs:
        """The zoo's subnets on their own source tasks, by validation accuracy.

        Raises:
            ZooError: it has no task with image features and measured networks.
        """
        datasets = {task.name: zoo.features(task.name) for task in zoo.tasks() if task.features}
        measured = [
            Pair(
                entry.task,
                architecture_of(entry.ref),
                entry.val_accuracy,
                entry.body_flops,
                entry.accuracy,
            )
            for entry in zoo.entries(vectors=False)
            if entry.val_accuracy is not None and entry.task in datasets
        ]
        if not measured:
            raise ZooError(
                f"the zoo in {zoo.path} has no measured networks of tasks with images; "
                "expected some: 'tans zoo build'"
            )
        known = {pair.task for pair in measured}
        kept = {name: dataset for name, dataset in datasets.items() if name in known}
        return cls(elastic_graphs(space_of(zoo)), kept, measured)

    def without(self, tasks: Collection[str]) -> Pairs:
        """Those of the other tasks."""
        datasets = {name: own for name, own in self.datasets.items() if name not in tasks}
        measured = [pair for pair in self.measured if pair.task not in tasks]
        return replace(self, datasets=datasets, measured=measured)

    def of(self, task: str) -> list[Pair]:
        """Those of one task."""
        return [pair for pair in self.measured if pair.task == task]

    def digest(self) -> str:
        """SHA-256 of all that is learnt from."""
        hasher = hashlib.sha256()
        for name, (features, labels) in self.datasets.items():
            hasher.update(name.encode())
            hasher.update(features.float().numpy().tobytes() + labels.numpy().tobytes())
        for pair in self.measured:
            hasher.update(f"{pair.task} {pair.architecture} {pair.accuracy} {pair.flops}".encode())
        return hasher.hexdigest()

    @cached_property
    def sets(self) -> Sets:
        """The datasets, in their order."""
        return Sets.of(list(self.datasets.values()))

    @cached_property
    def types(self) -> Tensor:
        """Of the vertices of each pair's graph, int64 (a, v)."""
        return self.graphs.types([pair.architecture for pair in self.measured])

    @cached_property
    def tasks(self) -> Tensor:
        """Of each pair, an index into ``datasets``, int64 (a,)."""
        places = {name: place for place, name in enumerate(self.datasets)}
        return torch.tensor([places[pair.task] for pair in self.measured])

    @cached_property
    def scores(self) -> Tensor:
        """Accuracies (a,) as deviations from their task's mean, in its standard deviations."""
        accuracy = torch.tensor([pair.accuracy for pair in self.measured])
        same = (self.tasks[:, None] == self.tasks).float()  # (a, a)
        count = same.sum(1)
        centred = accuracy - same @ accuracy / count
        spread = (same @ centred.square() / count).sqrt()
        return centred / spread.clamp_min(LEAST_SPREAD)

    def held_out(self, share: float, seed: int) -> tuple[Tensor, Tensor]:
        """Pairs to learn from and pairs held out, int64, at random about this share of every
        task's: at least one of a task that has two.
        """
        generator = torch.Generator().manual_seed(seed)
        held = []
        for task in self.tasks.unique():
            own = (self.tasks == task).nonzero()[:, 0]
            count = min(len(own) - 1, max(1, round(share * len(own))))
            held.append(own[torch.randperm(len(own), generator=generator)[:count]])
        rows = torch.cat(held).sort().values
        if not len(rows):  # one pair a task: there is nothing to spare
            rows = torch.arange(len(self.measured))
            return rows, rows
        every = torch.ones(len(self.measured), dtype=torch.bool)
        every[rows] = False
        return every.nonzero()[:, 0], rows

    def good(self, share: float) -> Tensor:
        """Pairs to generate the like of, int64 (g,): about this share of every task's.

        Accuracy rises with size, so the best alone would be the largest, which limits exclude:
        these are the task's fronts of accuracy and multiply-adds, peeled off one after another.
        """
        flops = torch.tensor([float(pair.flops) for pair in self.measured])
        rows = []
        for task in self.tasks.unique():
            own = (self.tasks == task).nonzero()[:, 0]
            order = front_numbers(self.scores[own], flops[own])
            wanted = max(1, round(share * len(own)))
            last = order.sort().values[wanted - 1]
            rows.append(own[order <= last])
        return torch.cat(rows)


def front_numbers(scores: Tensor, costs: Tensor) -> Tensor:
    """Which front each of (n,) is on, int64 (n,), the best 0; more score and less cost are better.

    Two that are equal in both are on the same front.
    """
    least = (scores[:, None] >= scores) & (costs[:, None] <= costs)
    beats = least & ((scores[:, None] > scores) | (costs[:, None] < costs))  # (n, n)
    numbers = torch.full((len(scores),), -1)
    for number in range(len(scores)):
        left = numbers < 0
        front = left & ~beats[left].any(0)
        numbers[front] = number
        if not (numbers < 0).any():
            break
    return numbers
