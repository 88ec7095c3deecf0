"""Table 1, Figures 2 and 5: accuracy and time of every method on unseen tasks."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from tans.training import PUBLISHED as PUBLISHED_RECIPE
from tans_bench.experiments.table1 import (
    AS_PUBLISHED,
    LONG,
    PUBLISHED,
    SHORT,
    YARDSTICK,
    History,
    against_time,
    curves,
)
from tans_bench.runs.comparison import Cell, averaged, cells, confidence, percent
from tans_bench.runs.drawing import Drawing, Plot, Table
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.imported import imported_cells
from tans_bench.runs.results import Results
from tans_bench.runs.roles import FORMERLY_SEALED

SIMPLE = (
    *("tans-embeddings", "elastic-base", "imagenet-random-head"),
    *("nearest-dataset", "best-on-average"),
)
SOME = ("script-hangul", "wesnoth-units", "solar-cells")
"""Tasks on which all methods are run for ``LONG``."""
PLAN = Comparison(
    (
        Arm(("tans", "imagenet"), FORMERLY_SEALED, (SHORT,), seeds=(0, 1, 2)),
        Arm(("tans", "imagenet"), FORMERLY_SEALED, (LONG,)),
        Arm(AS_PUBLISHED, FORMERLY_SEALED, (SHORT,), learning_rate=PUBLISHED_RECIPE.learning_rate),
        Arm(AS_PUBLISHED, SOME, (LONG,), learning_rate=PUBLISHED_RECIPE.learning_rate),
        Arm(SIMPLE, FORMERLY_SEALED, (SHORT,)),
        Arm((*SIMPLE, "from-scratch"), SOME, (LONG,)),
    )
)
COLUMNS = (
    *("FLOPs (M)", "params (M)", "search (s)", "training (s)", "speed-up", "accuracy (%)", "gain"),
)
ELSEWHERE = (
    " Rows marked as imported are a user's own results of a service and were not measured here: "
    "their times are the service's, on machines of its own."
)


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
    return cell.epochs == LONG and cell.method in (*SIMPLE, *AS_PUBLISHED, "from-scratch")


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
    timed = [cell for cell in found if not math.isnan(cell.training_s)]
    last = {cell.method: cell for cell in timed}
    points = [(cell.title, cell.imported, _points(timed, method)) for method, cell in last.items()]
    over = f"means over {', '.join(SOME)}, after {SHORT} and {LONG} epochs"
    return against_time(points, over, _elsewhere(timed))


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
    """Figure 5: validation accuracy after each epoch, of the first seed."""
    histories: dict[str, dict[str, list[History]]] = {}
    for cell in found:
        if cell.epochs == LONG:
            own = histories.setdefault(cell.task, {})
            own[cell.method] = [cell.runs[0]["history"]]
    return curves(histories, "of the first seed")


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
