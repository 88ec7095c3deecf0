"""Figures of seconds, regret and intervals, each of the tasks of one first role."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tans_bench.experiments.first_answers.measured import (
    ELASTIC_BASE,
    IMAGENET,
    TANS,
    Contender,
    Measured,
    known,
    mean,
    of_kind,
)
from tans_bench.experiments.first_answers.tables import LENGTHS, RESOLUTION, Prediction, by_regret
from tans_bench.runs.drawing import Plot, canvas

LOOKS: Mapping[Contender, Mapping[str, Any]] = {
    TANS: {"color": "#0072B2", "marker": "o", "linewidth": 3.5, "markersize": 6},
    IMAGENET: {"color": "#D55E00", "marker": "s", "linewidth": 1.5, "markersize": 4},
    ELASTIC_BASE: {"color": "#009E73", "marker": "^", "linewidth": 1.5, "markersize": 4},
}
"""tans shows below the peer that is the same network."""
KIND_LOOKS = {"siblings": ("#0072B2", "o", -0.14), "strangers": ("#E69F00", "s", 0.14)}
"""Colour, marker, and shift in a row."""
BAR = "#CCCCCC"


def seconds(name: str, kind: str, tasks: Sequence[Measured]) -> Plot:
    """Accuracy against seconds of fine-tuning, a panel for each task."""
    chosen = of_kind(tasks, kind)
    columns = 2 if len(chosen) in (2, 4) else 3
    lines = math.ceil(len(chosen) / columns)
    figure = canvas(3.2 * columns, 2.4 * lines + 0.6)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, task in zip(panels, chosen, strict=False):
        _curves(axis, task)
    for axis in panels[len(chosen) :]:
        axis.remove()
    _legend(figure)
    figure.supxlabel("seconds of fine-tuning")
    figure.supylabel("test accuracy (%)")
    return Plot(name, f"Accuracy against seconds, {kind}; lines span the seeds.", figure)


def _curves(axis: Axes, task: Measured) -> None:
    for contender, look in LOOKS.items():
        cells = [cell for n in LENGTHS if (cell := task.cells.get(contender.at(n)))]
        across = [cell.training_s for cell in cells]
        points = [[100 * run["accuracy"] for run in cell.runs] for cell in cells]
        axis.plot(across, [100 * cell.accuracy for cell in cells], label=contender.title, **look)
        axis.vlines(across, [*map(min, points)], [*map(max, points)], look["color"], linewidth=1)
    axis.set_title(task.name, fontsize=9)
    axis.set_xlim(left=0)


def regrets(name: str, tasks: Sequence[Measured]) -> Plot:
    """Mean regret of each method without a limit of size as a bar, each task as a point."""
    methods = [m for m in by_regret(tasks) if not m.sized and known(t.regret(m) for t in tasks)]
    figure = canvas(9.5, 0.34 * len(methods) + 1.2)
    panels = figure.subplots(1, 2, sharey=True)
    for axis, resolution in zip(panels, (RESOLUTION, None), strict=True):
        for row, method in enumerate(methods):
            _bar(axis, row, method, tasks, resolution)
        axis.axvline(0, color="#222222", linewidth=0.8)
        axis.set_xlabel(f"points below the oracle at {resolution or 'any'} px")
    _rows(panels[0], [method.title for method in methods])
    _legend(figure)
    return Plot(name, "Regret of each method: a point for each task, a bar for the mean.", figure)


def _bar(
    axis: Axes, row: int, method: Contender, tasks: Sequence[Measured], resolution: int | None
) -> None:
    average = mean(task.regret(method, resolution) for task in tasks)
    axis.barh(row, average or 0.0, color=BAR, height=0.7)
    for kind, (colour, marker, shift) in KIND_LOOKS.items():
        points = known(task.regret(method, resolution) for task in of_kind(tasks, kind))
        rows = [row + shift] * len(points)
        axis.plot(points, rows, marker, label=kind, color=colour, markeredgecolor="white")


def intervals(name: str, tasks: Sequence[Measured]) -> Plot:
    """A row for each task: the interval, the prediction in it, and what came."""
    figure = canvas(7.5, 0.34 * len(tasks) + 1.2)
    axis = figure.subplots()
    for row, task in enumerate(tasks):
        if found := Prediction.of(task):
            axis.barh(row, found.high - found.low, 0.4, found.low, color=BAR, label="interval")
            axis.plot(found.predicted, row, "|k", markersize=12, label="predicted")
            colour, marker, _ = KIND_LOOKS[task.kind]
            label = f"real, {task.kind}"
            axis.plot(found.real, row, marker, color=colour, mec="white", ms=8, label=label)
    _rows(axis, [task.name for task in tasks])
    axis.set(xlabel="accuracy of the match (%)", xlim=(0, 102))
    _legend(figure)
    return Plot(name, "Predicted against real accuracy.", figure)


def _rows(axis: Axes, titles: Sequence[str]) -> None:
    """Name the rows, first on top."""
    axis.set_yticks(range(len(titles)), titles)
    axis.set_ylim(len(titles) - 0.4, -0.6)


def _legend(figure: Figure) -> None:
    """Once for all panels."""
    keys: dict[str, Artist] = {}
    for axis in figure.axes:
        handles, titles = axis.get_legend_handles_labels()
        keys.update(zip(titles, handles, strict=True))
    figure.legend([*keys.values()], [*keys], loc="outside upper center", ncols=max(1, len(keys)))
