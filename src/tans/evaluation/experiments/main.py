"""Table 1, Figures 2 and 5: accuracy and time of every method on unseen tasks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from matplotlib.ticker import NullFormatter

from tans.evaluation.comparison import Cell, averaged, cells, confidence, percent
from tans.evaluation.drawing import Drawing, Plot, Table, canvas
from tans.evaluation.experiment import Arm, Comparison, Experiment
from tans.evaluation.methods import get_method
from tans.evaluation.results import Results
from tans.evaluation.tasks import SEALED

SHORT, LONG = 10, 50
"""Epochs, as in the paper."""
YARDSTICK = "imagenet", LONG
"""Method and epochs that speed-ups are against, as in the paper."""
RIVALS = (
    *("tans-embeddings", "elastic-base", "imagenet-random-head"),
    *("nearest-dataset", "best-on-average"),
)
SOME = ("script-hangul", "wesnoth-units", "solar-cells")
"""Tasks on which all methods are fine-tuned for long."""
PLAN = Comparison(
    (
        Arm(("tans", "imagenet"), SEALED, (SHORT,), seeds=(0, 1, 2)),
        Arm(("tans", "imagenet"), SEALED, (LONG,)),
        Arm(RIVALS, SEALED, (SHORT,)),
        Arm((*RIVALS, "from-scratch"), SOME, (LONG,)),
    )
)
COLUMNS = (
    *("FLOPs (M)", "params (M)", "search (s)", "training (s)", "speed-up", "accuracy (%)", "gain"),
)
PUBLISHED = {
    ("imagenet", LONG): ("1.00x", "94.20 ± 0.70"),
    ("tans", SHORT): ("", "95.17 ± 2.20"),
    ("tans", LONG): ("1.28x", "96.28 ± 0.30"),
}
"""Speed-up and accuracy in the paper's Table 1: other tasks, whole datasets, MobileNetV3."""
CURVES = 4
"""Panels of learning curves in a row."""


def draw(plan: Comparison, results: Results) -> Sequence[Drawing]:
    found = cells(plan.arms, results)
    if not found:
        return []
    return [_averages(found), _by_task(found), _against_time(found), _curves(found)]


def _averages(found: Sequence[Cell]) -> Table:
    """Table 1, a row for a method and a length, over the tasks that the yardstick shares."""
    rows = []
    for method, epochs in dict.fromkeys((cell.method, cell.epochs) for cell in found):
        pairs = _beside_yardstick(found, method, epochs)
        if pairs:
            row = [get_method(method).title, str(epochs), str(len(pairs))]
            published = PUBLISHED.get((method, epochs), ("", ""))
            rows.append([*row, *_figures(pairs), *published])
    caption = (
        "Means over tasks, with the 95 % interval of the mean. Speed-up and gain: seconds of "
        "search and training, and points of accuracy, against ImageNet's 50 epochs on the same "
        "tasks. To the right what the paper found on its ten tasks, which are larger and easier: "
        "accuracies do not compare, what is gained does."
    )
    columns = ("method", "epochs", "tasks", *COLUMNS, "paper: speed-up", "paper: accuracy")
    return Table("averages", caption, columns, rows)


def _by_task(found: Sequence[Cell]) -> Table:
    """Table 1, task by task."""
    rows = []
    for cell in sorted(found, key=lambda cell: cell.task):
        pairs = _beside_yardstick([c for c in found if c.task == cell.task], *_key(cell))
        if pairs:
            row = [cell.task, get_method(cell.method).title, str(cell.epochs)]
            rows.append([*row, cell.choice["source"], *_figures(pairs)])
    caption = "Every task; with several seeds the interval is over them."
    return Table("tasks", caption, ("task", "method", "epochs", "trained on", *COLUMNS), rows)


