"""Small networks of NAS-Bench-201 cells, trained from scratch on a zoo's own source tasks.

The benchmark's own accuracies are of other tasks; these are of tasks that have image features in
the zoo, so that what chooses a cell from a dataset can be learnt here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tans.networks.family import build, describe
from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.types import Architecture
from tans_bench.methods.metad2a.graphs import cell_graphs
from tans_bench.methods.metad2a.pairs import Pair, Pairs
from tans_bench.recipes import plain
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Result
from tans_bench.spaces.families import ref_of
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

FOLDER = "cells"
RECIPE = plain(10, learning_rate=0.1, fit_head=False, weigh_classes=False)
RESOLUTION = 32
"""Pixels a side, as in the benchmark."""
IMAGES = 300
"""Training images of a task, at most."""


@dataclass(frozen=True)
class Cells:
    """Train networks of random cells on a task."""

    task: str
    count: int = 10
    recipe: Recipe = RECIPE

    @property
    def name(self) -> str:
        return f"{FOLDER}/{self.task}"

    def done(self, bench: Bench) -> bool:
        stored, declared = bench.results.read(self.name), self._declared
        if stored is None:
            return False
        # a setting that a stored recipe does not name is younger than it
        recipe = {name: declared["recipe"].get(name) for name in stored["recipe"]}
        return {**declared, "recipe": recipe}.items() <= stored.items()

    def run(self, bench: Bench) -> Result:
        task = bench.tasks(self.task, IMAGES)
        return {
            **self._declared,
            "classes": len(task.classes),
            "networks": [self._trained(a, task) for a in self.architectures()],
        }

    @property
    def _declared(self) -> dict[str, Any]:
        recipe = {"recipe": asdict(self.recipe), "images": IMAGES, "resolution": RESOLUTION}
        return {"task": self.task, "count": self.count, **recipe}

    def architectures(self) -> list[Architecture]:
        """Different random cells, other ones for each task."""
        drawn = random.Random(f"{FOLDER} {self.task}")
        found: dict[Architecture, None] = {}
        while len(found) < self.count:
            found[NAS_BENCH_201.sample(drawn)] = None
        return list(found)

    def _trained(self, architecture: Architecture, task: Task) -> Result:
        classes = len(task.classes)
        ref = ref_of(architecture, RESOLUTION)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            network = build(ref, classes)
        tuned = finetune(network, task, recipe=self.recipe)
        return {
            "architecture": str(architecture),
            "val_accuracy": tuned.history[tuned.best_epoch - 1].val_accuracy,
            "accuracy": tuned.test_accuracy,
            **asdict(describe(ref).costs(classes)),
            "seconds": round(tuned.seconds, 2),
        }


def cells_of(bench: Bench, count: int, recipe: Recipe = RECIPE) -> list[Cells]:
    """One for each source task of the zoo that has image features."""
    return [Cells(task.name, count, recipe) for task in bench.zoo.tasks() if task.features]


def cell_pairs(bench: Bench, jobs: Sequence[Cells]) -> Pairs:
    """What was trained, by validation accuracy, with the zoo's image features of the tasks."""
    stored = [result for job in jobs if (result := bench.results.read(job.name))]
    measured = [
        Pair(
            result["task"],
            Architecture.parse(network["architecture"]),
            network["val_accuracy"],
            network["flops"],
            network["accuracy"],
        )
        for result in stored
        for network in result["networks"]
    ]
    datasets = {result["task"]: bench.zoo.features(result["task"]) for result in stored}
    return Pairs(cell_graphs(), datasets, measured)
