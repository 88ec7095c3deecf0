"""What fine-tunes reached and cost, in tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import product

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.field import KINDS
from tans_bench.experiments.judged.intervals import NONE, count_families, mean, paired, spread
from tans_bench.experiments.judged.jobs import Cell
from tans_bench.experiments.judged.methods import Method
from tans_bench.experiments.judged.stored import Runs
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Result

CHOSEN_ON = 2
"""First seeds of a task, where one is chosen that is scored on the others."""


def accuracies(
    name: str, methods: Mapping[str, Method], cells: Sequence[Cell], runs: Runs
) -> Table:
    """A row for each task, a column for each method that was run on all seeds of some task."""
    shown = [
        method
        for method in methods.values()
        if any(mean(_each(runs.accuracy, method, cells, task)) is not None for task in field.TASKS)
    ]
    rows = []
    for kind, tasks in KINDS.items():
        own = [[mean(_each(runs.accuracy, m, cells, task)) for m in shown] for task in tasks]
        rows += [[task, *map(_percent, row)] for task, row in zip(tasks, own, strict=True)]
        means = [mean(list(column)) for column in zip(*own, strict=True)]
        rows.append([f"**{kind}**", *(f"**{_percent(each)}**" for each in means)])
    caption = (
        f"Test accuracy in %, mean of five seeds, at most {field.IMAGES} training images, "
        f"{field.STEPS} steps; in bold the mean over tasks. Each column: what is looked at is "
        "chosen from by the accuracy on frozen features."
    )
    return Table(name, caption, ("task", *(method.title for method in shown)), rows)


def comparisons(
    name: str,
    methods: Mapping[str, Method],
    against: Sequence[str],
    cells: Sequence[Cell],
    runs: Runs,
) -> Table:
    """A row for each method and kind of task: points over each opponent, errors, costs."""
    rows = []
    for kind, tasks in KINDS.items():
        own = [cell for cell in cells if cell.task in tasks]
        for method in methods.values():
            peers = [methods[peer] for peer in against]
            points = [_gain(method, peer, own, runs) for peer in peers]
            rows.append([kind, method.title, *points, *_ratios(method, peers[0], own, runs)])
    columns = [f"points over {methods[peer].title}" for peer in against]
    first = methods[against[0]].title
    counts = [f"{count_families(tasks)} of {kind}" for kind, tasks in KINDS.items()]
    caption = (
        "Paired by task and seed; in brackets the 95 % interval of a bootstrap over families of "
        f"tasks ({', '.join(counts)}). Errors and multiply-adds as a multiple of those of {first}; "
        "the latter are those of training, validation, head and look. Seconds: median over pairs "
        "of fine-tunes on one card, which many shared, so that they tell little."
    )
    return Table(
        name,
        caption,
        ("tasks", "method", *columns, "errors", "multiply-adds", "seconds"),
        rows,
    )


def variations(
    name: str,
    methods: Sequence[Method],
    cells: Mapping[str, tuple[Sequence[Cell], int]],
    runs: Runs,
) -> Table:
    """A row for each number of images and of steps that was run as a whole.

    Args:
        methods: the last is compared with the one before it.
        cells: by what is told of them, and the steps of their fine-tunes.
    """
    rows = []
    *_, peer, method = methods
    for told, (own, steps) in cells.items():
        found = [[runs.accuracy(m, cell, steps) for cell in own] for m in methods]
        means = list(map(mean, found))
        if None not in means:
            rows.append([told, *map(_percent, means), _gain(method, peer, own, runs, steps)])
    tasks = list(dict.fromkeys(cell.task for own, _ in cells.values() for cell in own))
    caption = (
        f"Test accuracy in %, mean of five seeds on {', '.join(tasks)}; points paired by task and "
        f"seed, in brackets the 95 % interval of a bootstrap over {count_families(tasks)} families."
    )
    titles = (each.title for each in methods)
    columns = ("images, steps", *titles, f"{method.title} over {peer.title}")
    return Table(name, caption, columns, rows)


def sooner(
    name: str,
    methods: Sequence[Method],
    steps: Sequence[int],
    peer: Method,
    longest: int,
    cells: Sequence[Cell],
    runs: Runs,
) -> Table:
    """Points over a peer's longest run after fewer or as many steps, and the share of its cost."""
    rows = []
    theirs = [runs.cost(peer, cell, longest) for cell in cells]
    for method, few in product(methods, steps):
        own = [runs.cost(method, cell, few) for cell in cells]
        costs, least = mean(own), mean(theirs)
        if costs is not None and least is not None:
            gains = paired(
                (cell, runs.accuracy(method, cell, few), runs.accuracy(peer, cell, longest))
                for cell in cells
            )
            rows.append([method.title, str(few), spread(gains), f"{costs / least:.2f}"])
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    told = f"{peer.title}, after {longest} steps"
    caption = (
        f"Points over {told}, paired by task and seed on {', '.join(tasks)}, in brackets the 95 % "
        f"interval of a bootstrap over {count_families(tasks)} families; and multiply-adds, look "
        "and head included, as a share of its."
    )
    return Table(name, caption, ("method", "steps", f"points over {told}", "multiply-adds"), rows)


