"""All rivals beside tans on two tasks: five seeds, and with each a search of its own.

Results lie in a folder of their own, so that all are of one reader and one recipe: none is shared
with the main comparison, most of whose runs are of older ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Generic, TypeVar

from tans.training import PUBLISHED as PUBLISHED_RECIPE
from tans.training import Recipe
from tans_bench.experiments.table1 import (
    AS_PUBLISHED,
    LONG,
    PUBLISHED,
    SHORT,
    TENFOLD,
    YARDSTICK,
    History,
    against_time,
    curves,
)
from tans_bench.methods.budget import Budget
from tans_bench.methods.entrants import get_method
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import averaged
from tans_bench.runs.drawing import Drawing, Plot, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import SHIPPED, Choose, FineTune, Job, proposal_of
from tans_bench.runs.results import Result, Results

TASKS = ("script-hangul", "wesnoth-units")
"""A sibling and a stranger."""
SEEDS = (0, 1, 2, 3, 4)
LIMITS = "40M-flops"
SEARCHES = ("ofa", "ofa-random", "nsganetv2", "fbnet", "fbnet-a", "metad2a")
"""Architectures, most of them searched for, whose networks begin with ImageNet's weights."""
UNTRAINED = ("pc-darts", "drnas")
"""Architectures without weights."""
WITH_WEIGHTS = ("tans", *AS_PUBLISHED, "imagenet", *SEARCHES)
Length = int | None
"""Epochs, or ``SHIPPED``."""
LENGTHS: Mapping[str, tuple[Length, ...]] = {
    **dict.fromkeys(WITH_WEIGHTS, (SHORT, LONG, SHIPPED)),
    **dict.fromkeys(AS_PUBLISHED, (SHORT, LONG)),
    **dict.fromkeys(UNTRAINED, (TENFOLD,)),
}
"""Of fine-tunes, by method. The shipped recipe is for networks that begin with weights, and none of
the paper's."""
AS_SHIPPED = "imagenet", SHIPPED
"""What the gains of other networks by the shipped recipe are over."""
NOT_RUN = "not run: no card"
"""In place of the figures of what only a card can pay for."""

Run = tuple[Result, Result]
"""A choice, and what its fine-tune gave."""
Key = tuple[str, int]
"""Task and seed."""


J = TypeVar("J", Choose, FineTune)


@dataclass(frozen=True)
class Own(Generic[J]):
    """A choice or a fine-tune whose result is this experiment's own."""

    job: J

    @property
    def name(self) -> str:
        return f"rivals/{self.job.name}"

    @property
    def task(self) -> str:
        return self.job.task

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        return stored is not None and stored.get("zoo", bench.digest) == bench.digest

    def run(self, bench: Bench) -> Result:
        return self.job.run(bench)


@dataclass(frozen=True)
class Rivals:
    """A plan: each method chooses anew for each task and seed, and what it chose is trained."""

    lengths: tuple[tuple[str, tuple[Length, ...]], ...] = tuple(LENGTHS.items())
    """Methods, with the lengths of their fine-tunes."""
    tasks: tuple[str, ...] = TASKS
    seeds: tuple[int, ...] = SEEDS
    images: int = 300
    """Training images of a task, at most."""
    budget: Budget = "small"
    """Of a search."""

    def scaled(self, preset: str) -> Rivals:
        """With twice the images and the full budget on a GPU, by the published lengths alone."""
        if preset == "cpu":
            return self
        published = tuple((method, _epochs(lengths)) for method, lengths in self.lengths)
        return replace(self, lengths=published, images=600, budget="full")

    def jobs(self, bench: Bench) -> Sequence[Job]:
        chosen: list[Job] = []
        tuned: list[Job] = []
        for method, lengths in self.lengths:
            for choice in self.choices(method):
                chosen.append(choice)
                stored = bench.results.read(choice.name) if choice.done(bench) else None
                if stored is not None:
                    tuned += [self.finetune(choice, stored, length) for length in lengths]
        return [*chosen, *tuned]

    def choices(self, method: str) -> list[Own[Choose]]:
        """One for each task and seed."""
        keys = product(self.tasks, self.seeds)
        return [Own(Choose(t, method, LIMITS, s, self.images, self.budget)) for t, s in keys]

    def finetune(self, choice: Own[Choose], stored: Result, length: Length) -> Own[FineTune]:
        """Of what a choice came to, by its seed."""
        job = choice.job
        recipe = PUBLISHED_RECIPE if job.method in AS_PUBLISHED else Recipe()
        rate = recipe.learning_rate
        return Own(FineTune(job.task, proposal_of(stored), length, job.seed, self.images, rate))

    def chosen(self, method: str, results: Results) -> dict[Key, Result]:
        """What is stored of a method's choices, by task and seed."""
        stored = {(c.job.task, c.job.seed): results.read(c.name) for c in self.choices(method)}
        return {key: choice for key, choice in stored.items() if choice is not None}

    def runs(self, method: str, length: Length, results: Results) -> dict[Key, Run]:
        """What is stored of a method, by task and seed."""
        found = {}
        chosen = self.chosen(method, results)
        for choice in self.choices(method):
            key = choice.job.task, choice.job.seed
            if key in chosen:
                run = results.read(self.finetune(choice, chosen[key], length).name)
                if run is not None:
                    found[key] = chosen[key], run
        return found


