"""Does a source trained at 128 pixels serve photo-like tasks better than ImageNet does there?

Two photo-like train tasks get supernets at 128 pixels, from the base of the zoo. Their largest
networks, the same sources at 64 pixels, and ImageNet's networks at both resolutions are fine-tuned
on photo-like dev tasks by the default recipe.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from tans.build.engine import BuildSettings, build_zoo
from tans.errors import ZooError
from tans.files import cache_dir
from tans.training import finetune
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo
from tans_bench.recipes import EPOCHS, plain
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.results import LINES, Result, Results

RUNS = "resolution"
LOW, HIGH = 64, 128
"""Pixels a side: of the zoo, and of what is built beside it."""
IMAGENET, BASE = "ImageNet", "elastic base"
IMAGES = 300
"""Training images of a task, at most."""


@dataclass(frozen=True)
class Trial:
    """Fine-tune one network on one task."""

    target: str
    network: str
    """A source's name, ``IMAGENET`` or ``BASE``."""
    resolution: int

    @property
    def task(self) -> str:
        return self.target

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.target}-{self.network}-{self.resolution}px"

    @property
    def built(self) -> bool:
        """Whether its network is of the zoo that is built for this."""
        return self.resolution == HIGH and self.network != IMAGENET

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        task = bench.tasks(self.target, IMAGES)
        zoo = Zoo.open(high_zoo(bench)) if self.built else bench.zoo
        entry = self._entry(zoo)
        tuned = finetune(zoo.load(entry.id, len(task.classes)), task, entry.resolution, plain())
        seconds = round(tuned.seconds, 1)
        return {**asdict(self), "accuracy": tuned.test_accuracy, "seconds": seconds}

    def _entry(self, zoo: Zoo) -> ZooEntry:
        kinds = Sources.of(zoo)
        if self.network == BASE:
            return kinds.base
        if self.network != IMAGENET:
            return kinds.largest[self.network]
        found = [entry for entry in kinds.whole if entry.resolution == self.resolution]
        if not found:
            raise ZooError(f"the zoo in {zoo.path} has no ImageNet network at {self.resolution} px")
        return found[0]


@dataclass(frozen=True)
class Build:
    """Build the sources at the high resolution."""

    sources: tuple[str, ...]
    task: str = ""
    """None of those that are judged on."""
    name: str = f"{RUNS}/zoo"

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None and high_zoo(bench).exists()

    def run(self, bench: Bench) -> Result:
        settings = BuildSettings(resolution=HIGH, subnets=2, imagenet_resolutions=())
        tasks = (bench.tasks(name, None) for name in self.sources)
        build_zoo(high_zoo(bench), tasks, settings, base_from=bench.zoo)
        return {"zoo": bench.digest, "sources": list(self.sources)}


@dataclass(frozen=True)
class Resolutions:
    """A plan: build what is missing, and fine-tune."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]

    def trials(self) -> list[Trial]:
        """Every network on every task."""
        sources = product(self.sources, (LOW, HIGH))
        networks = [*sources, (BASE, LOW), (IMAGENET, LOW), (IMAGENET, HIGH)]
        return [Trial(target, *network) for target in self.targets for network in networks]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        trials, build = self.trials(), Build(self.sources)
        waiting = [trial for trial in trials if trial.built and not trial.done(bench)]
        if not waiting or build.done(bench):
            return trials
        return [build, *(trial for trial in trials if trial not in waiting)]

    def scaled(self, preset: str) -> Resolutions:
        del preset
        return self


def high_zoo(bench: Bench) -> Path:
    """Folder of the zoo at the high resolution, in the cache."""
    return cache_dir("resolution") / f"zoo-{HIGH}-{bench.digest}"


def draw(plan: Resolutions, results: Results) -> Sequence[Drawing]:
    """A row for each network and resolution, with its seconds beside ImageNet's at 64 pixels."""
    runs = {(r["network"], r["resolution"], r["target"]): r for r in results.lines(RUNS)}
    networks = [
        network
        for network in dict.fromkeys(found[:2] for found in sorted(runs))
        if all((*network, target) in runs for target in plan.targets)
    ]
    if (IMAGENET, LOW) not in networks:
        return []
    found = {each: [runs[*each, target] for target in plan.targets] for each in networks}
    caption = (
        f"Test accuracy in % after {EPOCHS} epochs on {IMAGES} training images, one seed; "
        f"seconds as a multiple of ImageNet's at {LOW} pixels."
    )
    columns = ("network", "pixels", *plan.targets, "mean", "seconds")
    return [Table("accuracy", caption, columns, _rows(found))]


def _rows(found: Mapping[tuple[str, int], Sequence[Result]]) -> list[list[str]]:
    base = sum(run["seconds"] for run in found[IMAGENET, LOW])
    rows = []
    for (network, resolution), runs in found.items():
        accuracies = [100 * run["accuracy"] for run in runs]
        times = sum(run["seconds"] for run in runs) / base
        numbers = [f"{value:.1f}" for value in (*accuracies, statistics.fmean(accuracies), times)]
        rows.append([network, str(resolution), *numbers])
    return rows


EXPERIMENT = Experiment(
    name="resolution",
    title="Sources trained at 128 pixels",
    question=(
        "Does a source trained at 128 pixels serve photo-like tasks better than ImageNet's network "
        "does there?"
    ),
    plan=Resolutions(
        sources=("stamps-photos", "textile"),
        targets=("0ad-terrain", "openarena-textures", "stamps-animals", "ufoai-textures"),
    ),
    drawn=draw,
)
