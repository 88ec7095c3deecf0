"""Do scores order networks better than their size does, and does that hold among equals in size?"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scipy.stats import weightedtau

from tans.networks.probe import logme, probe_accuracy
from tans.training import adapted_features
from tans_bench.experiments import predictor
from tans_bench.methods.method import Proposal
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import averaged
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import FineTune, Job, proposal_of
from tans_bench.runs.ranks import DRAWN, Ranked
from tans_bench.runs.results import Result, Results

SCORES = {
    "params": "size",
    "similarity": "cosine of the embeddings",
    "predicted": "predictor",
    "logme": "LogME",
    "probe": "linear probe",
}
BANDS = 3
"""Parts of equal count that the networks are cut into by size."""
WITHOUT = 0.2
"""Share of the networks, the largest, that are left out."""
COLUMNS = {
    "all": "all networks",
    "bands": f"in {BANDS} bands of size",
    "small": f"without the largest {WITHOUT:.0%}",
}


@dataclass(frozen=True)
class Score:
    """Look at a network's frozen features on a task."""

    task: str
    proposal: Proposal
    images: int
    """Training images of the task, at most."""

    @property
    def name(self) -> str:
        return f"scores/{self.task}/{self.proposal.network}-n{self.images}"

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        task = bench.tasks(self.task, self.images)
        images, labels, folds = task.folds(self.proposal.ref.input.size, self.images)
        network = self.proposal.load(bench.zoo, len(task.classes))
        features = adapted_features(network, images)  # (n, f)
        return {
            "task": self.task,
            "network": self.proposal.network,
            "probe": probe_accuracy(features, labels, folds),
            "logme": logme(features, labels),
        }


@dataclass(frozen=True)
class Scored:
    """A plan: every network that is ranked and fine-tuned is looked at too."""

    ranked: Ranked

    def jobs(self, bench: Bench) -> Sequence[Job]:
        jobs = self.ranked.jobs(bench)
        tuned = [job for job in jobs if isinstance(job, FineTune)]
        return [*jobs, *(Score(job.task, job.proposal, job.images) for job in tuned)]

    def scaled(self, preset: str) -> Scored:
        return Scored(self.ranked.scaled(preset))

    def read(self, results: Results) -> dict[str, list[Result]]:
        """Random networks of each task, with accuracy and every score; whole tasks alone."""
        found: dict[str, list[Result]] = {}
        for task, places in self.ranked.read(results).items():
            runs = places.get(DRAWN, [])
            names = [Score(task, proposal_of(run), self.ranked.images).name for run in runs]
            looks = [results.read(name) for name in names]
            pairs = zip(runs, looks, strict=True)
            both: list[Result] = [{**run, **look} for run, look in pairs if look is not None]
            if len(both) >= BANDS * 2:
                found[task] = both
        return found


def tau(runs: Sequence[Result], score: str) -> float:
    """Weighted Kendall correlation of a score and the accuracy; 0 where one of them is constant.

    Disagreement among the best weighs most (Vigna, A Weighted Correlation Index for Rankings with
    Ties, WWW 2015).
    """
    values, accuracies = [run[score] for run in runs], [run["accuracy"] for run in runs]
    if len(set(values)) < 2 or len(set(accuracies)) < 2:
        return 0.0
    return float(weightedtau(values, accuracies).statistic)


def in_bands(runs: Sequence[Result], score: str) -> float:
    """Mean of ``tau`` over ``BANDS`` bands of networks of about one size."""
    order = sorted(runs, key=lambda run: run["params"])
    edges = [round(len(order) * k / BANDS) for k in range(BANDS + 1)]
    parts = [order[low:high] for low, high in pairwise(edges)]
    return statistics.fmean(tau(part, score) for part in parts)


def without_largest(runs: Sequence[Result], score: str) -> float:
    """``tau`` over all but the largest networks."""
    order = sorted(runs, key=lambda run: run["params"])
    return tau(order[: round(len(order) * (1 - WITHOUT))], score)


WAYS: Mapping[str, Callable[[Sequence[Result], str], float]] = {
    "all": tau,
    "bands": in_bands,
    "small": without_largest,
}


def draw(plan: Scored, results: Results) -> Sequence[Drawing]:
    found = plan.read(results)
    return [_table(found), _figure(found)] if found else []


def _table(found: Mapping[str, Sequence[Result]]) -> Table:
    rows = []
    for score, title in SCORES.items():
        ways = [[way(runs, score) for runs in found.values()] for way in WAYS.values()]
        rows.append([title, *(averaged(values, ".2f", unit=1) for values in ways)])
    count = min(map(len, found.values()))
    caption = (
        f"Weighted Kendall correlation with test accuracy, of {count} random networks of the zoo "
        f"on each of {len(found)} tasks ({', '.join(found)}): mean over tasks, and its 95 % "
        "interval."
    )
    return Table("kendall", caption, ("score", *COLUMNS.values()), rows)


def _figure(found: Mapping[str, Sequence[Result]]) -> Plot:
    figure = canvas(7.5, 2.4)
    for axis, (way, correlate) in zip(
        figure.subplots(1, 3, sharey=True), WAYS.items(), strict=True
    ):
        for place, score in enumerate(list(SCORES)[::-1]):
            values = [correlate(runs, score) for runs in found.values()]
            axis.plot(values, [place] * len(values), "o", color="0.65", markersize=4)
            axis.plot(statistics.fmean(values), place, "D", color="#0072B2")
        axis.axvline(0, color="0.7", linewidth=0.8, zorder=0)
        axis.set_yticks(range(len(SCORES)), list(SCORES.values())[::-1])
        axis.set_xlim(-1, 1)
        axis.set_title(COLUMNS[way], fontsize=9)
    figure.supxlabel("weighted Kendall correlation", fontsize=9)
    caption = "Correlation of scores and accuracy; a dot for each task, a diamond for the mean."
    return Plot("kendall", caption, figure)


EXPERIMENT = Experiment(
    name="order",
    title="Size against scores (weighted Kendall correlation)",
    question=(
        "A list by size is a strong rival of any score. Which scores order the zoo's networks "
        "better, and which still do among networks of about one size?"
    ),
    plan=Scored(predictor.PLAN),
    drawn=draw,
)