def _epochs(lengths: Iterable[Length]) -> tuple[int, ...]:
    return tuple(length for length in lengths if length is not None)


def draw(plan: Rivals, results: Results) -> Sequence[Drawing]:
    found = _whole(plan, results)
    if not found.get(YARDSTICK):
        return []
    figures = [_against_time(plan, found), _curves(plan, found)]
    if plan.budget == "full":
        return [_table("published", plan, found, ""), *figures]
    full = plan.scaled("gpu")
    on_a_card = _table("published", full, _whole(full, results), NOT_RUN)
    return [_table("rivals", plan, found, ""), *figures, *_shipped(plan, found), on_a_card]


Found = Mapping[tuple[str, Length], Mapping[Key, Run]]
"""Runs by method and length."""


def _whole(plan: Rivals, results: Results) -> Found:
    """What was run on all tasks with all seeds: means over some would tell of those alone."""
    whole = len(plan.tasks) * len(plan.seeds)
    rows = ((method, length) for method, lengths in plan.lengths for length in lengths)
    found = {key: plan.runs(*key, results) for key in rows}
    return {key: own if len(own) == whole else {} for key, own in found.items()}


def _table(name: str, plan: Rivals, found: Found, missing: str) -> Table:
    """A row for a method and a number of epochs.

    Args:
        missing: stands in a row that was not run; there is none where it is empty.
    """
    rows, yardstick = [], found[YARDSTICK]
    for (method, epochs), own in found.items():
        if epochs is None:
            continue
        ran = own and yardstick
        if ran or missing:
            figures = _figures(plan, own, yardstick) if ran else _blank(plan, missing)
            published = PUBLISHED.get((method, epochs), ("", ""))
            rows.append([get_method(method).title, str(epochs), *figures, *published])
    columns = ("method", "epochs", *_measured(plan), "paper: speed-up", "paper: accuracy")
    return Table(name, _caption(plan), columns, rows)


def _shipped(plan: Rivals, found: Found) -> Sequence[Table]:
    """A row for a method whose networks were trained by the shipped recipe."""
    yardstick = found.get(AS_SHIPPED)
    if not yardstick:
        return []
    rows = [
        [get_method(method).title, *_figures(plan, own, yardstick)]
        for (method, length), own in found.items()
        if length is SHIPPED and own
    ]
    caption = (
        "The same choices under the recipe of `tans finetune`: a head on all stages, the mean of "
        "the last weights, as many epochs as fit the images. Gains and speed-up are over "
        "ImageNet's network by the same recipe; else as above."
    )
    return [Table("shipped", caption, ("method", *_measured(plan)), rows)]


def _measured(plan: Rivals) -> tuple[str, ...]:
    """Columns of ``_figures``."""
    by_task = (f"{task} ({what})" for task in plan.tasks for what in ("%", "gain"))
    costs = ("FLOPs (M)", "params (M)", "once (s)", "search (s)", "training (s)", "speed-up")
    return ("runs", *costs, *by_task, "gain")


