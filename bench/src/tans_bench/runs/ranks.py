"""The zoo's networks in the order that the embeddings give them for a task, and how they do."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

from tans.meta.retriever import Retriever
from tans.zoo.zoo import Zoo
from tans_bench.methods.ablations import Scored, scored
from tans_bench.methods.method import Problem
from tans_bench.runs.bench import Bench
from tans_bench.runs.jobs import LIMITS, FineTune, Job, proposal_of, result_of
from tans_bench.runs.results import Result, Results

NEAREST, FARTHEST, DRAWN = "nearest", "farthest", "drawn"
CONSTANT = 1e-6
"""Scores that differ by less have no order."""


@dataclass(frozen=True)
class Rank:
    """Order a zoo's networks for a task, and keep the first, the last, and some at random."""

    task: str
    nearest: int
    """How many of the networks nearest to the query by cosine."""
    farthest: int
    """Likewise of the farthest."""
    drawn: int
    """Likewise of all, at random."""
    images: int
    """Training images of the task, at most."""
    limits: str = "40M-flops"
    """One of ``LIMITS``."""

    @property
    def name(self) -> str:
        counts = f"{self.nearest}-{self.farthest}-{self.drawn}"
        return f"ranks/{self.task}-{self.limits}-n{self.images}-{counts}"

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        return stored is not None and stored["zoo"] == bench.digest

    def run(self, bench: Bench) -> Result:
        problem = Problem(bench.tasks(self.task, self.images), LIMITS[self.limits])
        found = scored(problem, bench.zoo)
        order = found.similarity.argsort(descending=True, stable=True).tolist()
        rows = {
            NEAREST: order[: self.nearest],
            FARTHEST: order[::-1][: self.farthest],
            DRAWN: random.Random(self.task).sample(order, min(self.drawn, len(order))),
        }
        average = _average_query(found.retriever, bench.zoo)
        middle = found.models.mean(0, keepdim=True).expand_as(found.models)
        scores = {
            "similarity": found.similarity,
            "predicted": found.predicted,
            "without_query": found.retriever.predict(average, found.models),
            "without_model": found.retriever.predict(found.query, middle),
        }
        places = {
            place: [_network(found, row, scores) for row in own] for place, own in rows.items()
        }
        return {"task": self.task, "zoo": bench.digest, **places}


def _average_query(retriever: Retriever, zoo: Zoo) -> Tensor:
    """Mean embedding (w,) of the zoo's own tasks, which says nothing of a task in particular."""
    own = [zoo.features(task.name) for task in zoo.tasks() if task.features]
    return torch.stack([retriever.encode_query(*pair) for pair in own]).mean(0)


def _network(found: Scored, row: int, scores: Mapping[str, Tensor]) -> Mapping[str, Any]:
    """One that was ranked, as ``proposal_of`` reads it."""
    return {
        **result_of(found.propose(row)),
        "params": found.entries[row].body_params,
        **{name: values[row].item() for name, values in scores.items()},
    }


@dataclass(frozen=True)
class Ranked:
    """A plan: rank the networks for each task, and fine-tune those that were kept."""

    tasks: tuple[str, ...]
    epochs: int
    nearest: int = 0
    farthest: int = 0
    drawn: int = 0
    images: int = 300

    def ranks(self) -> list[Rank]:
        """One for each task."""
        counts = self.nearest, self.farthest, self.drawn
        return [Rank(task, *counts, self.images) for task in self.tasks]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        ranks = self.ranks()
        stored = [bench.results.read(rank.name) for rank in ranks if rank.done(bench)]
        runs = [job for ranked in stored if ranked for job, _ in self._finetunes(ranked)]
        return [*ranks, *dict.fromkeys(runs)]

    def scaled(self, preset: str) -> Ranked:
        """With twice the images on a GPU."""
        return self if preset == "cpu" else replace(self, images=2 * self.images)

    def read(self, results: Results) -> dict[str, dict[str, list[Result]]]:
        """What was fine-tuned, by task and place; to each what the rank says of it is added."""
        found: dict[str, dict[str, list[Result]]] = {}
        for rank in self.ranks():
            ranked = results.read(rank.name)
            for job, network in self._finetunes(ranked) if ranked else ():
                if run := results.read(job.name):
                    places = found.setdefault(rank.task, {})
                    places.setdefault(network["place"], []).append({**network, **run})
        return found

    def _finetunes(self, ranked: Result) -> list[tuple[FineTune, Result]]:
        """The jobs, each with its network."""
        return [
            (
                FineTune(ranked["task"], proposal_of(network), self.epochs, images=self.images),
                {**network, "place": place},
            )
            for place in (NEAREST, FARTHEST, DRAWN)
            for network in ranked[place]
        ]


def spearman(runs: Sequence[Result], score: str) -> float:
    """Rank correlation of a score and the accuracy; 0 where one of them is constant."""
    values, accuracies = [run[score] for run in runs], [run["accuracy"] for run in runs]
    if max(values) - min(values) < CONSTANT or len(set(accuracies)) < 2:
        return 0.0
    return float(spearmanr(values, accuracies).statistic)
