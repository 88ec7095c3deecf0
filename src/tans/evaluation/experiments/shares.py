"""What the answer owes to each part: from an ImageNet network under a random head to the match."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tans.evaluation.comparison import averaged, cells, percent
from tans.evaluation.drawing import Drawing, Plot, Table, canvas
from tans.evaluation.experiment import Arm, Comparison, Experiment
from tans.evaluation.results import Results
from tans.evaluation.tasks import DEV, SEALED, is_sibling
from tans.training import Recipe

STEPS = {
    "imagenet-random-head": "ImageNet, random head",
    "imagenet": "fitted head, own batch-norm statistics",
    "elastic-base": "adaptation of ImageNet to small images",
    "tans-embeddings": "a source's network, by embeddings",
    "tans": "second look and judge",
}
"""Methods, each with what it adds to the one before."""
KINDS = ("all", "siblings", "strangers")
PLAN = Comparison((Arm(tuple(STEPS), (*DEV, *SEALED), (Recipe.epochs,)),))

Found = Mapping[str, Mapping[str, float]]
"""Accuracy by task and method, of the tasks that all methods were run on."""


def draw(plan: Comparison, results: Results) -> Sequence[Drawing]:
    by_task: dict[str, dict[str, float]] = {}
    for cell in cells(plan.arms, results):
        by_task.setdefault(cell.task, {})[cell.method] = cell.accuracy
    found = {task: own for task, own in by_task.items() if own.keys() == STEPS.keys()}
    return [_table(found), _figure(found)] if found else []


def _of(found: Found, kind: str) -> list[Mapping[str, float]]:
    """Tasks of a kind."""
    return [own for task, own in found.items() if kind in ("all", _kind(task))]


def _kind(task: str) -> str:
    return "siblings" if is_sibling(task) else "strangers"


def _gains(found: Found, kind: str, step: tuple[str, str]) -> list[float]:
    """What the second of two methods adds to the first, on each task."""
    before, after = step
    return [own[after] - own[before] for own in _of(found, kind)]


def _table(found: Found) -> Table:
    counts = {kind: len(_of(found, kind)) for kind in KINDS}
    kinds = [kind for kind in KINDS if counts[kind]]
    first, *_ = STEPS
    start = [percent(statistics.fmean(own[first] for own in _of(found, kind))) for kind in kinds]
    rows = [[STEPS[first], *start]]
    for step in pairwise(STEPS):
        gains = [averaged(_gains(found, kind, step), "+.1f") for kind in kinds]
        rows.append([STEPS[step[1]], *gains])
    last = list(STEPS)[-1]
    end = [percent(statistics.fmean(own[last] for own in _of(found, kind))) for kind in kinds]
    rows.append(["**all together**", *end])
    caption = (
        f"Test accuracy in % after {Recipe.epochs} epochs, mean over tasks; then the points that "
        "each part adds to all above it, with the 95 % interval of the mean."
    )
    return Table("shares", caption, ("part", *(f"{k} ({counts[k]} tasks)" for k in kinds)), rows)


def _figure(found: Found) -> Plot:
    kinds = [kind for kind in KINDS[1:] if _of(found, kind)]
    figure = canvas(6.5, 2.6)
    axis = figure.subplots()
    for row, kind in enumerate(kinds):
        for place, step in enumerate(pairwise(STEPS)):
            mean = 100 * statistics.fmean(_gains(found, kind, step))
            label = STEPS[step[1]] if row == 0 else None
            height = row + 0.18 * (place - 1.5)
            axis.barh(height, mean, height=0.16, color=f"C{place}", label=label)
    axis.axvline(0, color="0.7", linewidth=0.8)
    axis.set_yticks(range(len(kinds)), kinds)
    axis.invert_yaxis()
    axis.set_xlabel("points added")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    return Plot("shares", "Points that each part adds to those above it, mean over tasks.", figure)


EXPERIMENT = Experiment(
    name="shares",
    title="What the answer owes to each part",
    question=(
        "Part of every gain is a better recipe and a base that knows small images, and must not be "
        "sold as retrieval: how much is?"
    ),
    plan=PLAN,
    drawn=draw,
)
