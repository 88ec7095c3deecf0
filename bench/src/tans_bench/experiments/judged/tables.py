"""What the judge found, in tables."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
from scipy.stats import spearmanr

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.cost import looking, training
from tans_bench.experiments.judged.jobs import TUNED, Cell, key
from tans_bench.experiments.judged.methods import BASE, LITE0, SHORT, ZOO, Method, Seen, tuned
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Result, Results
from tans_bench.sources.registry import get_source

DRAWS, SEED = 10_000, 0
"""Of families, for an interval."""
CHANCE, ORDERS = "chance", 100
"""Random orders of the sources, and how many."""
KINDS: Mapping[str, tuple[str, ...]] = {"siblings": field.SIBLINGS, "strangers": field.STRANGERS}
CHOSEN_ON = 2
"""First seeds of a task, where one is chosen that is scored on the others."""
NONE = "\N{EN DASH}"
"""Where something was not measured."""


class Runs:
    """Stored fine-tunes, and what was known before them.

    Args:
        results: where they are stored.
        seen: of each cell.
    """

    def __init__(self, results: Results, seen: Mapping[Cell, Seen]) -> None:
        self.seen = seen
        self._stored = {_key(line): line for line in results.lines(TUNED)}

    def of(self, method: Method, cell: Cell, steps: int = field.STEPS) -> Result | None:
        """The run of what a method chose on a cell; None where it is not stored."""
        if cell not in self.seen or not method.knows(self.seen[cell]):
            return None
        return self._stored.get(_key(tuned(method, self.seen[cell], steps).key()))

    def accuracy(self, method: Method, cell: Cell, steps: int = field.STEPS) -> float | None:
        """In %."""
        run = self.of(method, cell, steps)
        return None if run is None else 100 * run["accuracy"]

    def cost(self, method: Method, cell: Cell, steps: int = field.STEPS) -> float | None:
        """Multiply-adds of look and fine-tune."""
        run, seen = self.of(method, cell, steps), self.seen.get(cell)
        if run is None or seen is None:
            return None
        looked = (seen.flops[name] for name in method.looked_at(seen))
        return training(tuned(method, seen, steps), run) + looking(looked, run["splits"][0])


def _key(run: Result) -> tuple[object, ...]:
    names = ("task", "seed", "images", "network", "size", "steps", "recipe")
    return tuple(run[name] for name in names)


def accuracies(
    name: str, methods: Mapping[str, Method], cells: Sequence[Cell], runs: Runs
) -> Table:
    """A row for each task, a column for each method that was run on all seeds of some task."""
    shown = [
        method
        for method in methods.values()
        if any(_mean(_each(runs.accuracy, method, cells, task)) is not None for task in field.TASKS)
    ]
    rows = []
    for kind, tasks in KINDS.items():
        own = [[_mean(_each(runs.accuracy, m, cells, task)) for m in shown] for task in tasks]
        rows += [[task, *map(_percent, row)] for task, row in zip(tasks, own, strict=True)]
        means = [_mean(list(column)) for column in zip(*own, strict=True)]
        rows.append([f"**{kind}**", *(f"**{_percent(mean)}**" for mean in means)])
    caption = (
        f"Test accuracy in %, mean of five seeds, {field.IMAGES} training images, {field.STEPS} "
        "steps; in bold the mean over tasks. Each column: what is looked at is chosen from by the "
        "accuracy on frozen features."
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
    caption = (
        "Paired by task and seed; in brackets the 95 % interval of a bootstrap over families of "
        f"tasks ({_families(field.SIBLINGS)} of siblings, {_families(field.STRANGERS)} of "
        f"strangers). Errors and multiply-adds as a multiple of those of {first}; the latter are "
        "those of training, validation, head and look. Seconds: median over pairs of fine-tunes on "
        "one card, which many shared, so that they tell little."
    )
    return Table(
        name,
        caption,
        ("tasks", "method", *columns, "errors", "multiply-adds", "seconds"),
        rows,
    )


def proposals(name: str, methods: Mapping[str, Method], cells: Sequence[Cell], runs: Runs) -> Table:
    """What each method that chooses took, how often."""
    choosing = [m for m in methods.values() if any(m.looked_at(s) for s in runs.seen.values())]
    rows = []
    for task in (task for tasks in KINDS.values() for task in tasks):
        seen = [runs.seen[cell] for cell in cells if cell.task == task and cell in runs.seen]
        chosen = ([method.choose(each) for each in seen] for method in choosing)
        rows.append([task, *map(_counted, chosen)])
    caption = "Networks that were chosen, at their size in pixels, and for how many of five seeds."
    return Table(name, caption, ("task", *(method.title for method in choosing)), rows)


def retrieval(name: str, cells: Sequence[Cell], runs: Runs) -> Table:
    """How well cosine and the paper's predictor find sources that do well on frozen features."""
    rows = []
    for kind, tasks in KINDS.items():
        seen = [runs.seen[c] for c in cells if c.task in tasks and c in runs.seen]
        for score in ("similarity", "predicted", CHANCE):
            orders = [_orders(each, score) for each in seen]
            ranks = [_rank(each, own[0]) for each, own in zip(seen, orders, strict=True)]
            missed = [_missed(each, own) for each, own in zip(seen, orders, strict=True)]
            told = "" if score == CHANCE else f"{statistics.fmean(ranks):.2f}"
            rows.append([kind, score, told, f"{100 * statistics.fmean(missed):.1f}"])
    caption = (
        f"Rank correlation of a score with the sources' accuracy on frozen features, and by how "
        f"many points the best of the {SHORT} first falls short of the best of all; means over "
        "tasks and seeds."
    )
    columns = ("tasks", "score", "Spearman", f"best of {SHORT} falls short by")
    return Table(name, caption, columns, rows)


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
        means = list(map(_mean, found))
        if None not in means:
            rows.append([told, *map(_percent, means), _gain(method, peer, own, runs, steps)])
    tasks = list(dict.fromkeys(cell.task for own, _ in cells.values() for cell in own))
    caption = (
        f"Test accuracy in %, mean of five seeds on {', '.join(tasks)}; points paired by task and "
        f"seed, in brackets the 95 % interval of a bootstrap over {_families(tasks)} families."
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
    """What methods reach in fewer steps than a peer, and their share of its multiply-adds."""
    rows = []
    theirs = [runs.cost(peer, cell, longest) for cell in cells]
    for method, few in product(methods, steps):
        own = [runs.cost(method, cell, few) for cell in cells]
        costs, least = _mean(own), _mean(theirs)
        if costs is not None and least is not None:
            gains = _paired(
                (cell, runs.accuracy(method, cell, few), runs.accuracy(peer, cell, longest))
                for cell in cells
            )
            rows.append([method.title, str(few), spread(gains), f"{costs / least:.2f}"])
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    told = f"{peer.title}, after {longest} steps"
    caption = (
        f"Points over {told}, paired by task and seed on {', '.join(tasks)}, in brackets the 95 % "
        f"interval of a bootstrap over {_families(tasks)} families; and multiply-adds, look and "
        "head included, as a share of its."
    )
    return Table(name, caption, ("method", "steps", f"points over {told}", "multiply-adds"), rows)


def abstention(name: str, method: Method, peer: Method, cells: Sequence[Cell], runs: Runs) -> Table:
    """How often a method says that nothing in the zoo is related, and what it gains where not."""
    rows = []
    for kind, tasks in KINDS.items():
        own = [cell for cell in cells if cell.task in tasks and cell in runs.seen]
        related = [cell for cell in own if method.choose(runs.seen[cell]) not in (LITE0, BASE)]
        for says, some in (("related", related), ("nothing related", set(own) - set(related))):
            pairs = [(runs.accuracy(method, cell), runs.accuracy(peer, cell)) for cell in some]
            gains = [a - b for a, b in pairs if a is not None and b is not None]
            gain = f"{statistics.fmean(gains):+.1f}" if gains else NONE
            rows.append([kind, says, str(len(some)), gain])
    caption = (
        f"What {method.title} says of the zoo: that a source of it is related, or that nothing is, "
        f"and one of ImageNet's networks is proposed; and mean points over {peer.title}."
    )
    return Table(name, caption, ("tasks", "says", "of task and seed", "points"), rows)


def predictions(
    name: str, method: Method, cells: Sequence[Cell], runs: Runs, expected: Sequence[Result]
) -> Table:
    """Accuracies that were expected of a method's networks beside those measured."""
    known = {(line["task"], line["seed"], line["images"]): line for line in expected}
    rows = []
    for told, tasks in _groups():
        own = [cell for cell in cells if cell.task in tasks]
        found = [(known.get((c.task, c.seed, c.images)), runs.accuracy(method, c)) for c in own]
        pairs = [(line, accuracy) for line, accuracy in found if line and accuracy is not None]
        if pairs:
            rows.append([told, *_expectation(pairs)])
    caption = (
        "Predicted before the fine-tune, by a calibrator that learnt from no task of the families "
        "that are taken out for strangers; means over seeds, and in bold over tasks too. The "
        "interval is meant to hold nine times in ten."
    )
    columns = ("task", "predicted", "measured", "mean error", "width of the interval", "held")
    return Table(name, caption, columns, rows)


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
        reached = {peer: _mean([runs.accuracy(peer, cell) for cell in first]) for peer in peers}
        known = {peer: mean for peer, mean in reached.items() if mean is not None}
        if len(known) == len(peers):
            chosen[task] = max(known, key=lambda peer: known[peer])
    rows = []
    for (kind, tasks), method in product(KINDS.items(), methods):
        scored = [c for c in cells if c.task in tasks and c.task in chosen and c.seed >= CHOSEN_ON]
        gains = _paired(
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


def _paired(
    found: Iterable[tuple[Cell, float | None, float | None]],
) -> dict[str, list[float]]:
    """Differences by task, of the cells where both were measured."""
    gains: dict[str, list[float]] = {}
    for cell, own, other in found:
        if own is not None and other is not None:
            gains.setdefault(cell.task, []).append(own - other)
    return gains


def _tested(found: Mapping[str, Result]) -> list[float]:
    return [run["accuracy"] for run in found.values()]


def _validated(found: Mapping[str, Result], first: str) -> float:
    """Test accuracy of what validation images put first; of equals, that of the first method."""
    kept = max(found, key=lambda name: (found[name]["val_accuracy"], name == first))
    return float(found[kept]["accuracy"])


def spread(gains: Mapping[str, Sequence[float]]) -> str:
    """Mean gain over tasks, each the mean of its seeds; of several tasks with its interval."""
    means = {task: statistics.fmean(own) for task, own in gains.items() if own}
    if not means:
        return NONE
    mean, low, high = interval(means)
    between = f" ({low:+z.1f} to {high:+z.1f})" if len(means) > 1 else ""
    return f"{mean:+z.1f}{between}"


def starts(name: str, caption: str, lines: Iterable[Result], titles: Sequence[str]) -> Table:
    """A row for each task and one for all: accuracies of starts, and points over the first.

    Args:
        lines: each of a cell, its ``accuracy`` by title.
        titles: of the starts.
    """
    found: dict[str, list[Mapping[str, float]]] = {}
    for line in lines:
        found.setdefault(line["task"], []).append(line["accuracy"])
    rows = [_started(task, {task: found[task]}, titles) for task in field.TASKS if task in found]
    rows.append(_started("**all**", found, titles))
    columns = ("task", "seeds", *titles, *(f"{title}, points" for title in titles[1:]))
    return Table(name, caption, columns, rows)


def _started(
    told: str, found: Mapping[str, Sequence[Mapping[str, float]]], titles: Sequence[str]
) -> list[str]:
    every = [own for cells in found.values() for own in cells]
    means = [f"{100 * statistics.fmean(own[title] for own in every):.1f}" for title in titles]
    gains = [
        {t: [100 * (own[title] - own[titles[0]]) for own in cells] for t, cells in found.items()}
        for title in titles[1:]
    ]
    return [told, str(len(every)), *means, *map(spread, gains)]


def _groups() -> Iterator[tuple[str, Sequence[str]]]:
    """Each task alone, then all of its kind; last all."""
    for kind, tasks in KINDS.items():
        yield from ((task, (task,)) for task in tasks)
        yield f"**{kind}**", tasks
    yield "**all**", [task for tasks in KINDS.values() for task in tasks]


def _held(line: Result, accuracy: float) -> bool:
    return 100 * line["low"] <= accuracy <= 100 * line["high"]


def _expectation(pairs: Sequence[tuple[Result, float]]) -> list[str]:
    """Means of what was predicted and measured, errors and widths, and how often it held."""
    predicted = [100 * line["predicted"] for line, _ in pairs]
    measured = [accuracy for _, accuracy in pairs]
    errors = [abs(a - b) for a, b in zip(predicted, measured, strict=True)]
    widths = [100 * (line["high"] - line["low"]) for line, _ in pairs]
    means = [f"{statistics.fmean(each):.1f}" for each in (predicted, measured, errors, widths)]
    return [*means, f"{sum(_held(*pair) for pair in pairs)} of {len(pairs)}"]


def _orders(seen: Seen, score: str) -> list[tuple[str, ...]]:
    """Sources by a score, or in many random orders."""
    if score != CHANCE:
        return [seen.ordered(score)]
    drawn = random.Random(f"{seen.cell.task} {seen.cell.seed}")
    names = sorted(seen.scores)
    return [tuple(drawn.sample(names, len(names))) for _ in range(ORDERS)]


def _rank(seen: Seen, order: Sequence[str]) -> float:
    reached = [seen.accuracy[key(name, ZOO)] for name in order]
    return float(spearmanr(range(len(order), 0, -1), reached).statistic)


def _missed(seen: Seen, orders: Sequence[Sequence[str]]) -> float:
    reached = {name: seen.accuracy[key(name, ZOO)] for name in seen.scores}
    best = max(reached.values())
    return statistics.fmean(best - max(reached[name] for name in own[:SHORT]) for own in orders)


def interval(gains: Mapping[str, float]) -> tuple[float, float, float]:
    """Mean gain of tasks, and its 95 % interval by a bootstrap over their families.

    Args:
        gains: by task.
    """
    families: dict[str, list[float]] = {}
    for task, gain in gains.items():
        families.setdefault(get_source(task).family, []).append(gain)
    sums = np.array([[sum(own), len(own)] for own in families.values()])  # (f, 2)
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(DRAWS, len(sums)))
    totals = sums[drawn].sum(1)  # (draws, 2)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], (0.025, 0.975))
    return statistics.fmean(gains.values()), float(low), float(high)


def _each(
    figure: Callable[[Method, Cell], float | None],
    method: Method,
    cells: Iterable[Cell],
    task: str,
) -> list[float | None]:
    return [figure(method, cell) for cell in cells if cell.task == task]


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is missing: a mean over other runs compares with nothing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


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
        own, other = (_mean(_each(accuracy, each, cells, task)) for each in (method, peer))
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
    own, other = (_mean([figure(each, cell) for cell in cells]) for each in (method, peer))
    return NONE if own is None or other is None else f"{own / other:.2f}"


def _times(method: Method, peer: Method, cells: Sequence[Cell], runs: Runs) -> str:
    pairs = [(runs.of(method, cell), runs.of(peer, cell)) for cell in cells]
    on_one = [
        own["seconds"] / other["seconds"]
        for own, other in pairs
        if own is not None and other is not None and own["card"] == other["card"]
    ]
    return f"{statistics.median(on_one):.2f}" if on_one else NONE


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())


def _families(tasks: Iterable[str]) -> int:
    return len({get_source(task).family for task in tasks})
