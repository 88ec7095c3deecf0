"""All rivals beside tans on two tasks: five seeds, and with each a search of its own.

Results lie in a folder of their own, so that all are of one reader and one recipe: none is shared
with the main comparison, most of whose runs are of older ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Generic, TypeVar

from tans.training import PUBLISHED as PUBLISHED_RECIPE
from tans.training import Recipe
from tans_bench.experiments.main import (
    AS_PUBLISHED,
    LONG,
    PUBLISHED,
    SEARCHES,
    SHORT,
    TENFOLD,
    UNTRAINED,
    YARDSTICK,
)
from tans_bench.methods.budget import Budget
from tans_bench.methods.entrants import get_method
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import averaged
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Choose, FineTune, Job, proposal_of
from tans_bench.runs.results import Result, Results

TASKS = ("script-hangul", "wesnoth-units")
"""A sibling and a stranger."""
SEEDS = (0, 1, 2, 3, 4)
LIMITS = "40M-flops"
WITH_WEIGHTS = ("tans", *AS_PUBLISHED, "imagenet", *SEARCHES)
LENGTHS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(WITH_WEIGHTS, (SHORT, LONG)),
    **dict.fromkeys(UNTRAINED, (TENFOLD,)),
}
"""Epochs by method."""
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

    lengths: tuple[tuple[str, tuple[int, ...]], ...] = tuple(LENGTHS.items())
    """Methods, with the epochs of their fine-tunes."""
    tasks: tuple[str, ...] = TASKS
    seeds: tuple[int, ...] = SEEDS
    images: int = 300
    """Training images of a task, at most."""
    budget: Budget = "small"
    """Of a search."""

    def scaled(self, preset: str) -> Rivals:
        """With twice the images and the full budget on a GPU."""
        if preset == "cpu":
            return self
        return replace(self, images=600, budget="full")

    def jobs(self, bench: Bench) -> Sequence[Job]:
        chosen: list[Job] = []
        tuned: list[Job] = []
        for method, lengths in self.lengths:
            for choice in self.choices(method):
                chosen.append(choice)
                stored = bench.results.read(choice.name) if choice.done(bench) else None
                if stored is not None:
                    tuned += [self.finetune(choice, stored, epochs) for epochs in lengths]
        return [*chosen, *tuned]

    def choices(self, method: str) -> list[Own[Choose]]:
        """One for each task and seed."""
        keys = product(self.tasks, self.seeds)
        return [Own(Choose(t, method, LIMITS, s, self.images, self.budget)) for t, s in keys]

    def finetune(self, choice: Own[Choose], stored: Result, epochs: int) -> Own[FineTune]:
        """Of what a choice came to, by its seed."""
        job = choice.job
        recipe = PUBLISHED_RECIPE if job.method in AS_PUBLISHED else Recipe()
        rate = recipe.learning_rate
        return Own(FineTune(job.task, proposal_of(stored), epochs, job.seed, self.images, rate))

    def runs(self, method: str, epochs: int, results: Results) -> dict[Key, Run]:
        """What is stored of a method, by task and seed."""
        found = {}
        for choice in self.choices(method):
            stored = results.read(choice.name)
            if stored is not None:
                run = results.read(self.finetune(choice, stored, epochs).name)
                if run is not None:
                    found[choice.job.task, choice.job.seed] = (stored, run)
        return found


def draw(plan: Rivals, results: Results) -> Sequence[Drawing]:
    if plan.budget == "full":
        tables = [_table("published", plan, results, "")]
    else:
        full = plan.scaled("gpu")
        tables = [
            _table("rivals", plan, results, ""),
            _table("published", full, results, NOT_RUN),
        ]
    return tables if tables[0].rows else []


def _table(name: str, plan: Rivals, results: Results, missing: str) -> Table:
    """A row for a method and a length.

    Args:
        missing: stands in a row of which nothing is stored; there is none where it is empty.
    """
    yardstick = plan.runs(*YARDSTICK, results)
    rows = []
    for method, epochs in _rows(plan):
        own = plan.runs(method, epochs, results)
        if own or missing:
            figures = _figures(plan, own, yardstick) if own else _blank(plan, missing)
            published = PUBLISHED.get((method, epochs), ("", ""))[1]
            rows.append([get_method(method).title, str(epochs), *figures, published])
    return Table(name, _caption(plan), _columns(plan), rows)


def _rows(plan: Rivals) -> Iterator[tuple[str, int]]:
    return ((method, epochs) for method, lengths in plan.lengths for epochs in lengths)


def _columns(plan: Rivals) -> tuple[str, ...]:
    by_task = (f"{task} ({what})" for task in plan.tasks for what in ("%", "gain"))
    costs = ("FLOPs (M)", "params (M)", "once (s)", "search (s)", "training (s)")
    return ("method", "epochs", "runs", *costs, *by_task, "gain", "paper: accuracy")


def _blank(plan: Rivals, missing: str) -> list[str]:
    return ["0", missing, *[""] * (len(_columns(plan)) - 5)]


def _figures(plan: Rivals, own: Mapping[Key, Run], yardstick: Mapping[Key, Run]) -> list[str]:
    """Of one row, from ``runs`` on, but for what the paper has."""

    def mean(value: Callable[[Run], float], form: str) -> str:
        return f"{statistics.fmean(map(value, own.values())):{form}}"

    by_task, gained = [], []
    for task in plan.tasks:
        accuracies = [run["accuracy"] for (name, _), (_, run) in own.items() if name == task]
        gains = [
            run["accuracy"] - yardstick[key][1]["accuracy"]
            for key, (_, run) in own.items()
            if key[0] == task and key in yardstick
        ]
        by_task.append(averaged(accuracies) if accuracies else "")
        by_task.append(averaged(gains, "+.1f") if gains else "")
        gained += [statistics.fmean(gains)] if gains else []
    return [
        str(len(own)),
        mean(lambda pair: pair[0]["flops"] / 1e6, ".1f"),
        mean(lambda pair: pair[0]["params"] / 1e6, ".2f"),
        f"{max(choice['once_s'] for choice, _ in own.values()):.0f}",
        mean(lambda pair: pair[0]["seconds"], ".1f"),
        mean(lambda pair: pair[1]["seconds"], ".1f"),
        *by_task,
        f"{100 * statistics.fmean(gained):+.1f}" if len(gained) == len(plan.tasks) else "",
    ]


def _caption(plan: Rivals) -> str:
    budget = "as published" if plan.budget == "full" else "at the size that two cores can pay for"
    return (
        f"Searches {budget}, at most {plan.images} training images: test accuracy, and points over "
        "ImageNet's 50 epochs with the same seed, both with the 95 % interval of the mean over "
        f"seeds, which have a search each. Seconds are means over runs, but for those spent once, "
        "for all tasks: the most of any run. To the right what the paper found on other tasks."
    )


EXPERIMENT = Experiment(
    name="rivals",
    title="Rivals on two tasks, five seeds (Table 1)",
    question="What do rivals of a fair size reach, and how much of a difference is chance?",
    plan=Rivals(),
    drawn=draw,
)
