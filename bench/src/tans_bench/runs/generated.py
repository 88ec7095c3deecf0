"""MetaD2A on tasks that it has not learnt from: what it writes, and how it ranks."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from tans.build.measure import Meter
from tans.meta.metrics import spearman
from tans.networks.family import describe
from tans.types import Architecture
from tans.zoo.zoo import Zoo
from tans_bench.methods.budget import Budget, ending
from tans_bench.methods.metad2a.learning import Learnt, MetaD2ASettings, kept
from tans_bench.methods.metad2a.pairs import Pairs
from tans_bench.methods.method import space_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.cellpairs import Cells, cell_pairs
from tans_bench.runs.results import Result
from tans_bench.spaces.families import ref_of
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

FOLDER = "generation"
ELASTIC = "elastic"
CELLS = NAS_BENCH_201.name
GENERATED, CHOSEN = "generated", "best predicted"
IMAGES = 300
"""Training images of a task, at most; here only the others are looked at."""
RANDOM = 2000
"""Architectures that twins of the same cost are looked for among."""


@dataclass(frozen=True)
class Spared:
    """Meta-learn without some of the tasks."""

    space: str
    """``ELASTIC`` for the zoo's, or ``CELLS``."""
    fold: int
    """Every so-manieth task is left out, beginning with this."""
    folds: int
    settings: MetaD2ASettings
    cells: tuple[Cells, ...] = ()
    """Whose networks are learnt from in the space of cells."""
    budget: Budget = "small"
    """That the settings are of."""

    def pairs(self, bench: Bench) -> Pairs:
        """Those of all tasks."""
        if self.space == CELLS:
            return cell_pairs(bench, self.cells)
        return Pairs.of_zoo(bench.zoo)

    def left_out(self, pairs: Pairs) -> list[str]:
        """Names of the tasks that are not learnt from."""
        return list(pairs.datasets)[self.fold :: self.folds]

    def learnt(self, pairs: Pairs) -> Learnt:
        """From the cache, where it was learnt before."""
        return kept(pairs.without(self.left_out(pairs)), self.settings)


@dataclass(frozen=True)
class Unseen:
    """Write graphs for tasks that were not learnt from, and score their measured networks."""

    spared: Spared
    graphs: int
    """For each task."""
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        spared = self.spared
        place = f"{spared.space}-{spared.fold}-of-{spared.folds}"
        return f"{FOLDER}/{place}{ending(spared.budget)}"

    def done(self, bench: Bench) -> bool:
        return _holds(bench, self.name, self.spared.settings)

    def run(self, bench: Bench) -> Result:
        pairs = self.spared.pairs(bench)
        began = time.perf_counter()
        learnt = self.spared.learnt(pairs)
        learning_s = time.perf_counter() - began
        left_out = self.spared.left_out(pairs)
        seen = set(map(tuple, pairs.without(left_out).types.tolist()))
        return {
            "space": self.spared.space,
            "zoo": bench.digest,
            "settings": asdict(self.spared.settings),
            "learnt_from": len(pairs.measured) - sum(len(pairs.of(task)) for task in left_out),
            "learning_s": round(learning_s, 2),
            "graphs": self.graphs,
            "tasks": {task: self._unseen(task, learnt, pairs, seen) for task in left_out},
        }

    def _unseen(
        self, task: str, learnt: Learnt, pairs: Pairs, seen: set[tuple[int, ...]]
    ) -> Result:
        """Shares of the graphs, and how the scores of the task's networks rank."""
        began = time.perf_counter()
        types, edges = learnt.generate(pairs.datasets[task], self.graphs, seed=0)
        valid = [tuple(row) for row in types[learnt.graphs.valid(types, edges)].tolist()]
        seconds = time.perf_counter() - began
        different = set(valid)
        own = pairs.of(task)
        accuracy = torch.tensor([pair.accuracy for pair in own])
        tested = torch.tensor([pair.test_accuracy or 0.0 for pair in own])
        sizes = torch.tensor([float(pair.flops) for pair in own])
        scores = learnt.predict(
            pairs.datasets[task], learnt.graphs.types([pair.architecture for pair in own])
        )
        return {
            "valid": len(valid) / self.graphs,
            "unique": len(different) / max(1, len(valid)),
            "novel": len(different - seen) / max(1, len(different)),
            "seconds": round(seconds, 3),
            "networks": len(own),
            "spearman": _correlation(scores, accuracy + tested),
            "spearman_of_size": _correlation(sizes, accuracy + tested),
            "spearman_of_splits": _correlation(accuracy, tested),
        }


