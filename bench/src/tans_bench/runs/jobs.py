"""The two kinds of work that most experiments are made of: choose a network, and fine-tune it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import torch

from tans.networks.family import describe
from tans.networks.network import Network
from tans.scores import Scores
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.training import Recipe, confusion_matrix, finetune, fit_head
from tans.types import Architecture, Constraints
from tans_bench.methods.budget import Budget, ending
from tans_bench.methods.entrants import get_method
from tans_bench.methods.method import Problem, Proposal
from tans_bench.recipes import plain
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Result
from tans_bench.spaces.families import ref_of

LIMITS = {
    "": Constraints(),
    "40M-flops": Constraints(max_flops=40e6),
    "1M": Constraints(max_flops=40e6, max_params=1e6),
    "2M": Constraints(max_flops=40e6, max_params=2e6),
    "3M": Constraints(max_flops=40e6, max_params=3e6),
    "10M-flops": Constraints(max_flops=10e6),
    "20M-flops": Constraints(max_flops=20e6),
    "30M-flops": Constraints(max_flops=30e6),
    "130M-flops": Constraints(max_flops=130e6),
}
"""By name. 40 million multiply-adds are what the ImageNet network needs at 64 pixels, and not at
96: with that limit, epochs of all methods cost about the same. 130 million are what it needs at 128
pixels, and not at 160."""
SHIPPED = None
"""In place of epochs: by the recipe of a user's fine-tune, which says itself how many."""
HEAD_ALONE = 0
"""Epochs of a fine-tune that is only a head on frozen features."""


class Job(Protocol):
    """One piece of work with one result; a dataclass, so that it can be sent to a worker."""

    @property
    def name(self) -> str:
        """Of its result."""
        ...

    @property
    def task(self) -> str:
        """Packaged task that it is done on; empty where it is none in particular."""
        ...

    def done(self, bench: Bench) -> bool:
        """Whether the stored result still holds."""
        ...

    def run(self, bench: Bench) -> Result:
        """Do it."""
        ...


@dataclass(frozen=True)
class Choose:
    """Ask a method for a network."""

    task: str
    method: str
    limits: str = ""
    """One of ``LIMITS``."""
    seed: int = 0
    images: int = 300
    """Training images of the task, at most."""
    budget: Budget = "small"
    """Of the search."""

    @property
    def name(self) -> str:
        limits = f"-{self.limits}" if self.limits else ""
        settings = f"n{self.images}-s{self.seed}{ending(self.budget)}"
        version = get_method(self.method).version
        method = self.method if version == 1 else f"{self.method}@{version}"
        return f"choices/{self.task}/{method}{limits}-{settings}"

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        return stored is not None and stored["zoo"] == bench.digest

    def run(self, bench: Bench) -> Result:
        task = bench.tasks(self.task, self.images)
        propose = get_method(self.method).method
        problem = Problem(task, LIMITS[self.limits], self.seed, self.budget)
        began = time.perf_counter()
        proposal = propose(problem, bench.zoo)
        seconds = time.perf_counter() - began
        return {
            **asdict(self),
            "zoo": bench.digest,
            **result_of(proposal),
            "seconds": round(seconds - proposal.once_s, 3),
            **asdict(describe(proposal.ref).costs(len(task.classes))),
        }


@dataclass(frozen=True)
class FineTune:
    """Fine-tune a network, or fit its head alone."""

    task: str
    proposal: Proposal
    epochs: int | None
    """By the plain recipe, or ``SHIPPED``."""
    seed: int = 0
    images: int = 300
    learning_rate: float = Recipe.learning_rate

    @property
    def name(self) -> str:
        head = "" if self.proposal.fit_head else "-random-head"
        length = "shipped" if self.epochs is None else f"e{self.epochs}"
        settings = f"n{self.images}-{length}-r{self.learning_rate:g}-s{self.seed}{head}"
        return f"runs/{self.task}/{self.proposal.network}-{settings}"

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        task, chosen = bench.tasks(self.task, self.images), self.proposal
        classes = len(task.classes)
        network = chosen.load(bench.zoo, classes, self.seed)
        alone = self.epochs == HEAD_ALONE
        measured = _head_alone(network, task, chosen) if alone else self._tuned(network, task)
        return {
            "task": self.task,
            "network": chosen.network,
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "images": self.images,
            "fit_head": chosen.fit_head,
            "source": chosen.source,
            "architecture": chosen.ref.name,
            "resolution": chosen.ref.input.size,
            "classes": classes,
            "test_images": len(task.split("test", bench.zoo.resolution)[1]),
            "unevenness": unevenness(task),
            **asdict(describe(chosen.ref).costs(classes)),
            **measured,
        }

    @property
    def recipe(self) -> Recipe:
        """What it is done by."""
        return replace(
            Recipe() if self.epochs is None else plain(self.epochs),
            learning_rate=self.learning_rate,
            fit_head=self.proposal.fit_head,
            weigh_classes=self.proposal.fit_head,  # neither is in the paper's recipe
            seed=self.seed,
        )

    def _tuned(self, network: Network, task: Task) -> Result:
        tuned = finetune(network, task, recipe=self.recipe)
        return {
            "accuracy": tuned.test_accuracy,
            "balanced_accuracy": tuned.scores.balanced_accuracy,
            "best_epoch": tuned.best_epoch,
            "history": [asdict(epoch) for epoch in tuned.history],
            "seconds": round(tuned.seconds, 2),
        }


def _head_alone(network: Network, task: Task, chosen: Proposal) -> Result:
    began = time.perf_counter()
    fit_head(network, *task.split("train", chosen.ref.input.size))
    test = task.split("test", chosen.ref.input.size)
    counts = confusion_matrix(network, *test, len(task.classes))
    seconds = round(time.perf_counter() - began, 2)
    scores = Scores.of(counts, task.classes)
    return {
        "accuracy": scores.accuracy,
        "balanced_accuracy": scores.balanced_accuracy,
        "best_epoch": HEAD_ALONE,
        "history": [],
        "seconds": seconds,
    }


def unevenness(task: Task) -> float:
    """Training images of a task's largest class over those of its smallest."""
    counts = torch.bincount(task.labels[task.splits == TRAIN])
    return round((counts.max() / counts.min()).item(), 3)


def result_of(proposal: Proposal) -> Result:
    """A proposal as a result holds it."""
    return {
        "source": proposal.source,
        "weights": proposal.weights,
        "architecture": proposal.ref.name,
        "resolution": proposal.ref.input.size,
        "fit_head": proposal.fit_head,
        "details": proposal.details,
        "once_s": proposal.once_s,
        "network": proposal.network,
    }


def proposal_of(choice: Result) -> Proposal:
    """The proposal in a result; inverse of ``result_of``, but for the time that it took once."""
    return Proposal(
        choice["source"],
        choice["weights"],
        ref_of(Architecture.parse(choice["architecture"]), choice["resolution"]),
        choice["fit_head"],
        choice["details"],
    )
