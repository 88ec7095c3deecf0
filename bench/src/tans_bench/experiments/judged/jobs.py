"""The work that the judge asks for: shortlists, looks at frozen features, and fine-tunes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tans.meta.data import MetaData
from tans.meta.presets import PRESETS
from tans.meta.retriever import Retriever
from tans.meta.train import meta_train
from tans.networks.device import device
from tans.networks.features import image_features
from tans.networks.network import Network
from tans.search.look import IMAGES as LOOKED_AT
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.training import Recipe, finetune, probe
from tans.zoo.zoo import IMAGENET, QUERY_IMAGES, Zoo
from tans_bench.experiments.judged import field
from tans_bench.runs.bench import Bench, Tasks
from tans_bench.runs.judge import judged
from tans_bench.runs.results import LINES, Result

SHORTLISTS, FROZEN, TUNED = "judged_shortlists", "judged_frozen", "judged_runs"
"""Files of lines among the results."""
SHORT = 5
"""Sources that a search looks at beside ImageNet's networks."""
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "deep": {"clip": None},
    "common": {
        **{"deep_head": False, "average": False, "fit_head": False},
        **{"weigh_classes": False, "clip": None},
    },
}
"""``deep`` is what the default was when the first runs were made: its steps were of any length."""


@dataclass(frozen=True)
class Cell:
    """One split of a task."""

    task: str
    seed: int
    images: int = field.IMAGES
    """For training, at most."""

    def read(self, bench: Bench) -> Task:
        """Its images; those of the last cells are kept."""
        return _read(bench.tasks, self)


@lru_cache(maxsize=2)
def _read(tasks: Tasks, cell: Cell) -> Task:
    return judged(tasks(cell.task, None), cell.seed, cell.images)


@dataclass(frozen=True)
class OfCell:
    """What is measured once for each cell, a line of a file of results."""

    file: str
    """Of lines."""
    cell: Cell
    measured: Callable[[Bench, Cell], Result]
    """What stands in the line beside the cell."""

    @property
    def task(self) -> str:
        return self.cell.task

    @property
    def name(self) -> str:
        return f"{self.file}{LINES}/{self.cell}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(self.file, asdict(self.cell)) is not None

    def run(self, bench: Bench) -> Result:
        return {**asdict(self.cell), **self.measured(bench, self.cell)}


def ordered(bench: Bench, cell: Cell) -> Result:
    """Order the sources by what the embeddings say, without kin of the task."""
    task = cell.read(bench)
    retriever, data = _retriever(bench.zoo.path, field.kin(cell.task))
    images, labels = task.sample(QUERY_IMAGES, bench.zoo.resolution)
    query = retriever.encode_query(image_features(bench.zoo.query_network(), images), labels)
    similar = retriever.matrix @ query  # (e,)
    predicted = retriever.predict(query, retriever.matrix)  # (e,)
    found = {
        name: {
            "similarity": round(similar[data.entry_tasks == row].max().item(), 5),
            "predicted": round(predicted[data.entry_tasks == row].max().item(), 5),
        }
        for row, name in enumerate(data.tasks)
    }
    return {"sources": found}


def shortlist(cell: Cell) -> OfCell:
    """The job that orders the sources for a cell."""
    return OfCell(SHORTLISTS, cell, ordered)


@lru_cache(maxsize=1)
def _retriever(folder: Path, kin: frozenset[str]) -> tuple[Retriever, MetaData]:
    """What the zoo's own meta-training gives without some families."""
    data = MetaData.from_zoo(Zoo.open(folder))
    for family in sorted(kin & set(data.families)):
        data = data.without(family)
    return meta_train(data, PRESETS["default"]), data


