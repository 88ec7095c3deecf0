"""Table 1, Figures 2 and 5: accuracy and time of every method on unseen tasks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from matplotlib.ticker import NullFormatter

from tans.training import PUBLISHED as PUBLISHED_RECIPE
from tans_bench.methods.entrants import get_method
from tans_bench.runs.comparison import Cell, averaged, cells, confidence, percent
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.imported import imported_cells
from tans_bench.runs.results import Results
from tans_bench.runs.roles import FORMERLY_SEALED

SHORT, LONG = 10, 50
"""Epochs, as in the paper."""
YARDSTICK = "imagenet", LONG
"""Method and epochs that speed-ups are against, as in the paper."""
RIVALS = (
    *("tans-embeddings", "elastic-base", "imagenet-random-head"),
    *("nearest-dataset", "best-on-average"),
)
SEARCHES = ("ofa", "ofa-random", "nsganetv2", "fbnet", "fbnet-a", "metad2a")
"""Architectures, most of them searched for, whose networks begin with ImageNet's weights."""
UNTRAINED = ("pc-darts", "drnas")
"""Architectures without weights, trained ``TENFOLD`` as long as the shortest, as in the paper."""
TENFOLD = 10 * SHORT
SOME = ("script-hangul", "wesnoth-units", "solar-cells")
"""Tasks on which all methods are run."""
AS_PUBLISHED = ("paper",)
"""Fine-tuned by the paper's recipe, all others by one."""
PLAN = Comparison(
    (
        Arm(("tans", "imagenet"), FORMERLY_SEALED, (SHORT,), seeds=(0, 1, 2)),
        Arm(("tans", "imagenet"), FORMERLY_SEALED, (LONG,)),
        Arm(AS_PUBLISHED, FORMERLY_SEALED, (SHORT,), learning_rate=PUBLISHED_RECIPE.learning_rate),
        Arm(AS_PUBLISHED, SOME, (LONG,), learning_rate=PUBLISHED_RECIPE.learning_rate),
        Arm(RIVALS, FORMERLY_SEALED, (SHORT,)),
        Arm((*RIVALS, "from-scratch"), SOME, (LONG,)),
        Arm(SEARCHES, SOME, (SHORT, LONG)),
        Arm(UNTRAINED, SOME, (TENFOLD,)),
    )
)
COLUMNS = (
    *("FLOPs (M)", "params (M)", "search (s)", "training (s)", "speed-up", "accuracy (%)", "gain"),
)
PUBLISHED = {
    ("imagenet", LONG): ("1.00x", "94.20 ± 0.70"),
    ("tans", SHORT): ("", "95.17 ± 2.20"),
    ("tans", LONG): ("1.28x", "96.28 ± 0.30"),
    ("paper", SHORT): ("", "95.17 ± 2.20"),
    ("paper", LONG): ("1.28x", "96.28 ± 0.30"),
    ("ofa", LONG): ("0.74x", "93.89 ± 0.84"),
    ("metad2a", LONG): ("0.74x", "95.24 ± 1.14"),
    ("fbnet-a", LONG): ("0.88x", "93.00 ± 1.95"),
    ("pc-darts", TENFOLD): ("0.04x", "79.22 ± 1.69"),
    ("drnas", TENFOLD): ("0.04x", "84.06 ± 0.97"),
}
"""Speed-up and accuracy in the paper's Table 1: other tasks, whole datasets, MobileNetV3. Its
PC-DARTS and DrNAS are trained for 500 epochs."""
ELSEWHERE = (
    " Rows marked as imported are a user's own results of a service and were not measured here: "
    "their times are the service's, on machines of its own."
)
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Whole times that Figure 2 marks, as far as its points reach."""
FORMS = ("o-", "^--", "D:")
"""Marks and lines of Figure 2."""
PANELS = 4
"""Of learning curves, in a row."""
CURVES = {
    **{"ofa": "#E69F00", "nsganetv2": "#009E73", "fbnet": "#CC79A7", "metad2a": "#56B4E9"},
    **{"imagenet": "#D55E00", "paper": "#000000", "tans": "#0072B2"},
}
"""Methods whose learning curves are drawn, and their colours; the last lie on top."""


def draw(plan: Comparison, results: Results) -> Sequence[Drawing]:
    measured = cells(plan.arms, results)
    if not measured:
        return []
    found = [*measured, *imported_cells(plan.arms, results)]
    some = [cell for cell in found if cell.task in SOME]
    everywhere = [cell for cell in found if not _on_some_alone(cell)]
    drawings: list[Drawing] = [_averages("averages", everywhere, "Means over all tasks")]
    if some:
        over = f"Means over {', '.join(SOME)}, on which all methods are run"
        drawings += [_averages("some", some, over), _against_time(some)]
    return [*drawings, _by_task(found), _curves(found)]


def _on_some_alone(cell: Cell) -> bool:
    """Whether the plan has the method, at that length, on ``SOME`` tasks alone."""
    long = cell.method in (*RIVALS, *AS_PUBLISHED) and cell.epochs == LONG
    return long or cell.method in (*SEARCHES, *UNTRAINED, "from-scratch")


def _averages(name: str, found: Sequence[Cell], over: str) -> Table:
    """Table 1, a row for a method and a length, over the tasks that the yardstick shares."""
    rows = []
    for method, epochs in dict.fromkeys((cell.method, cell.epochs) for cell in found):
        pairs = _beside_yardstick(found, method, epochs)
        if pairs:
            row = [pairs[0][0].title, _epochs(pairs[0][0]), str(len(pairs))]
            published = PUBLISHED.get((method, epochs), ("", ""))
            rows.append([*row, *_figures(pairs), *published])
    caption = (
        f"{over}, with the 95 % interval of the mean. Speed-up and gain: seconds of "
        "search and training, and points of accuracy, against ImageNet's 50 epochs on the same "
        "tasks. To the right what the paper found on its ten tasks, which are larger and easier: "
        "accuracies do not compare, what is gained does."
    )
    caption += _elsewhere(found)
    columns = ("method", "epochs", "tasks", *COLUMNS, "paper: speed-up", "paper: accuracy")
    return Table(name, caption, columns, rows)


def _by_task(found: Sequence[Cell]) -> Table:
    """Table 1, task by task."""
    rows = []
    for cell in sorted(found, key=lambda cell: cell.task):
        pairs = _beside_yardstick([c for c in found if c.task == cell.task], *_key(cell))
        if pairs:
            row = [cell.task, cell.title, _epochs(cell)]
            rows.append([*row, cell.choice["source"], *_figures(pairs)])
    caption = "Every task; with several seeds the interval is over them." + _elsewhere(found)
    return Table("tasks", caption, ("task", "method", "epochs", "trained on", *COLUMNS), rows)


def _against_time(found: Sequence[Cell]) -> Plot:
    """Figure 2: mean accuracy against the whole time."""
    figure = canvas(6, 3.6)
    axis = figure.subplots()
    timed = [cell for cell in found if not math.isnan(cell.training_s)]
    longest = TICKS[0]
    for place, (method, cell) in enumerate({cell.method: cell for cell in timed}.items()):
        points = _points(timed, method)
        if points:
            times, gains = zip(*points, strict=True)
            longest = max(longest, *times)
            # ten colours for each form, so that no two methods look alike
            form = "s" if cell.imported else FORMS[place // 10 % len(FORMS)]
            axis.plot(times, gains, form, color=f"C{place % 10}", label=cell.title, markersize=5)
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_xscale("log")
    ticks = [tick for tick in TICKS if tick <= max(2, longest)]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds of search and training (ImageNet's 50 epochs = 1)")
    axis.set_ylabel("points over ImageNet's 50 epochs")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    caption = (
        "Accuracy against the whole time, search included, both relative to ImageNet's 50 epochs: "
        f"means over {', '.join(SOME)}, after 10 and 50 epochs, and {TENFOLD} of what begins with "
        "untrained weights."
    )
    caption += _elsewhere(timed)
    return Plot("time", caption, figure)


def _points(found: Sequence[Cell], method: str) -> list[tuple[float, float]]:
    """Whole time, the yardstick's being 1, and points over the yardstick, for each length."""
    lengths = sorted({cell.epochs for cell in found if cell.method == method})
    runs = [_beside_yardstick(found, method, epochs) for epochs in lengths]
    return [
        (
            sum(own.total_s for own, _ in pairs) / sum(other.total_s for _, other in pairs),
            100 * statistics.fmean(own.accuracy - other.accuracy for own, other in pairs),
        )
        for pairs in runs
        if pairs
    ]


