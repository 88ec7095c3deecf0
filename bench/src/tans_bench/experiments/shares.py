"""What the answer owes to each part: from an ImageNet network under a random head to the match."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from tans_bench.methods.entrants import get_method
from tans_bench.recipes import EPOCHS
from tans_bench.runs.comparison import averaged, cells, percent
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.jobs import HEAD_ALONE
from tans_bench.runs.results import Results
from tans_bench.runs.roles import FIRST_DEV, FORMERLY_SEALED, is_sibling

STEPS = {
    "imagenet-random-head": "ImageNet, random head",
    "imagenet": "fitted head, own batch-norm statistics",
    "elastic-base": "adaptation of ImageNet to small images",
    "tans-embeddings": "a source's network, by embeddings",
    "tans": "second look and judge",
}
"""Methods, each with what it adds to the one before."""
KINDS = ("all", "siblings", "strangers")
FITTED = tuple(STEPS)[1:]
"""Without training the head is the fitted one, always."""
TASKS = (*FIRST_DEV, *FORMERLY_SEALED)
PLAN = Comparison(
    (Arm(tuple(STEPS), TASKS, (EPOCHS,)), Arm(FITTED, TASKS, (HEAD_ALONE,))),
)

Found = Mapping[str, Mapping[str, float]]
"""Accuracy by task and method, of the tasks that all methods were run on."""


def draw(plan: Comparison, results: Results) -> Sequence[Drawing]:
    found = {arm: _read(arm, results) for arm in plan.arms}
    drawn = {arm: own for arm, own in found.items() if own}
    return [drawing(arm, own) for arm, own in drawn.items() for drawing in (_table, _figure)]


def _read(arm: Arm, results: Results) -> Found:
    by_task: dict[str, dict[str, float]] = {}
    for cell in cells([arm], results):
        by_task.setdefault(cell.task, {})[cell.method] = cell.accuracy
    return {task: own for task, own in by_task.items() if own.keys() == set(arm.methods)}


def _of(found: Found, kind: str) -> list[Mapping[str, float]]:
    """Tasks of a kind."""
    return [own for task, own in found.items() if kind in ("all", _kind(task))]


def _kind(task: str) -> str:
    return "siblings" if is_sibling(task) else "strangers"


def _gains(found: Found, kind: str, step: tuple[str, str]) -> list[float]:
    """What the second of two methods adds to the first, on each task."""
    before, after = step
    return [own[after] - own[before] for own in _of(found, kind)]


def _table(arm: Arm, found: Found) -> Table:
    counts = {kind: len(own) for kind in KINDS if (own := _of(found, kind))}
    first, last = arm.methods[0], arm.methods[-1]
    rows = [[get_method(first).title, *_means(found, counts, first)]]
    for step in pairwise(arm.methods):
        gains = [averaged(_gains(found, kind, step), "+.1f") for kind in counts]
        rows.append([STEPS[step[1]], *gains])
    rows.append(["**all together**", *_means(found, counts, last)])
    caption = (
        f"Test accuracy in % {_written(arm)}, mean over tasks; then the points that each part adds "
        "to all above it, with the 95 % interval of the mean."
    )
    columns = ("part", *(f"{kind} ({count} tasks)" for kind, count in counts.items()))
    return Table(_name(arm), caption, columns, rows)


def _means(found: Found, kinds: Iterable[str], method: str) -> list[str]:
    return [percent(statistics.fmean(own[method] for own in _of(found, kind))) for kind in kinds]


def _figure(arm: Arm, found: Found) -> Plot:
    kinds = [kind for kind in KINDS[1:] if _of(found, kind)]
    figure = canvas(6.5, 2.6)
    axis = figure.subplots()
    for row, kind in enumerate(kinds):
        for place, step in enumerate(pairwise(arm.methods)):
            mean = 100 * statistics.fmean(_gains(found, kind, step))
            label = STEPS[step[1]] if row == 0 else None
            colour = f"C{list(STEPS).index(step[1]) - 1}"
            axis.barh(row + 0.18 * (place - 1.5), mean, height=0.16, color=colour, label=label)
    axis.axvline(0, color="0.7", linewidth=0.8)
    axis.set_yticks(range(len(kinds)), kinds)
    axis.invert_yaxis()
    axis.set_xlabel(f"points added, {_written(arm)}")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    caption = f"Points that each part adds to those above it, mean over tasks, {_written(arm)}."
    return Plot(_name(arm), caption, figure)


def _written(arm: Arm) -> str:
    (epochs,) = arm.epochs
    return f"after {epochs} epochs" if epochs else "of a head on frozen features"


def _name(arm: Arm) -> str:
    return f"shares-{arm.epochs[0]}"


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
