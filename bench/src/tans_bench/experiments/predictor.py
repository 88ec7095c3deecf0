"""Figure 7 c and d: how far are predicted accuracies from real ones, and what do they owe to?"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tans_bench.experiments.correlation import TASKS
from tans_bench.recipes import EPOCHS
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.ranks import DRAWN, NEAREST, Ranked, spearman
from tans_bench.runs.results import Result, Results

PLAN = Ranked(TASKS, epochs=EPOCHS, nearest=10, drawn=24)
SCORES = {
    "predicted": "predictor",
    "without_query": "without the query",
    "without_model": "without the network",
}
PUBLISHED = {
    (NEAREST, "predicted"): "0.001 to 0.034",
    (NEAREST, "without_query"): "0.018 to 0.078",
    (NEAREST, "without_model"): "0.002 to 0.065",
    (DRAWN, "predicted"): "0.003 to 0.037",
    (DRAWN, "random"): "0.108 to 0.293",
}
"""Squared errors over the paper's five tasks, lowest and highest."""

Found = Mapping[str, Mapping[str, Sequence[Result]]]


def draw(plan: Ranked, results: Results) -> Sequence[Drawing]:
    found = {task: p for task, p in plan.read(results).items() if p.keys() >= {NEAREST, DRAWN}}
    return [_table(found), _figure(found)] if found else []


def _table(found: Found) -> Table:
    rows = [
        _row(found, place, score, title)
        for place in (NEAREST, DRAWN)
        for score, title in (*SCORES.items(), ("random", "random estimate"))
    ]
    caption = (
        f"Mean squared error of the accuracy that the predictor of the paper expects after "
        f"{EPOCHS} epochs, on the 10 nearest networks and on 24 of the whole zoo. Without "
        "the query it is given the mean of the zoo's own tasks, without the network the mean "
        "network; a random estimate is uniform. Last, the rank correlation, mean over tasks."
    )
    columns = ("networks", "estimate", *found, "mean", "paper", "Spearman")
    return Table("errors", caption, columns, rows)


def _row(found: Found, place: str, score: str, title: str) -> list[str]:
    errors = [statistics.fmean(_error(r, score) for r in p[place]) for p in found.values()]
    ranks = [spearman(p[place], score) for p in found.values() if score != "random"]
    return [
        place,
        title,
        *(f"{error:.4f}" for error in errors),
        f"{statistics.fmean(errors):.4f}",
        PUBLISHED.get((place, score), ""),
        f"{statistics.fmean(ranks):.2f}" if ranks else "",
    ]


def _error(run: Result, score: str) -> float:
    """Squared; of a uniform estimate the one to expect."""
    accuracy = float(run["accuracy"])
    if score == "random":
        return accuracy**2 - accuracy + 1 / 3
    return (float(run[score]) - accuracy) ** 2


def _figure(found: Found) -> Plot:
    figure = canvas(4.4, 3.4)
    axis = figure.subplots()
    for place, task in enumerate(found):
        for where, marker in ((NEAREST, "o"), (DRAWN, "x")):
            predicted = [100 * run["predicted"] for run in found[task][where]]
            real = [100 * run["accuracy"] for run in found[task][where]]
            label = task if where == NEAREST else None
            colour = f"C{place}"
            axis.plot(predicted, real, marker, color=colour, markersize=4, alpha=0.7, label=label)
    axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8)
    axis.set_xlabel("predicted accuracy (%)")
    axis.set_ylabel(f"accuracy after {EPOCHS} epochs (%)")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    caption = "Predicted against real accuracy: dots are the nearest networks, crosses any."
    return Plot("predicted", caption, figure)


EXPERIMENT = Experiment(
    name="predictor",
    title="The performance predictor (Figure 7 c and d)",
    question="How far off is the accuracy that the embeddings alone predict?",
    plan=PLAN,
    drawn=draw,
)
