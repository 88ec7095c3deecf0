"""What distilling the elastic base brings: ImageNet slices of five sizes, before and after.

Before: the slice of the published weights, channels sorted by importance. After: the slice of the
elastic base.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.imagenet import imagenet_network
from tans.networks.families.elastic.specification import architecture_of
from tans.networks.families.elastic.supernet import extract, sort_channels
from tans.networks.family import describe
from tans.networks.network import Network
from tans.training import finetune
from tans.types import Architecture
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods.method import space_of
from tans_bench.methods.onceforall import base_of
from tans_bench.recipes import plain
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import LINES, Result, Results
from tans_bench.spaces.families import ref_of

RUNS = "distillation"
PUBLISHED, DISTILLED = WEIGHTS = ("published", "elastic base")
IMAGES, EPOCHS, RESOLUTION = 300, 5, 64


@dataclass(frozen=True)
class Trial:
    """Fine-tune one slice."""

    task: str
    architecture: str
    weights: str
    """One of ``WEIGHTS``."""
    seed: int

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}-{self.architecture}-{self.weights}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        task, zoo = bench.tasks(self.task, IMAGES), bench.zoo
        architecture = Architecture.parse(self.architecture)
        if self.weights == PUBLISHED:
            network = published_slice(zoo, architecture)
        else:
            network = zoo.load_network(ref_of(architecture, RESOLUTION), base_of(zoo), IMAGENET)
        tuned = finetune(network, task, recipe=plain(EPOCHS, seed=self.seed))
        params = describe(network.ref).costs(len(task.classes)).params
        return {**asdict(self), "params": params, "accuracy": tuned.test_accuracy}


@dataclass(frozen=True)
class Slices:
    """A plan: slices of five sizes, with weights of before and after."""

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]

    def jobs(self, bench: Bench) -> Sequence[Trial]:
        architectures = map(str, five_sizes(bench.zoo))
        return [
            Trial(task, architecture, weights, seed)
            for task, seed, architecture, weights in product(
                self.tasks, self.seeds, list(architectures), WEIGHTS
            )
        ]

    def scaled(self, preset: str) -> Slices:
        del preset
        return self


def five_sizes(zoo: Zoo) -> list[Architecture]:
    """The smallest, the largest, and three between, of the entries of the elastic base."""
    entries = [e for e in zoo.entries(vectors=False) if e.weights == base_of(zoo)]
    ordered = [architecture_of(e.ref) for e in sorted(entries, key=lambda e: e.body_params)]
    return [ordered[round(share * (len(ordered) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]


def published_slice(zoo: Zoo, architecture: Architecture) -> Network:
    """Of the published ImageNet weights, in evaluation mode."""
    whole = imagenet_network(size=RESOLUTION)
    sort_channels(whole)
    network = extract(whole.weights(), space_of(zoo), architecture, RESOLUTION)
    recalibrate(network, zoo.thumbnails(IMAGENET))
    return network


def draw(plan: Slices, results: Results) -> Sequence[Drawing]:
    stored = results.lines(RUNS)
    rows = []
    for task, architecture in dict.fromkeys((run["task"], run["architecture"]) for run in stored):
        key = {"task": task, "architecture": architecture}
        runs = [run for run in stored if key.items() <= run.items()]
        accuracies = [[r["accuracy"] for r in runs if r["weights"] == each] for each in WEIGHTS]
        if all(accuracies):
            means = [f"{100 * statistics.fmean(found):.1f}" for found in accuracies]
            rows.append([task, f"{runs[0]['params'] / 1e6:.2f}", *means])
    caption = (
        f"Test accuracy in %, mean of {len(plan.seeds)} seeds, after {EPOCHS} epochs on {IMAGES} "
        "images."
    )
    columns = ("task", "params (M)", "published weights", "elastic base")
    return [Table("accuracy", caption, columns, rows)] if rows else []


EXPERIMENT = Experiment(
    name="distillation",
    title="ImageNet slices before and after distillation",
    question="What does distilling the elastic base bring, for slices of five sizes?",
    plan=Slices(("script-greek", "fashion-mnist"), seeds=(0, 1, 2)),
    drawn=draw,
)
