"""What `tans check` tells of twice as many images, beside what they really bring.

Of each task some images are looked at, as a user's would be. As many others join them, several
times, and classifiers fitted to one and to both are judged by the images of all other groups. That
is the gain which the curve of the first alone is to foretell. All is on frozen features, which are
made once of a task, under the batch-norm statistics of some of its images; nothing is fine-tuned.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from tans.networks.network import DeepHead
from tans.networks.probe import ridge_kernel, ridge_right
from tans.search.curve import curve_of
from tans.tasks.splits import group_numbers, stratified_subset
from tans.training import adapted_features
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS = "curves"
CHOSEN_BY = (
    *("digits", "textile", "flags", "script-greek", "icons-apps"),
    *("fashion-mnist", "openarena-textures", "ufoai-textures"),
)
"""Tasks by whose trials the width of the interval was chosen."""
OTHERS = (
    *("script-thai", "emoji-google-reserved", "solar-cells", "blue-marble"),
    *("wesnoth-units", "wesnoth-terrain"),
)
"""Tasks by which it was not."""
TASKS = (*CHOSEN_BY, *OTHERS)
SIZES = ((100, 100), (200, 200), (300, 300), (600, 600), (600, 150))
"""Images that there are, and how many of them are looked at, at most."""
SEEDS = range(4)
POOL = 2400
"""Images of a task, at most."""
JOINING = 3
"""Times that as many images join, whose mean gain counts."""
LEAST_JUDGES = 150
"""Images of other groups, below which a gain cannot be told from chance."""

Rule = Callable[[Result], float]
RULES: Mapping[str, Rule] = {
    "no gain": lambda _: 0.0,
    "that of the last doubling": lambda run: run["accuracies"][2] - run["accuracies"][1],
    "tans check": lambda run: run["gain"],
}
"""What each expects twice as many images to bring."""


@dataclass(frozen=True, eq=False)
class Pool:
    """A task's images as features, from which users' datasets are drawn."""

    kernel: Tensor
    """Of all images, float64 (n, n)."""
    features: Tensor
    """(n, f)."""
    blocks: tuple[int, ...] | None
    labels: Tensor
    """int64 (n,)."""
    groups: tuple[str, ...] | None
    numbers: Tensor
    """Of the groups, int64 (n,)."""

    def named(self, rows: Tensor) -> tuple[str, ...] | None:
        """Groups of some images."""
        return self.groups and tuple(self.groups[row] for row in rows.tolist())

    def drawn(self, rows: Tensor, count: int, seed: int) -> Tensor:
        """So many of some images, in the proportions of classes, by groups."""
        return rows[stratified_subset(self.labels[rows], count, seed, self.numbers[rows])]

    def beside(self, rows: Tensor, *, groups: bool = False) -> Tensor:
        """All other images, or only those of other groups."""
        own = self.numbers if groups else torch.arange(len(self.labels))
        return (~torch.isin(own, own[rows])).nonzero().flatten()

    def accuracy(self, learnt: Tensor, judges: Tensor) -> float:
        """Of a classifier fitted to some images, by others, at its best penalty."""
        right = ridge_right(self.kernel, self.labels, learnt, judges)
        return float(right.double().mean(1).max())


@dataclass(frozen=True)
class Trial:
    """Look at a user's images, foretell the gain of twice as many, and see what they bring."""

    task: str
    images: int
    most: int
    """Images that are looked at, at most."""
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.task}-{self.images}-{self.most}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        pool = pool_of(bench, self.task)
        own = pool.drawn(torch.arange(len(pool.labels)), self.images, self.seed)
        seen = pool.drawn(own, self.most, self.seed)
        curve = curve_of(
            pool.features[seen],
            pool.labels[seen],
            pool.named(seen),
            len(own),
            pool.blocks,
            self.seed,
        )
        brought = [] if curve.untold else self._brought(pool, own)
        result = {**asdict(self), **asdict(curve), "images": self.images}
        if not brought:
            return {**result, "untold": curve.untold or "too few images of other groups"}
        before, after = (statistics.fmean(each) for each in zip(*brought, strict=True))
        return {**result, "before": before, "after": after}

    def _brought(self, pool: Pool, own: Tensor) -> list[tuple[float, float]]:
        """Accuracies before and after as many images joined, by the images of other groups."""
        found = []
        for draw in range(JOINING):
            others = pool.drawn(pool.beside(own), len(own), 1 + JOINING * self.seed + draw)
            both = torch.cat([own, others])
            judges = pool.beside(both, groups=True)
            if len(others) == len(own) and len(judges) >= LEAST_JUDGES:
                found.append((pool.accuracy(own, judges), pool.accuracy(both, judges)))
        return found