@dataclass(frozen=True)
class Frozen:
    """Probe networks on a cell's training images, under deep heads."""

    cell: Cell
    part: str
    """``within`` or ``beyond`` the limit, as ``networks`` says."""

    @property
    def task(self) -> str:
        return self.cell.task

    @property
    def name(self) -> str:
        return f"{FROZEN}{LINES}/{self.cell}-{self.part}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(FROZEN, self._key()) is not None

    def _key(self) -> Result:
        return {**asdict(self.cell), "part": self.part}

    def run(self, bench: Bench) -> Result:
        task, looked_at = self.cell.read(bench), networks(self, bench)
        began = time.perf_counter()
        found = {
            key(name, size): round(probe(_headed(bench, name, size, task), task, LOOKED_AT), 5)
            for name, size in looked_at
        }
        return {
            **self._key(),
            "accuracy": found,
            "flops": {
                key(*each): field.flops_of(*each, bench.zoo, len(task.classes))
                for each in looked_at
            },
            "seconds": round(time.perf_counter() - began, 2),
        }


def networks(look: Frozen, bench: Bench) -> Sequence[tuple[str, int]]:
    """Names and sizes of what is probed.

    Within the limit all sources, those of kin too, which are left out of choices later; beyond it
    those that a search looks at.
    """
    if look.part == "beyond":
        listed = bench.results.find(SHORTLISTS, asdict(look.cell))
        nearest = most_similar(listed["sources"])[:SHORT] if listed else []
        return [*field.sized(field.BEYOND), *((n, field.HIGHER) for n in (field.BASE, *nearest))]
    sources = field.sources_for("", bench.zoo)
    stored = [(name, bench.zoo.resolution) for name in (field.BASE, *sources)]
    return [*field.sized(field.WITHIN), *stored]


def most_similar(
    sources: Mapping[str, Mapping[str, float]], score: str = "similarity"
) -> list[str]:
    """Names of sources by a score, the highest first, without ImageNet's network."""
    ordered = sorted(sources, key=lambda name: -sources[name][score])
    return [name for name in ordered if name != IMAGENET]


def _headed(bench: Bench, name: str, size: int, task: Task) -> Network:
    network = field.load(name, size, bench.zoo)
    network.replace_head(len(task.classes), deep=True)
    return network.to(device()).eval()


def key(name: str, size: int) -> str:
    """How results name a network at a size."""
    return f"{name}@{size}"


@dataclass(frozen=True)
class Tuned:
    """Fine-tune a network on a cell."""

    cell: Cell
    network: str
    size: int
    steps: int = field.STEPS
    recipe: str = "default"
    """One of ``RECIPES``."""

    @property
    def task(self) -> str:
        return self.cell.task

    @property
    def name(self) -> str:
        return f"{TUNED}{LINES}/{self.cell}-{self.network}-{self.size}-{self.steps}-{self.recipe}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(TUNED, self.key()) is not None

    def key(self) -> Result:
        """What tells one run from another."""
        own = {name: value for name, value in asdict(self).items() if name != "cell"}
        return {**asdict(self.cell), **own}

    def run(self, bench: Bench) -> Result:
        task = self.cell.read(bench)
        network = field.load(self.network, self.size, bench.zoo)
        recipe = recipe_of(self, task.split_sizes[TRAIN])
        tuned = finetune(network, task, self.size, recipe)
        counts = list(task.split_sizes)
        return {
            **self.key(),
            "accuracy": round(tuned.test_accuracy, 5),
            "balanced_accuracy": round(tuned.scores.balanced_accuracy, 5),
            "val_accuracy": round(tuned.history[-1].val_accuracy, 5),
            "classes": len(task.classes),
            "splits": counts,
            "epochs": recipe.epochs,
            "readings": len(tuned.history),
            "flops": field.flops_of(self.network, self.size, bench.zoo, len(task.classes)),
            "head_width": tuned.network.classifier.in_features,
            "seconds": round(tuned.seconds, 2),
        }


def recipe_of(job: Tuned, images: int) -> Recipe:
    """A job's recipe for so many training images, in whole passes that come nearest."""
    recipe = Recipe(seed=job.cell.seed, **RECIPES[job.recipe])
    return replace(recipe, epochs=max(1, round(job.steps / recipe.steps(images))))