def _blank(plan: Rivals, missing: str) -> list[str]:
    return ["0", missing, *[""] * (len(_measured(plan)) - 2)]


def _figures(plan: Rivals, own: Mapping[Key, Run], yardstick: Mapping[Key, Run]) -> list[str]:
    """Of one row, from ``runs`` on, but for what the paper has."""

    def mean(value: Callable[[Run], float], form: str) -> str:
        return f"{statistics.fmean(map(value, own.values())):{form}}"

    by_task = []
    for task in plan.tasks:
        accuracies = [run["accuracy"] for (name, _), (_, run) in own.items() if name == task]
        by_task += [averaged(accuracies), averaged(_gains(own, yardstick, task), "+.1f")]
    time, gain = _point(plan, own, yardstick)
    return [
        str(len(own)),
        mean(lambda pair: pair[0]["flops"] / 1e6, ".1f"),
        mean(lambda pair: pair[0]["params"] / 1e6, ".2f"),
        f"{max(choice['once_s'] for choice, _ in own.values()):.0f}",
        mean(lambda pair: pair[0]["seconds"], ".1f"),
        mean(lambda pair: pair[1]["seconds"], ".1f"),
        f"{1 / time:.2f}x",
        *by_task,
        f"{gain:+.1f}",
    ]


def _gains(own: Mapping[Key, Run], yardstick: Mapping[Key, Run], task: str) -> list[float]:
    """Accuracy over the yardstick's, of each seed."""
    return [
        run["accuracy"] - yardstick[key][1]["accuracy"]
        for key, (_, run) in own.items()
        if key[0] == task
    ]


def _point(
    plan: Rivals, own: Mapping[Key, Run], yardstick: Mapping[Key, Run]
) -> tuple[float, float]:
    """Whole time, the yardstick's being 1, and the mean over tasks of points over it."""
    time = sum(map(_seconds, own.values())) / sum(map(_seconds, yardstick.values()))
    gains = [statistics.fmean(_gains(own, yardstick, task)) for task in plan.tasks]
    return time, 100 * statistics.fmean(gains)


def _seconds(run: Run) -> float:
    """Of search and training; what was spent once for all tasks is none of it."""
    choice, tuned = run
    return float(choice["seconds"]) + float(tuned["seconds"])


def _against_time(plan: Rivals, found: Found) -> Plot:
    """Figure 2."""
    points: dict[str, list[tuple[float, float]]] = {}
    for (method, epochs), own in found.items():
        ran = own and epochs is not None
        points.setdefault(method, []).extend([_point(plan, own, found[YARDSTICK])] if ran else [])
    lines = [(get_method(method).title, False, line) for method, line in points.items()]
    over = (
        f"means over tasks and seeds, after {SHORT} and {LONG} epochs, and {TENFOLD} of what "
        "begins with untrained weights"
    )
    return against_time(lines, over)


def _curves(plan: Rivals, found: Found) -> Plot:
    """Figure 5."""
    histories: dict[str, dict[str, list[History]]] = {task: {} for task in plan.tasks}
    for (method, epochs), own in found.items():
        if epochs == LONG:
            for (task, _), (_, run) in own.items():
                histories[task].setdefault(method, []).append(run["history"])
    return curves(histories, "means over seeds")


def _caption(plan: Rivals) -> str:
    budget = "as published" if plan.budget == "full" else "at the size that two cores can pay for"
    return (
        f"Searches {budget}, at most {plan.images} training images: test accuracy, and points over "
        f"ImageNet's {LONG} epochs with the same seed, both with the 95 % interval of the mean "
        "over seeds, which have a search each; to their right the mean over tasks. Seconds are "
        "means over runs, but for those spent once, for all tasks: the most of any run. Speed-up: "
        f"of search and training, against ImageNet's {LONG} epochs. To the right what the paper "
        "found on other tasks."
    )


EXPERIMENT = Experiment(
    name="rivals",
    title="Rivals on two tasks, five seeds (Table 1, Figures 2 and 5)",
    question="What do rivals of a fair size reach, and how much of a difference is chance?",
    plan=Rivals(),
    drawn=draw,
)
