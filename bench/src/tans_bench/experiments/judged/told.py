"""What is chosen and told before any fine-tune, in tables."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scipy.stats import spearmanr

from tans_bench.experiments.judged.field import KINDS, TASKS
from tans_bench.experiments.judged.intervals import NONE
from tans_bench.experiments.judged.jobs import Cell, key
from tans_bench.experiments.judged.methods import BASE, LITE0, SHORT, ZOO, Method, Seen
from tans_bench.experiments.judged.stored import Runs
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Result

CHANCE, ORDERS = "chance", 100
"""Random orders of the sources, and how many."""


def proposals(name: str, methods: Mapping[str, Method], cells: Sequence[Cell], runs: Runs) -> Table:
    """What each method that chooses took, how often."""
    choosing = [m for m in methods.values() if any(m.looked_at(s) for s in runs.seen.values())]
    rows = []
    for task in TASKS:
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


def _groups() -> Iterator[tuple[str, Sequence[str]]]:
    """Each task alone, then all of its kind; last all."""
    for kind, tasks in KINDS.items():
        yield from ((task, (task,)) for task in tasks)
        yield f"**{kind}**", tasks
    yield "**all**", TASKS


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


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())