@lru_cache(maxsize=1)
def pool_of(bench: Bench, name: str) -> Pool:
    """A task's images, under a deep head of the zoo's elastic base."""
    task = bench.tasks(name, None)
    rows = stratified_subset(task.labels, POOL, 0)
    groups = task.groups and tuple(task.groups[row] for row in rows.tolist())
    network = bench.zoo.query_network()
    network.replace_head(len(task.classes), deep=True)
    head = network.classifier
    blocks = head.blocks if isinstance(head, DeepHead) else None
    features = adapted_features(network, task.pixels.at(network.input.size, rows))
    kernel = ridge_kernel(features, blocks)
    numbers = group_numbers(groups, len(rows))
    return Pool(kernel, features, blocks, task.labels[rows], groups, numbers)


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    runs = results.lines(RUNS)
    told = [run for run in runs if run["untold"] is None]
    if not told:
        return []
    return [_rules(told), _sizes(told), _tasks(told, runs)]


def _rules(told: Sequence[Result]) -> Table:
    """How far off each rule is."""
    columns = ("expects", *(_size(*size) for size in SIZES), "all", "on average")
    rows = []
    for name, rule in RULES.items():
        off = [[_off(rule, run) for run in _of(told, *size)] for size in SIZES]
        every = [each for part in off for each in part]
        cells = [_mean([abs(each) for each in part]) for part in (*off, every)]
        rows.append([name, *cells, _mean(every, "+.1f")])
    caption = (
        f"Mean absolute error, in points, of what is expected of twice as many images, over "
        f"{len(told)} trials of {len({run['task'] for run in told})} tasks; last, the mean error: "
        "above 0 where too much is expected."
    )
    return Table("rules", caption, columns, rows)


def _sizes(told: Sequence[Result]) -> Table:
    """Whether intervals hold, by images and by how tasks served."""
    rows = []
    for name, tasks in (("chosen by", CHOSEN_BY), ("others", OTHERS)):
        own = [run for run in told if run["task"] in tasks]
        parts = [(_size(*size), _of(own, *size)) for size in SIZES]
        rows += [[name, size, *_held(part)] for size, part in [*parts, ("all", own)] if part]
    caption = (
        "What twice as many images brought, in points, and how often the interval held it. "
        "Tasks by which its width was chosen, then others."
    )
    return Table("intervals", caption, ("tasks", "images", *HELD), rows)


def _tasks(told: Sequence[Result], runs: Sequence[Result]) -> Table:
    rows = []
    for task in TASKS:
        own = [run for run in told if run["task"] == task]
        count = sum(run["task"] == task for run in runs)
        if own:
            rows.append([task, str(count - len(own)), *_held(own)])
    caption = "The same by task, and how many trials had too few images or groups to tell."
    return Table("tasks", caption, ("task", "untold", *HELD), rows)


HELD = ("trials", "brought", "expected", "error", "interval's width", "held")


def _held(runs: Sequence[Result]) -> list[str]:
    """Cells of the columns ``HELD``."""
    inside = [run["low"] <= _brought(run) <= run["high"] for run in runs]
    return [
        str(len(runs)),
        _mean([_brought(run) for run in runs]),
        _mean([run["gain"] for run in runs]),
        _mean([abs(_off(RULES["tans check"], run)) for run in runs]),
        _mean([run["high"] - run["low"] for run in runs]),
        f"{statistics.fmean(inside):.0%}",
    ]


def _brought(run: Result) -> float:
    return run["after"] - run["before"]


def _off(rule: Rule, run: Result) -> float:
    return rule(run) - _brought(run)


def _of(runs: Sequence[Result], images: int, most: int) -> list[Result]:
    return [run for run in runs if (run["images"], run["most"]) == (images, most)]


def _size(images: int, most: int) -> str:
    return str(images) if images == most else f"{most} of {images}"


def _mean(shares: Sequence[float], form: str = ".1f") -> str:
    """In points; empty for none."""
    return format(100 * statistics.fmean(shares), form) if shares else ""


EXPERIMENT = Experiment(
    name="curves",
    title="What twice as many images bring",
    question=(
        "`tans check` measures accuracy on frozen features with a quarter, half and all of the "
        "images, and a line goes on to twice as many. How far off is it, and does its interval "
        "hold?"
    ),
    plan=Fixed(
        tuple(Trial(task, *size, seed) for task, size, seed in product(TASKS, SIZES, SEEDS))
    ),
    drawn=draw,
)