def _curves(found: Sequence[Cell]) -> Plot:
    """Figure 5: validation accuracy after each epoch."""
    tasks = list(dict.fromkeys(cell.task for cell in found if cell.epochs == LONG))
    lines = -(-len(tasks) // PANELS) or 1
    figure = canvas(2.4 * PANELS, 1.9 * lines)
    axes = figure.subplots(lines, PANELS, squeeze=False).flatten()
    for axis in axes[len(tasks) :]:
        axis.set_visible(False)
    for axis, task in zip(axes, tasks, strict=False):
        for method, colour in CURVES.items():
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


def _epochs(cell: Cell) -> str:
    return "" if cell.imported else str(cell.epochs)


def _elsewhere(found: Sequence[Cell]) -> str:
    """What a caption adds where results were imported."""
    return ELSEWHERE if any(cell.imported for cell in found) else ""


def _key(cell: Cell) -> tuple[str, int]:
    return cell.method, cell.epochs


def _beside_yardstick(found: Sequence[Cell], method: str, epochs: int) -> list[tuple[Cell, Cell]]:
    """What a method gave on each task, beside the yardstick there."""
    yardstick = {cell.task: cell for cell in found if _key(cell) == YARDSTICK}
    own = [c for c in found if _key(c) == (method, epochs) and c.task in yardstick]
    return list({c.task: (c, yardstick[c.task]) for c in own}.values())


def _figures(pairs: Sequence[tuple[Cell, Cell]]) -> list[str]:
    """Costs, times, speed-up and accuracy, as ``COLUMNS``."""

    def mean(value: Callable[[Cell], float], form: str) -> str:
        return _number(statistics.fmean(value(own) for own, _ in pairs), form)

    whole = [sum(cell.total_s for cell in column) for column in zip(*pairs, strict=True)]
    over_tasks = [own.accuracy for own, _ in pairs]
    over_seeds = [run["accuracy"] for run in pairs[0][0].runs]
    half = confidence(over_tasks if len(pairs) > 1 else over_seeds)
    return [
        mean(lambda cell: cell.choice["flops"] / 1e6, ".1f"),
        mean(lambda cell: cell.choice["params"] / 1e6, ".2f"),
        mean(lambda cell: cell.search_s, ".1f"),
        mean(lambda cell: cell.training_s, ".1f"),
        _number(whole[1] / whole[0], ".2f", "x"),
        percent(statistics.fmean(over_tasks), half),
        averaged([own.accuracy - other.accuracy for own, other in pairs], "+.1f"),
    ]


def _number(value: float, form: str, unit: str = "") -> str:
    """Empty for what is not known."""
    return "" if math.isnan(value) else f"{value:{form}}{unit}"


EXPERIMENT = Experiment(
    name="main",
    title="Accuracy and time on unseen tasks (Table 1, Figures 2 and 5)",
    question="What does a network retrieved by tans reach, at which cost, beside its rivals?",
    plan=PLAN,
    drawn=draw,
)
