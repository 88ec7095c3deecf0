"""A deeper head, averaged weights, and other parts of a recipe: a trial of each, before any counts.

Each variant differs in one thing from a head that reads all stages, 200 steps and averaged weights.
One seed of the judge's splits: enough to drop what does harm, not to tell small gains from chance.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.imagenet import imagenet_network
from tans.networks.family import describe
from tans.networks.network import Network
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tans_bench.recipes import plain
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.judge import judged
from tans_bench.runs.results import LINES, Result, Results
from tans_bench.runs.roles import is_sibling

RUNS = "heads"
TASKS = (
    *("script-greek", "script-thai", "icons-apps", "icons-devices", "emoji-google-reserved"),
    *("clipart-food", "ufoai-textures", "fashion-mnist", "solar-cells", "blue-marble"),
    *("wesnoth-units", "wesnoth-terrain"),
)
SIZE, IMAGES, STEPS = 64, 300, 200
"""Pixels a side, training images at most, and steps."""
CLASSES = 20
"""Of the head whose costs are counted."""
IMAGENET, BASE = NETWORKS = ("ImageNet", "elastic base")
DEEP = "deep head, averaged"
_DEEP: Mapping[str, Any] = {"deep_head": True, "average": True}
VARIANTS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    DEEP: (STEPS, _DEEP),
    "plain head, averaged": (STEPS, {"average": True}),
    "plain head, best epoch": (STEPS, {}),
    "random head, best epoch": (STEPS, {"fit_head": False, "weigh_classes": False}),
    "50 steps": (50, _DEEP),
    "100 steps": (100, _DEEP),
    "500 steps": (500, _DEEP),
    "rate 0.01": (STEPS, {**_DEEP, "learning_rate": 0.01}),
    "16 images a step": (STEPS, {**_DEEP, "batch_size": 16}),
    "no augmentation": (STEPS, {**_DEEP, "augment": 0.0}),
    "augmentation x 1.5": (STEPS, {**_DEEP, "augment": 1.5}),
    "gradients cut": (STEPS, {**_DEEP, "clip": 1.0}),
    "mirrored too": (STEPS, {**_DEEP, "flip": True}),
    "weight decay 5e-4": (STEPS, {**_DEEP, "weight_decay": 5e-4}),
    "means alone": (STEPS, _DEEP),
    "maxima alone": (STEPS, _DEEP),
    "last three stages": (STEPS, _DEEP),
    "stages without the features": (STEPS, _DEEP),
    "blocks not of equal weight": (STEPS, _DEEP),
}
"""By name: steps, and what the recipe says; ``HEADS`` has what a head reads of a network."""


class _Means(Network):
    """Under a head that reads no maxima."""

    def blocks(self, x: Tensor) -> list[Tensor]:
        return super().blocks(x)[0::2]


class _Maxima(Network):
    """Under a head that reads no means but those of the last stage."""

    def blocks(self, x: Tensor) -> list[Tensor]:
        *stages, features = super().blocks(x)
        return [*stages[1::2], features]


class _Last(Network):
    """Under a head that reads three stages."""

    def blocks(self, x: Tensor) -> list[Tensor]:
        return super().blocks(x)[-7:]


class _Stages(Network):
    """Under a head that does not read the pooled features."""

    def blocks(self, x: Tensor) -> list[Tensor]:
        return super().blocks(x)[:-1]


class _Alike(Network):
    """Under a head that each number counts alike for, whichever stage it is of."""

    def blocks(self, x: Tensor) -> list[Tensor]:
        return [torch.cat(super().blocks(x), 1)]


HEADS: Mapping[str, type[Network]] = {
    "means alone": _Means,
    "maxima alone": _Maxima,
    "last three stages": _Last,
    "stages without the features": _Stages,
    "blocks not of equal weight": _Alike,
}


@dataclass(frozen=True)
class Trial:
    """Fine-tune one network by one variant."""

    task: str
    network: str
    """One of ``NETWORKS``."""
    variant: str
    """One of ``VARIANTS``."""
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}-{self.network}-{self.variant}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        task = judged(bench.tasks(self.task, None), self.seed, IMAGES)
        recipe = recipe_of(self.variant, task, self.seed)
        network = with_head(_network(self.network, bench.zoo), self.variant)
        tuned = finetune(network, task, SIZE, recipe)
        return {
            **asdict(self),
            "accuracy": tuned.test_accuracy,
            "balanced_accuracy": tuned.scores.balanced_accuracy,
            "test_images": int(tuned.confusion.sum()),
            "epochs": recipe.epochs,
            "seconds": round(tuned.seconds, 2),
        }


def recipe_of(variant: str, task: Task, seed: int) -> Recipe:
    """A variant's recipe for a task, in whole epochs that come nearest to its steps."""
    steps, changes = VARIANTS[variant]
    recipe = plain(1, seed=seed, **changes)
    images = task.split_sizes[TRAIN]
    epochs = max(1, round(steps / recipe.steps(images)))
    return replace(recipe, epochs=epochs)


def with_head(network: Network, variant: str) -> Network:
    """The network, whose deep head reads what a variant says."""
    kind = HEADS.get(variant, Network)
    return kind(network.ref, network.body, network.width, 1, network.stage_names)