@dataclass(frozen=True)
class Against:
    """Measure generated architectures beside random ones of the same cost, as subnets.

    The weights are the task's own supernet's; the task is not learnt from, and the images are
    those that its supernet was not trained on.
    """

    task: str
    spared: Spared
    """Leaves the task out."""
    graphs: int
    """Generated; the best of them are chosen."""
    count: int
    """Architectures measured of those generated, and likewise of the best predicted of them."""

    @property
    def name(self) -> str:
        return f"{FOLDER}/against-{self.task}{ending(self.spared.budget)}"

    def done(self, bench: Bench) -> bool:
        return _holds(bench, self.name, self.spared.settings)

    def run(self, bench: Bench) -> Result:
        pairs = Pairs.of_zoo(bench.zoo)
        learnt, dataset = self.spared.learnt(pairs), pairs.datasets[self.task]
        types, edges = learnt.generate(dataset, self.graphs, seed=1, masked=True)
        types = types[learnt.graphs.valid(types, edges)]
        order = learnt.predict(dataset, types).argsort(descending=True, stable=True)
        places = {
            GENERATED: learnt.graphs.architectures(types[: self.count]),
            CHOSEN: learnt.graphs.architectures(types[order[: self.count]]),
        }
        weights = bench.zoo.task(self.task).supernet
        meter = Meter.of(bench.zoo, bench.tasks(self.task, IMAGES), weights)
        twins = _Twins.of(bench.zoo, self.task)
        return {
            "task": self.task,
            "zoo": bench.digest,
            "settings": asdict(self.spared.settings),
            "pairs": {
                place: [
                    {"own": _measured(meter, a), "random": _measured(meter, twins.of_cost_of(a))}
                    for a in own
                ]
                for place, own in places.items()
            },
        }


@dataclass(frozen=True, eq=False)
class _Twins:
    """Random architectures of a zoo's space, in order of what they cost."""

    zoo: Zoo
    costs: Sequence[tuple[int, Architecture]]

    @classmethod
    def of(cls, zoo: Zoo, task: str) -> _Twins:
        drawn = random.Random(task)
        sampled = {space_of(zoo).sample(drawn) for _ in range(RANDOM)}
        found = [(describe(ref_of(a, zoo.resolution)).body_flops, a) for a in sampled]
        return cls(zoo, sorted(found, key=lambda pair: (pair[0], str(pair[1]))))

    def of_cost_of(self, architecture: Architecture) -> Architecture:
        """The one of the nearest cost that is another."""
        flops = describe(ref_of(architecture, self.zoo.resolution)).body_flops
        others = (pair for pair in self.costs if pair[1] != architecture)
        return min(others, key=lambda pair: abs(pair[0] - flops))[1]


def _measured(meter: Meter, architecture: Architecture) -> Result:
    """Costs, and the mean of the accuracies on validation and test images."""
    entry = meter.entry(ref_of(architecture, meter.resolution))
    known = [a for a in (entry.val_accuracy, entry.accuracy) if a is not None]
    return {
        "architecture": str(architecture),
        "flops": entry.body_flops,
        "accuracy": statistics.fmean(known),
    }


def _holds(bench: Bench, name: str, settings: MetaD2ASettings) -> bool:
    """Whether what is stored was learnt so, on this zoo."""
    stored = bench.results.read(name)
    return (
        stored is not None
        and stored["zoo"] == bench.digest
        and stored["settings"] == asdict(settings)
    )


def _correlation(scores: torch.Tensor, accuracy: torch.Tensor) -> float:
    return round(spearman(scores[:, None], accuracy[:, None]).item(), 4)
