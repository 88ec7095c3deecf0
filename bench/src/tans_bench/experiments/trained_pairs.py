"""Figure 8, below, on pairs that were trained one by one, as the paper trains those of its zoo.

``construction`` replays slices of supernets, whose accuracies one training gave together. Here each
architecture begins as a subnet of the elastic base with ImageNet's knowledge, and is trained alone
on each task by the paper's recipe. What is stored of a pair is what it costs and how accurate it
became, so that every strategy can then be replayed on the same table.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from tans.build.plan.growth import normalised
from tans.build.plan.strategies import Pool
from tans.build.plan.surrogate import describe_pairs
from tans.networks.family import describe
from tans.training import PUBLISHED, finetune
from tans.types import Architecture
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.experiments.construction import curves, given, needed
from tans_bench.methods.method import space_of
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.replay import BLIND, Known, replayed
from tans_bench.runs.results import LINES, Result, Results
from tans_bench.spaces.families import ref_of

RUNS = "trained_pairs"
TASKS = (
    *("0ad-shields", "chess-pieces", "clipart-shapes", "digits", "emoji-twitter"),
    *("icons-places", "playing-cards", "remix-icons", "script-ethiopic", "silhouettes"),
)
"""Source tasks of the shipped zoo, of ten kinds."""
NETWORKS = 20
"""Architectures, the same on every task."""
STRATEGIES = ("pareto", BLIND, "random")
TIMED = "The time of a pair is that of its fine-tune."


@dataclass(frozen=True)
class Pair:
    """Train one architecture on one task, alone."""

    task: str
    architecture: str
    """As ``Architecture.parse`` reads it."""
    resolution: int = 48
    """Pixels a side."""
    images: int = 300
    """Training images, at most."""
    epochs: int = 10

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}-{self.architecture}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        task, zoo = bench.tasks(self.task, self.images), bench.zoo
        ref = ref_of(Architecture.parse(self.architecture), self.resolution)
        network = zoo.load_network(ref, Sources.of(zoo).base.weights, IMAGENET)
        tuned = finetune(network, task, recipe=replace(PUBLISHED, epochs=self.epochs))
        kept = next(e for e in tuned.history if e.epoch == tuned.best_epoch)
        body = describe(ref).costs(0)
        return {
            **asdict(self),
            "params": body.params,
            "flops": body.flops,
            "classes": len(task.classes),
            "val_accuracy": kept.val_accuracy,
            "accuracy": tuned.test_accuracy,
            "seconds": round(tuned.seconds, 2),
        }


def architectures(zoo: Zoo, count: int) -> list[str]:
    """Different architectures of a zoo's elastic space, its smallest and largest among them."""
    space, drawn = space_of(zoo), random.Random(RUNS)
    found = dict.fromkeys((str(space.smallest), str(space.largest)))
    while len(found) < count:
        found[str(space.sample(drawn))] = None
    return list(found)[:count]


@dataclass(frozen=True)
class ReplayTrained:
    """One strategy from one start until all trained pairs are known."""

    strategy: str
    """One of ``STRATEGIES``."""
    seed: int
    pairs: tuple[Pair, ...]
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return f"{RUNS}/{self.strategy}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        found = bench.results.read(self.name)
        return found is not None and found["trained"] == self._digest(bench.results)

    def run(self, bench: Bench) -> Result:
        known = known_pairs(bench, self.pairs)
        trained = {"trained": self._digest(bench.results)}
        return {**trained, **replayed(known, self.strategy, self.seed)}

    def _digest(self, results: Results) -> str:
        """16 hex digits of a hash of what is known of the pairs."""
        told = [
            (run["accuracy"], run["val_accuracy"], run["seconds"])
            for run in stored(results, self.pairs)
        ]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def stored(results: Results, pairs: Sequence[Pair]) -> list[Result]:
    """What is stored of some pairs, in their order; those that were not run are left out."""
    keys = [field.name for field in fields(Pair)]
    lines = {tuple(line[key] for key in keys): line for line in results.lines(RUNS)}
    found = (lines.get(tuple(asdict(pair).values())) for pair in pairs)
    return [line for line in found if line is not None]


def known_pairs(bench: Bench, pairs: Sequence[Pair]) -> Known:
    """The table that is replayed, of pairs that are all stored."""
    runs = stored(bench.results, pairs)
    names = sorted({run["task"] for run in runs})
    datasets = np.array([names.index(run["task"]) for run in runs])
    costs = np.array([[run["params"], run["flops"]] for run in runs], dtype=float)
    refs = [ref_of(Architecture.parse(run["architecture"]), run["resolution"]) for run in runs]
    topology = np.array([describe(ref).topology for ref in refs])
    images = [bench.zoo.features(name)[0].numpy() for name in names]
    features, surrogate = describe_pairs(images, datasets, topology, costs)
    seconds, classes = (np.array([run[key] for run in runs]) for key in ("seconds", "classes"))
    return Known(
        Pool(datasets, normalised(costs), features, seconds.astype(float)),
        surrogate,
        np.array([run["val_accuracy"] for run in runs]),
        np.array([run["accuracy"] for run in runs]),
        np.array([1 / classes[datasets == task][0] for task in range(len(names))]),
    )


@dataclass(frozen=True)
class TrainedPairs:
    """A plan: every architecture on every task, then every strategy on what came of that."""

    tasks: tuple[str, ...]
    networks: int
    seeds: tuple[int, ...]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        drawn = architectures(bench.zoo, self.networks)
        pairs = [Pair(task, each) for task in self.tasks for each in drawn]
        if len(stored(bench.results, pairs)) < len(pairs):
            return pairs
        replays = [
            ReplayTrained(strategy, seed, tuple(pairs))
            for strategy in STRATEGIES
            for seed in self.seeds
        ]
        return [*pairs, *replays]

    def scaled(self, preset: str) -> TrainedPairs:
        """Twenty seeds on a GPU."""
        return self if preset == "cpu" else replace(self, seeds=tuple(range(20)))


def draw(plan: TrainedPairs, results: Results) -> Sequence[Drawing]:
    found: dict[str, list[Result]] = {}
    for strategy in STRATEGIES:
        read = [results.read(ReplayTrained(strategy, seed, ()).name) for seed in plan.seeds]
        if runs := [run for run in read if run is not None]:
            found[strategy] = runs
    return [needed(found), given(found, TIMED), curves(found)] if found else []


EXPERIMENT = Experiment(
    name=RUNS,
    title="A zoo from few pairs, each trained alone (Figure 8, below)",
    question=(
        "If the pairs are networks that were trained one by one, as in the paper, and not slices "
        "of a supernet, how few of them give what training all of them gives?"
    ),
    plan=TrainedPairs(TASKS, NETWORKS, seeds=(0, 1, 2, 3, 4)),
    drawn=draw,
)