def _against_time(found: Sequence[Cell]) -> Plot:
    """Figure 2: mean accuracy against the whole time, over the tasks that all share."""
    figure = canvas(6, 3.6)
    axis = figure.subplots()
    for place, method in enumerate(dict.fromkeys(cell.method for cell in found)):
        lengths = [(n, _beside_yardstick(found, method, n)) for n in (SHORT, LONG)]
        points = [
            (
                sum(own.total_s for own, _ in pairs) / sum(other.total_s for _, other in pairs),
                100 * statistics.fmean(own.accuracy - other.accuracy for own, other in pairs),
                len(pairs),
            )
            for _, pairs in lengths
            if pairs
        ]
        if points:
            times, gains, _ = zip(*points, strict=True)
            title = get_method(method).title
            axis.plot(times, gains, "o-", color=f"C{place}", label=title, markersize=4)
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_xscale("log")
    axis.set_xticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds of search and training (ImageNet's 50 epochs = 1)")
    axis.set_ylabel("points over ImageNet's 50 epochs")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    caption = (
        "Accuracy against the whole time after 10 and 50 epochs, both relative to ImageNet's 50 "
        "epochs on the same tasks; what only has 50 epochs was run on three tasks."
    )
    return Plot("time", caption, figure)


def _curves(found: Sequence[Cell]) -> Plot:
    """Figure 5: validation accuracy after each epoch."""
    tasks = list(dict.fromkeys(cell.task for cell in found if cell.epochs == LONG))
    lines = -(-len(tasks) // CURVES) or 1
    figure = canvas(2.4 * CURVES, 1.9 * lines)
    axes = figure.subplots(lines, CURVES, squeeze=False).flatten()
    for axis in axes[len(tasks) :]:
        axis.set_visible(False)
    for axis, task in zip(axes, tasks, strict=False):
        for method, colour in (("imagenet", "#D55E00"), ("tans", "#0072B2")):
            for cell in (c for c in found if (c.task, *_key(c)) == (task, method, LONG)):
                history = cell.runs[0]["history"]
                epochs = [line["epoch"] for line in history]
                values = [100 * line["val_accuracy"] for line in history]
                axis.plot(epochs, values, color=colour, label=get_method(method).title)
        axis.set_title(task, fontsize=9)
    handles = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles))
    figure.supxlabel("epochs")
    figure.supylabel("validation accuracy (%)")
    caption = (
        "Learning curves over 50 epochs. The paper draws test accuracy; here the test images are "
        "looked at once, at the end, so these are of the validation images."
    )
    return Plot("curves", caption, figure)


def _key(cell: Cell) -> tuple[str, int]:
    return cell.method, cell.epochs


def _beside_yardstick(found: Sequence[Cell], method: str, epochs: int) -> list[tuple[Cell, Cell]]:
    """What a method gave on each task, beside the yardstick there."""
    yardstick = {cell.task: cell for cell in found if _key(cell) == YARDSTICK}
    own = [c for c in found if _key(c) == (method, epochs) and c.task in yardstick]
    return list({c.task: (c, yardstick[c.task]) for c in own}.values())


def _figures(pairs: Sequence[tuple[Cell, Cell]]) -> list[str]:
    """Costs, times, speed-up and accuracy, as ``COLUMNS``."""

    def mean(value: Callable[[Cell], float]) -> float:
        return statistics.fmean(value(own) for own, _ in pairs)

    whole = [sum(cell.total_s for cell in column) for column in zip(*pairs, strict=True)]
    over_tasks = [own.accuracy for own, _ in pairs]
    over_seeds = [run["accuracy"] for run in pairs[0][0].runs]
    half = confidence(over_tasks if len(pairs) > 1 else over_seeds)
    return [
        f"{mean(lambda cell: cell.choice['flops'] / 1e6):.1f}",
        f"{mean(lambda cell: cell.choice['params'] / 1e6):.2f}",
        f"{mean(lambda cell: cell.search_s):.1f}",
        f"{mean(lambda cell: cell.training_s):.1f}",
        f"{whole[1] / whole[0]:.2f}x",
        percent(statistics.fmean(over_tasks), half),
        averaged([own.accuracy - other.accuracy for own, other in pairs], "+.1f"),
    ]


EXPERIMENT = Experiment(
    name="main",
    title="Accuracy and time on unseen tasks (Table 1, Figures 2 and 5)",
    question="What does a network retrieved by tans reach, at which cost, beside its rivals?",
    plan=PLAN,
    drawn=draw,
)
