"""MetaD2A by itself: are the graphs it writes right, new, and better than any, and how soon?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tans.training import Recipe
from tans_bench.experiments.rivals import Rivals
from tans_bench.methods.budget import Budget
from tans_bench.methods.metad2a.learning import (
    FULL,
    FULL_CELLS,
    SMALL,
    SMALL_CELLS,
    MetaD2ASettings,
)
from tans_bench.methods.metad2a.pairs import Pairs
from tans_bench.runs.bench import Bench
from tans_bench.runs.cellpairs import RECIPE, Cells, cells_of
from tans_bench.runs.comparison import averaged
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.generated import (
    CELLS,
    CHOSEN,
    ELASTIC,
    GENERATED,
    Against,
    Spared,
    Unseen,
)
from tans_bench.runs.jobs import Job
from tans_bench.runs.results import Result, Results

SHARES = ("valid", "unique", "novel")
CORRELATIONS = ("spearman", "spearman_of_size", "spearman_of_splits")
METHODS = {"metad2a": "MetaD2A", "nsganetv2": "NSGANetV2"}
SOONER = 5500
"""Times that MetaD2A was faster than NSGANetV2 on the abstract's account."""


@dataclass(frozen=True)
class Generations:
    """A plan: networks of cells to learn from, folds of tasks in both spaces, and measuring."""

    measured_on: tuple[str, ...]
    """Source tasks of the zoo on which generated architectures are measured."""
    searches: Rivals = field(default=Rivals())
    """The comparison whose choices tell how long searches take."""
    settings: MetaD2ASettings = SMALL
    cell_settings: MetaD2ASettings = SMALL_CELLS
    folds: int = 4
    graphs: int = 500
    """Written for each task."""
    count: int = 12
    """Architectures measured, as in ``Against``."""
    cells: int = 10
    """Networks trained on each task."""
    recipe: Recipe = field(default=RECIPE)
    """Of their training."""
    budget: Budget = "small"
    """That the settings are of."""

    def jobs(self, bench: Bench) -> Sequence[Job]:
        cells = tuple(cells_of(bench, self.cells, self.recipe))
        folds = self.unseen(ELASTIC)
        if all(job.done(bench) for job in cells):
            folds += self.unseen(CELLS, cells)
        order = list(Pairs.of_zoo(bench.zoo).datasets)
        against = [self.against(task, order.index(task)) for task in self.measured_on]
        return [*cells, *folds, *against]

    def unseen(self, space: str, cells: tuple[Cells, ...] = ()) -> list[Unseen]:
        """Every fold of the tasks."""
        folds = (self._spared(space, fold, cells) for fold in range(self.folds))
        return [Unseen(spared, self.graphs) for spared in folds]

    def against(self, task: str, place: int = 0) -> Against:
        """In the fold that leaves the task out, which is the so-manieth of all."""
        return Against(task, self._spared(ELASTIC, place % self.folds), self.graphs, self.count)

    def _spared(self, space: str, fold: int, cells: tuple[Cells, ...] = ()) -> Spared:
        settings = self.settings if space == ELASTIC else self.cell_settings
        return Spared(space, fold, self.folds, settings, cells, self.budget)

    def scaled(self, preset: str) -> Generations:
        """Published sizes and steps on a GPU."""
        if preset == "cpu":
            return self
        published = replace(self, settings=FULL, cell_settings=FULL_CELLS, budget="full")
        return replace(published, searches=self.searches.scaled(preset))


def draw(plan: Generations, results: Results) -> Sequence[Drawing]:
    unseen = _read([*plan.unseen(ELASTIC), *plan.unseen(CELLS)], results)
    against = _read([plan.against(task) for task in sorted(plan.measured_on)], results)
    drawings: list[Drawing] = []
    if unseen:
        drawings.append(_shares(unseen))
    if against:
        drawings += [_differences(against), _figure(against)]
    if drawings and (times := _times(plan, results)):
        drawings.append(times)
    return drawings


def _read(jobs: Sequence[Job], results: Results) -> list[Result]:
    """What is stored of them."""
    return [stored for job in jobs if (stored := results.read(job.name)) is not None]