def races(
    name: str, methods: Mapping[str, Method], first: str, cells: Sequence[Cell], runs: Runs
) -> Table:
    """What tuning the networks of several methods and keeping one gains over those of the first.

    Args:
        methods: of one recipe.
        first: the method that is compared with.
    """
    rules = {
        "best on validation images": _validated,
        "best on test images, which nobody can know": lambda found, _: max(_tested(found)),
    }
    rows = []
    for kind, tasks in KINDS.items():
        own = [cell for cell in cells if cell.task in tasks]
        for told, rule in rules.items():
            gains: dict[str, list[float]] = {}
            for cell in own:
                found = {each: runs.of(method, cell) for each, method in methods.items()}
                known = {each: run for each, run in found.items() if run is not None}
                if len(known) == len(methods):
                    gain = rule(known, first) - known[first]["accuracy"]
                    gains.setdefault(cell.task, []).append(100 * gain)
            rows.append([kind, told, spread(gains)])
    titles = ", ".join(method.title for method in methods.values())
    caption = (
        f"Where all of {titles} are tuned and one is kept: points over {methods[first].title}, "
        "paired by task and seed, in brackets the 95 % interval of a bootstrap over families. It "
        f"takes {len(methods)} fine-tunes instead of one."
    )
    columns = ("tasks", "kept", f"points over {methods[first].title}")
    return Table(name, caption, columns, rows)


def singles(
    name: str,
    methods: Sequence[Method],
    peers: Sequence[Method],
    cells: Sequence[Cell],
    runs: Runs,
) -> Table:
    """Points over the one peer that does best on a task's first seeds, scored on the others.

    Args:
        peers: each of one network for all tasks.
    """
    chosen: dict[str, Method] = {}
    for task in field.TASKS:
        first = [cell for cell in cells if cell.task == task and cell.seed < CHOSEN_ON]
        reached = {peer: mean([runs.accuracy(peer, cell) for cell in first]) for peer in peers}
        known = {peer: own for peer, own in reached.items() if own is not None}
        if len(known) == len(peers):
            chosen[task] = max(known, key=lambda peer: known[peer])
    rows = []
    for (kind, tasks), method in product(KINDS.items(), methods):
        scored = [c for c in cells if c.task in tasks and c.task in chosen and c.seed >= CHOSEN_ON]
        gains = paired(
            (cell, runs.accuracy(method, cell), runs.accuracy(chosen[cell.task], cell))
            for cell in scored
        )
        rows.append([kind, method.title, spread(gains)])
    titles = " and ".join(peer.title for peer in peers)
    caption = (
        f"Points over the better of {titles}, chosen for each task by the test images of its first "
        f"{CHOSEN_ON} seeds and scored on the others; in brackets the 95 % interval of a bootstrap "
        "over families."
    )
    return Table(name, caption, ("tasks", "method", "points over the better one"), rows)


def _tested(found: Mapping[str, Result]) -> list[float]:
    return [run["accuracy"] for run in found.values()]


def _validated(found: Mapping[str, Result], first: str) -> float:
    """Test accuracy of what validation images put first; of equals, that of the first method."""
    kept = max(found, key=lambda name: (found[name]["val_accuracy"], name == first))
    return float(found[kept]["accuracy"])


def _each(
    figure: Callable[[Method, Cell], float | None],
    method: Method,
    cells: Iterable[Cell],
    task: str,
) -> list[float | None]:
    return [figure(method, cell) for cell in cells if cell.task == task]


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"


def _gain(
    method: Method, peer: Method, cells: Sequence[Cell], runs: Runs, steps: int = field.STEPS
) -> str:
    if method is peer:
        return ""
    accuracy = partial(runs.accuracy, steps=steps)
    found: dict[str, float] = {}
    for task in dict.fromkeys(cell.task for cell in cells):
        own, other = (mean(_each(accuracy, each, cells, task)) for each in (method, peer))
        if own is None or other is None:
            return NONE
        found[task] = own - other
    return spread({task: [gain] for task, gain in found.items()})


def _ratios(method: Method, peer: Method, cells: Sequence[Cell], runs: Runs) -> list[str]:
    """Of errors, multiply-adds and seconds, each the mean over cells over the peer's."""

    def errors(each: Method, cell: Cell) -> float | None:
        accuracy = runs.accuracy(each, cell)
        return None if accuracy is None else 100 - accuracy

    ratios = [_ratio(figure, method, peer, cells) for figure in (errors, runs.cost)]
    return [*ratios, _times(method, peer, cells, runs)]


def _ratio(
    figure: Callable[[Method, Cell], float | None],
    method: Method,
    peer: Method,
    cells: Sequence[Cell],
) -> str:
    own, other = (mean([figure(each, cell) for cell in cells]) for each in (method, peer))
    return NONE if own is None or other is None else f"{own / other:.2f}"


def _times(method: Method, peer: Method, cells: Sequence[Cell], runs: Runs) -> str:
    pairs = [(runs.of(method, cell), runs.of(peer, cell)) for cell in cells]
    on_one = [
        own["seconds"] / other["seconds"]
        for own, other in pairs
        if own is not None and other is not None and own["card"] == other["card"]
    ]
    return f"{statistics.median(on_one):.2f}" if on_one else NONE
