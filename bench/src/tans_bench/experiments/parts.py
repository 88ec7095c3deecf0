"""Figures 6 c-e and 7 a: what the answer owes to each part of tans."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tans_bench.methods.entrants import get_method
from tans_bench.runs.comparison import Cell, averaged, cells, percent
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.results import Results
from tans_bench.runs.roles import FIRST_DEV

EPOCHS = 10
WHOLE = "tans-embeddings"
"""The paper's method, which each part is taken from."""
PARTS = (
    *("no-predictor", "no-topology", "no-function", "small-zoo", "found-zoo", "farthest"),
    *("imagenet-weights", "random-weights"),
)
PLAN = Comparison((Arm(("tans", WHOLE, *PARTS), FIRST_DEV, (EPOCHS,)),))


def draw(plan: Comparison, results: Results) -> Sequence[Drawing]:
    stored = cells(plan.arms, results)
    whole = {cell.task for cell in stored if cell.method == WHOLE}
    found: dict[str, dict[str, Cell]] = {}
    for cell in (cell for cell in stored if cell.task in whole):
        found.setdefault(cell.method, {})[cell.task] = cell
    return [_table(found), _by_task(found), _figure(found)] if WHOLE in found else []


def _differences(found: Mapping[str, Mapping[str, Cell]], method: str) -> list[float]:
    """Accuracy over the whole method's, on each task that both have."""
    whole = found[WHOLE]
    return [cell.accuracy - whole[task].accuracy for task, cell in found[method].items()]


def _table(found: Mapping[str, Mapping[str, Cell]]) -> Table:
    rows = []
    for method, own in found.items():
        differences = _differences(found, method)
        rows.append(
            [
                get_method(method).title,
                str(len(differences)),
                percent(statistics.fmean(cell.accuracy for cell in own.values())),
                averaged(differences),
            ]
        )
    caption = (
        f"Test accuracy in % after {EPOCHS} epochs, and points over embeddings alone, with the "
        "95 % interval of the mean over tasks."
    )
    return Table("means", caption, ("method", "tasks", "accuracy", "difference"), rows)


def _by_task(found: Mapping[str, Mapping[str, Cell]]) -> Table:
    tasks = sorted(found[WHOLE])
    rows = [
        [get_method(method).title, *(percent(own[t].accuracy) if t in own else "" for t in tasks)]
        for method, own in found.items()
    ]
    return Table("tasks", "The same task by task.", ("method", *tasks), rows)


def _figure(found: Mapping[str, Mapping[str, Cell]]) -> Plot:
    figure = canvas(6, 0.32 * len(found) + 0.9)
    axis = figure.subplots()
    methods = [method for method in found if method != WHOLE][::-1]
    for place, method in enumerate(methods):
        differences = [100 * points for points in _differences(found, method)]
        axis.plot(differences, [place] * len(differences), "o", color="0.65", markersize=4)
        axis.plot(statistics.fmean(differences), place, "D", color="#0072B2")
    axis.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(methods)), [get_method(method).title for method in methods])
    axis.set_xlabel("points over embeddings alone")
    caption = "Points over embeddings alone; a dot for each task, a diamond for the mean."
    return Plot("parts", caption, figure)


EXPERIMENT = Experiment(
    name="parts",
    title="What each part is worth (Figures 6 c-e and 7 a)",
    question=(
        "How much worse is the network without the predictor, the topology, the functional "
        "embedding, the retrieved weights, or most of the zoo, and how much better with the second "
        "look? How much better is the nearest network than the farthest?"
    ),
    plan=PLAN,
    drawn=draw,
)