def _shares(unseen: Sequence[Result]) -> Table:
    rows = []
    for space in dict.fromkeys(result["space"] for result in unseen):
        folds = [result for result in unseen if result["space"] == space]
        tasks = [own for result in folds for own in result["tasks"].values()]
        means = {key: [float(own[key]) for own in tasks] for key in (*SHARES, *CORRELATIONS)}
        rows.append(
            [
                space,
                str(len(tasks)),
                f"{statistics.fmean(result['learnt_from'] for result in folds):.0f}",
                *(averaged(means[key]) for key in SHARES),
                *(averaged(means[key], ".2f", 1) for key in CORRELATIONS),
                f"{statistics.fmean(result['learning_s'] for result in folds):.0f}",
                f"{statistics.fmean(own['seconds'] for own in tasks):.2f}",
            ]
        )
    caption = (
        f"On tasks that were not learnt from, means over them with the 95 % interval: of "
        f"{unseen[0]['graphs']} graphs a task the share in % that is an architecture of the "
        "space, of these the share that is different, and of these the share that was not learnt "
        "from; the rank correlation of the predictor's scores with the accuracies of the task's "
        "networks on validation and test images, that of their multiply-adds alone, and that of "
        "the accuracies on the two with each other, which tells how much is chance. To the right, "
        "seconds of meta-learning a fold (of reading, where it was kept) and of writing a task's "
        "graphs."
    )
    columns = (
        *("space", "tasks", "pairs learnt from", "valid", "unique", "novel"),
        *("Spearman", "of size alone", "of the splits", "learning (s)", "writing (s)"),
    )
    return Table("graphs", caption, columns, rows)


def _differences(against: Sequence[Result]) -> Table:
    rows = []
    for place in (GENERATED, CHOSEN):
        means = []
        for result in against:
            pairs = result["pairs"][place]
            points = [pair["own"]["accuracy"] - pair["random"]["accuracy"] for pair in pairs]
            means.append(statistics.fmean(points))
            values = [
                f"{unit * statistics.fmean(pair[who][key] for pair in pairs):.1f}"
                for key, unit in (("flops", 1e-6), ("accuracy", 100))
                for who in ("own", "random")
            ]
            rows.append([place, result["task"], str(len(pairs)), *values, averaged(points, "+.1f")])
        rows.append([place, "mean", "", "", "", "", "", averaged(means, "+.1f")])
    caption = (
        "Subnets of a task's own supernet, on its validation and test images, the task not being "
        "learnt from: what is generated for it, and the best predicted of that, each beside a "
        "random architecture of the same cost; points of difference with the 95 % interval."
    )
    columns = (
        *("architectures", "task", "number", "FLOPs (M)", "random's", "accuracy (%)", "random's"),
        "difference",
    )
    return Table("against", caption, columns, rows)


def _figure(against: Sequence[Result]) -> Plot:
    figure = canvas(2.6 * len(against) + 0.6, 2.8)
    axes = figure.subplots(1, len(against), squeeze=False)[0]
    looks = (
        (GENERATED, "random", "x", "0.6", "random of the same cost"),
        (GENERATED, "own", "o", "#0072B2", GENERATED),
        (CHOSEN, "own", "D", "#D55E00", CHOSEN),
    )
    for axis, result in zip(axes, against, strict=True):
        for place, who, marker, colour, label in looks:
            own = [pair[who] for pair in result["pairs"][place]]
            flops = [network["flops"] / 1e6 for network in own]
            accuracy = [100 * network["accuracy"] for network in own]
            axis.plot(flops, accuracy, marker, color=colour, markersize=4, label=label)
        axis.set_title(result["task"], fontsize=9)
    figure.supxlabel("multiply-adds (million)")
    figure.supylabel("accuracy (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=7)
    caption = "Generated and random architectures as subnets of supernets of unseen tasks."
    return Plot("against", caption, figure)


def _times(plan: Generations, results: Results) -> Table | None:
    """Seconds of both methods' searches, of the runs that both have; None where there are none."""
    found = {method: plan.searches.chosen(method, results) for method in METHODS}
    both = sorted(set.intersection(*(set(own) for own in found.values())))
    if not both:
        return None
    means = {
        method: statistics.fmean(own[key]["seconds"] for key in both)
        for method, own in found.items()
    }
    rows = [
        [
            METHODS[method],
            str(len(both)),
            f"{max(own[key]['once_s'] for key in both):.1f}",
            f"{means[method]:.2f}",
            f"{means['nsganetv2'] / means[method]:.1f}x",
            f"{SOONER}x" if method == "metad2a" else "1x",
        ]
        for method, own in found.items()
    ]
    caption = (
        "Seconds once, for all tasks, and of a task's own search, the mean over tasks and seeds, "
        "and how much sooner that ends than NSGANetV2's; to the right the abstract's figure, found "
        "on a GPU in the space of MobileNetV3."
    )
    columns = ("method", "runs", "once (s)", "search (s)", "sooner", "abstract")
    return Table("times", caption, columns, rows)


EXPERIMENT = Experiment(
    name="generation",
    title="Architectures generated from datasets (MetaD2A)",
    question=(
        "Are the graphs that MetaD2A writes for unseen tasks valid, different and new, are they "
        "better than random architectures of the same cost, does its predictor rank, and how much "
        "sooner is it done than an evolutionary search?"
    ),
    plan=Generations(
        measured_on=(
            *("flags", "silhouettes", "script-ethiopic", "digits", "chess-pieces", "remix-icons"),
        ),
    ),
    drawn=draw,
)
