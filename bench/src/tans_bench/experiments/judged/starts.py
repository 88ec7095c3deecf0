"""Fine-tunes of the same cells from several starts, beside the first of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.intervals import spread
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Result


def compare_starts(
    name: str, caption: str, lines: Iterable[Result], titles: Sequence[str]
) -> Table:
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
