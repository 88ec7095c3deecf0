"""Merged networks: the base, and the mean of what several sources changed in it.

A merged network costs what one of them does. The search chooses: among the merged networks and all
that it looks at anyway, it takes what does best on frozen features. Only where that is a merged one
is there anything to fine-tune; elsewhere the answer is the one that it was.

References:
    Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy
    without increasing inference time, ICML 2022.
    Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import torch

from tans.networks.device import device
from tans.networks.network import Network, Weights, without_head
from tans.search.look import IMAGES as LOOKED_AT
from tans.tasks.splits import TRAIN
from tans.training import finetune, probe
from tans.zoo.zoo import Zoo
from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.field import KINDS
from tans_bench.experiments.judged.intervals import spread
from tans_bench.experiments.judged.jobs import Cell, OfCell, Tuned, key, recipe_of
from tans_bench.experiments.judged.methods import METHODS, TANS, ZOO, Seen, read_seen
from tans_bench.experiments.judged.stored import Runs
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.judge import SEEDS
from tans_bench.runs.results import LINES, Result, Results

LOOKS, RUNS = "merged_looks", "merged_runs"
"""Files of lines among the results."""
COUNTS = (3, 8)
"""Sources that are merged: those that do best on frozen features."""
SCALES = (1.0, 2.0, 3.0)
"""By which the mean of their changes is multiplied."""


@dataclass(frozen=True)
class Merge:
    """What is merged for a cell, and how."""

    count: int
    scale: float

    def network(self, seen: Seen, zoo: Zoo) -> Network:
        """The base, with the scaled mean of the changes of the sources that look best."""
        network = field.load(field.BASE, ZOO, zoo)
        change = _mean_change(tuple(self.sources(seen)), zoo.path)
        own = network.weights()
        network.load_weights(
            {name: own[name] + self.scale * each for name, each in change.items()}, strict=False
        )
        return network

    def sources(self, seen: Seen) -> list[str]:
        """Names, the best on frozen features first."""
        return sorted(seen.sources, key=lambda name: -seen.accuracy[key(name, ZOO)])[: self.count]


@lru_cache(maxsize=1)  # for all scales
def _mean_change(sources: tuple[str, ...], folder: Path) -> Weights:
    """What several sources changed in the base on average.

    Of batch-norm's statistics too, which do not matter: they are taken from the task.
    """
    zoo = Zoo.open(folder)
    base, *others = (
        without_head(field.load(name, ZOO, zoo).weights()) for name in (field.BASE, *sources)
    )
    return {
        name: torch.stack([other[name] - tensor for other in others]).mean(0)
        for name, tensor in base.items()
        if tensor.is_floating_point()
    }


MERGES = tuple(Merge(*each) for each in product(COUNTS, SCALES))


def looked(bench: Bench, cell: Cell) -> Result:
    """Probe the merged networks of a cell, as all others are."""
    task, seen = cell.read(bench), read_seen(bench.results)[cell]
    found = []
    for merge in MERGES:
        network = merge.network(seen, bench.zoo)
        network.replace_head(len(task.classes), deep=True)
        accuracy = probe(network.to(device()).eval(), task, LOOKED_AT)
        found.append({**asdict(merge), "accuracy": round(accuracy, 5)})
    return {"merges": found}


def look(cell: Cell) -> OfCell:
    """The job that looks at a cell."""
    return OfCell(LOOKS, cell, looked)


@dataclass(frozen=True)
class Run:
    """Fine-tune a merged network on a cell."""

    cell: Cell
    merge: Merge

    @property
    def task(self) -> str:
        return self.cell.task

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.cell}-{self.merge.count}-{self.merge.scale:g}"

    def key(self) -> Result:
        """What tells one run from another."""
        return {**asdict(self.cell), **asdict(self.merge)}

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, self.key()) is not None

    def run(self, bench: Bench) -> Result:
        task, seen = self.cell.read(bench), read_seen(bench.results)[self.cell]
        recipe = recipe_of(Tuned(self.cell, RUNS, ZOO), task.split_sizes[TRAIN])
        tuned = finetune(self.merge.network(seen, bench.zoo), task, recipe=recipe)
        return {
            **self.key(),
            "accuracy": round(tuned.test_accuracy, 5),
            "val_accuracy": round(tuned.history[-1].val_accuracy, 5),
            "seconds": round(tuned.seconds, 2),
        }


@dataclass(frozen=True)
class Merging:
    """A plan: look at merged networks for each cell, and fine-tune those that are chosen."""

    tasks: tuple[str, ...] = field.TASKS
    seeds: tuple[int, ...] = SEEDS

    def cells(self, seen: Mapping[Cell, Seen]) -> list[Cell]:
        """Those that were looked at by the judge, of all seeds."""
        every = (Cell(task, seed) for seed, task in product(self.seeds, self.tasks))
        return [cell for cell in every if cell in seen]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        seen = read_seen(bench.results)
        cells = self.cells(seen)
        best = _best(bench.results)
        runs = [Run(cell, best[cell][0]) for cell in cells if _wins(cell, seen, best)]
        return [*map(look, cells), *runs]

    def scaled(self, preset: str) -> Merging:
        del preset  # what is compared is declared
        return self


def _best(results: Results) -> dict[Cell, tuple[Merge, float]]:
    """The merged network of each cell that does best on frozen features, and its accuracy."""
    found = {}
    for line in results.lines(LOOKS):
        best = max(line["merges"], key=lambda each: each["accuracy"])
        cell = Cell(line["task"], line["seed"], line["images"])
        found[cell] = Merge(best["count"], best["scale"]), best["accuracy"]
    return found


def _single(seen: Seen) -> float:
    """Accuracy on frozen features of what a search takes without merging."""
    return seen.accuracy[METHODS[TANS].choose(seen)]


def _wins(cell: Cell, seen: Mapping[Cell, Seen], best: Mapping[Cell, tuple[Merge, float]]) -> bool:
    return cell in best and best[cell][1] > _single(seen[cell])


def draw(plan: Merging, results: Results) -> Sequence[Drawing]:
    best = _best(results)
    return [_looks(plan, results), _runs(plan, results)] if best else []


def _looks(plan: Merging, results: Results) -> Table:
    """How merged networks look beside the single one that a search takes."""
    seen = read_seen(results)
    told: dict[tuple[Cell, int, float], float] = {
        (Cell(line["task"], line["seed"], line["images"]), each["count"], each["scale"]): each[
            "accuracy"
        ]
        for line in results.lines(LOOKS)
        for each in line["merges"]
    }
    rows = []
    for kind, merge in product(KINDS, MERGES):
        gains = {
            task: [
                100 * (told[cell, merge.count, merge.scale] - _single(seen[cell]))
                for cell in plan.cells(seen)
                if cell.task == task and (cell, merge.count, merge.scale) in told
            ]
            for task in KINDS[kind]
        }
        rows.append([kind, str(merge.count), f"{merge.scale:g}", spread(gains)])
    caption = (
        "Points on frozen features, cross-validated on 300 training images, over the single "
        "network that a search takes; in brackets the 95 % interval of a bootstrap over families."
    )
    return Table("looks", caption, ("tasks", "sources", "scale", "points over the match"), rows)


def _runs(plan: Merging, results: Results) -> Table:
    """What the answer gains where a merged network is taken when it looks better."""
    seen, best = read_seen(results), _best(results)
    runs = Runs(results, seen)
    stored = {
        Run(
            Cell(line["task"], line["seed"], line["images"]), Merge(line["count"], line["scale"])
        ): 100 * line["accuracy"]
        for line in results.lines(RUNS)
    }
    rows = []
    for kind, tasks in KINDS.items():
        gains: dict[str, list[float]] = {task: [] for task in tasks}
        taken = 0
        for cell in plan.cells(seen):
            if cell.task not in tasks or cell not in best:
                continue
            single = runs.accuracy(METHODS[TANS], cell)
            if not _wins(cell, seen, best):
                gains[cell.task].append(0.0)
            elif single is not None and (run := Run(cell, best[cell][0])) in stored:
                gains[cell.task].append(stored[run] - single)
                taken += 1
        count = sum(map(len, gains.values()))
        rows.append([kind, f"{taken} of {count}", spread(gains)])
    caption = (
        "Points of test accuracy over the match after the same fine-tune, paired by task and seed, "
        "where a merged network is taken if it does better on frozen features, and the match "
        "itself if not; in brackets the 95 % interval of a bootstrap over families."
    )
    return Table("gains", caption, ("tasks", "merged taken", "points over the match"), rows)


EXPERIMENT = Experiment(
    name="merging",
    title="Networks that are merged",
    question=(
        "Is the mean of several sources, in the space of weights, a better place to begin than the "
        "best of them?"
    ),
    plan=Merging(),
    drawn=draw,
)
