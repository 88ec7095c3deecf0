"""What an experiment declares: tasks, methods, budgets and seeds, and how its results are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Generic, Protocol, Self, TypeVar

from tans.errors import InputError
from tans.training import Recipe
from tans_bench.methods.budget import Budget
from tans_bench.methods.method import Proposal
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, style
from tans_bench.runs.jobs import Choose, FineTune, Job, proposal_of
from tans_bench.runs.results import Results

PRESETS = ("cpu", "gpu")
"""What fits two cores, and what a GPU does in the same time, searches as they were published."""


@dataclass(frozen=True)
class Arm:
    """Methods that are run alike."""

    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    epochs: tuple[int, ...]
    seeds: tuple[int, ...] = (0,)
    limits: tuple[str, ...] = ("40M-flops",)
    """Of ``tans_bench.runs.jobs.LIMITS``."""
    images: int = 300
    """Training images of a task, at most."""
    budget: Budget = "small"
    """Of a search."""
    learning_rate: float = Recipe.learning_rate
    """Of the fine-tunes, at the start."""

    def scaled(self, preset: str) -> Arm:
        """With twice the images, five seeds and the full budget on a GPU."""
        if preset == "cpu":
            return self
        return replace(self, images=2 * self.images, seeds=tuple(range(5)), budget="full")

    def choices(self) -> list[Choose]:
        """A choice for each method, task and limit."""
        cells = product(self.tasks, self.methods, self.limits)
        return [Choose(*cell, images=self.images, budget=self.budget) for cell in cells]

    def finetune(self, task: str, proposal: Proposal, epochs: int, seed: int) -> FineTune:
        """That of a proposal."""
        return FineTune(task, proposal, epochs, seed, self.images, self.learning_rate)

    def finetunes(self, bench: Bench) -> list[FineTune]:
        """The fine-tunes of what has been chosen so far."""
        return [
            self.finetune(choice.task, proposal_of(stored), epochs, seed)
            for choice in self.choices()
            if choice.done(bench) and (stored := bench.results.read(choice.name)) is not None
            for epochs, seed in product(self.epochs, self.seeds)
        ]


class Plan(Protocol):
    """Which jobs an experiment is made of."""

    def jobs(self, bench: Bench) -> Sequence[Job]:
        """All jobs that can be named so far; more may follow from their results."""
        ...

    def scaled(self, preset: str) -> Self:
        """The same for one of ``PRESETS``."""
        ...


P = TypeVar("P", bound=Plan)


@dataclass(frozen=True)
class Fixed:
    """A plan of jobs that can all be named at once, the same for every preset."""

    all: tuple[Job, ...]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        del bench  # nothing follows from what is stored
        return self.all

    def scaled(self, preset: str) -> Fixed:
        del preset
        return self


@dataclass(frozen=True)
class Comparison:
    """A plan of methods: each chooses a network for each task, and it is fine-tuned."""

    arms: tuple[Arm, ...]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        choices = [choice for arm in self.arms for choice in arm.choices()]
        finetunes = [job for arm in self.arms for job in arm.finetunes(bench)]
        return list(dict.fromkeys([*choices, *finetunes]))

    def scaled(self, preset: str) -> Comparison:
        return Comparison(tuple(arm.scaled(preset) for arm in self.arms))


@dataclass(frozen=True)
class Experiment(Generic[P]):
    """A question, what is run to answer it, and the tables and figures of the answer."""

    name: str
    title: str
    question: str
    plan: P
    drawn: Callable[[P, Results], Sequence[Drawing]]
    """From the stored results of a plan alone; empty where there are none."""

    def scaled(self, preset: str) -> Experiment[P]:
        """The same for one of ``PRESETS``.

        Raises:
            InputError: there is no such preset.
        """
        if preset not in PRESETS:
            raise InputError(f"no preset {preset!r}; expected one of {', '.join(PRESETS)}")
        return replace(self, plan=self.plan.scaled(preset))

    def draw(self, results: Results) -> Sequence[Drawing]:
        """Tables and figures from the stored results alone; empty where there are none."""
        with style():
            return self.drawn(self.plan, results)