def _network(name: str, zoo: Zoo) -> Network:
    return imagenet_network(size=SIZE) if name == IMAGENET else zoo.load(Sources.of(zoo).base.id, 2)


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    runs = results.lines(RUNS)
    found = {(r["network"], r["variant"], r["task"]): r["accuracy"] for r in runs}
    rows = [
        [variant, *(cell for name in NETWORKS for cell in _cells(found, name, variant))]
        for variant in VARIANTS
        if any(run["variant"] == variant for run in runs)
    ]
    devices = ", ".join(sorted({run["card"] for run in runs}))
    caption = (
        f"A trial: one seed, {len(TASKS)} tasks, {IMAGES} training images at {SIZE} pixels, "
        f"{STEPS} steps unless said otherwise. Mean test accuracy in %, and the mean difference "
        f"from the first row with its standard error over tasks. Measured on {devices}."
    )
    columns = [part for name in NETWORKS for part in (name, f"{name}: difference")]
    tables = [Table("variants", caption, ("variant", *columns), rows)] if runs else []
    return [*tables, *_retrieved(found), _costs()] if runs else []


def _costs() -> Table:
    """What a deep head needs, counted."""
    refs = [ELASTIC.largest("lite0", SIZE), ELASTIC.spread("lite0", SIZE, 2)[0]]
    rows = []
    for name, ref in zip(("the whole network", "its smallest subnet"), refs, strict=True):
        plain, deep = (describe(ref).costs(CLASSES, deep) for deep in (False, True))
        needs = [f"{c.params / 1e6:.3f}" for c in (plain, deep)]
        needs += [f"{c.flops / 1e6:.2f}" for c in (plain, deep)]
        rows.append([name, *needs])
    columns = ("parameters (M), plain", "deep", "multiply-adds (M), plain", "deep")
    caption = (
        f"What a deep head of {CLASSES} classes needs at {SIZE} pixels. Exported, it is one linear "
        "layer, and a mean and a scale for each number that it reads."
    )
    return Table("costs", caption, ("lite0", *columns), rows)


def _retrieved(found: Mapping[tuple[str, str, str], float]) -> list[Table]:
    """What a recipe gains that was best on other tasks: a table, where all tasks have runs."""
    gains = {
        (task, variant): statistics.fmean(
            100 * (found[network, variant, task] - found[network, DEEP, task])
            for network in NETWORKS
        )
        for variant, (steps, _) in VARIANTS.items()
        for task in TASKS
        if steps == STEPS
        and all({(n, variant, task), (n, DEEP, task)} <= found.keys() for n in NETWORKS)
    }
    whole = [v for v in VARIANTS if all((task, v) in gains for task in TASKS)]
    if len(whole) < 2:
        return []
    rows = []
    for others, alike in (("all other tasks", False), ("other tasks of its kind", True)):
        own = [gains[task, _best(task, whole, gains, alike)] for task in TASKS]
        error = statistics.stdev(own) / len(own) ** 0.5
        rows.append([others, f"{statistics.fmean(own):+.1f} ± {error:.1f}"])
    caption = (
        f"A recipe for each task: the one of {len(whole)} of equal cost that was best on other "
        f"tasks. Points over '{DEEP}', mean over tasks and both networks, with its standard error."
    )
    return [Table("retrieved", caption, ("chosen by its mean on", "points"), rows)]


def _have(found: Mapping[tuple[str, str, str], float], task: str, variant: str) -> bool:
    """Whether both networks were run, by the variant and by what it is compared with."""
    return found.keys() >= {(n, v, task) for n in NETWORKS for v in (variant, DEEP)}


def _best(
    task: str, variants: Sequence[str], gains: Mapping[tuple[str, str], float], alike: bool
) -> str:
    """The variant of the highest mean gain on other tasks."""
    others = [t for t in TASKS if t != task and not (alike and is_sibling(t) != is_sibling(task))]
    return max(variants, key=lambda v: statistics.fmean(gains[t, v] for t in others))


def _cells(
    found: Mapping[tuple[str, str, str], float], network: str, variant: str
) -> tuple[str, str]:
    """Mean accuracy, and the difference from ``DEEP``, over the tasks that have both."""
    both = [t for t in TASKS if {(network, DEEP, t), (network, variant, t)} <= found.keys()]
    if len(both) < 2:
        return "", ""
    own = [100 * found[network, variant, task] for task in both]
    apart = [each - 100 * found[network, DEEP, t] for each, t in zip(own, both, strict=True)]
    error = statistics.stdev(apart) / len(apart) ** 0.5
    difference = "" if variant == DEEP else f"{statistics.fmean(apart):+.1f} ± {error:.1f}"
    return f"{statistics.fmean(own):.1f}", difference


EXPERIMENT = Experiment(
    name="heads",
    title="A deeper head, averaged weights, and other parts of a recipe",
    question=(
        "What does a head gain that reads the means and maxima of all stages, and averaged weights "
        "instead of the best epoch? And do steps, rate, augmentation or decay matter beside that?"
    ),
    plan=Fixed(tuple(Trial(*cell) for cell in product(TASKS, NETWORKS, VARIANTS))),
    drawn=draw,
)
