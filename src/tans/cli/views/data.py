"""What is understood of a user's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tans.cli import console
from tans.errors import InputError
from tans.licences import UNSTATED

if TYPE_CHECKING:
    from tans.search.curve import Curve
    from tans.tasks.findings import Overrides
    from tans.tasks.task import Task

NAMED = 8
"""Classes that a line names before it only counts."""
SHOWN_CLASSES = 30
"""Classes of which a check shows pictures."""
COUNTED_CLASSES = 200
"""Classes whose images a check counts in a table."""
SAMPLES = 6
"""Pictures of each class."""
DRAWN = 14
"""Pixels a side of a picture in a terminal, two to a line."""


def read_data(path: str | Path, overrides: Overrides) -> Task:
    """The task at a path, and the short form of a check of it."""
    from tans.search.query import is_query

    if is_query(path):
        raise InputError(
            f"{path} is a query, which holds no images; expected a dataset: 'tans search' alone "
            "takes a query"
        )
    task = read_task(path, overrides)
    tell_data(task)
    return task


def read_task(path: str | Path, overrides: Overrides) -> Task:
    """The task at a path; a bar tells how far the reading is, where it takes long."""
    from tans.tasks.task import Task
    from tans.tasks.watching import watching

    with console.late_progress() as tell, watching(tell):
        return Task.from_path(path, overrides=overrides)


def tell_data(task: Task) -> None:
    """The short form of a check, beside the results, before anyone waits for them."""
    from tans.tasks.check import counts, warnings

    train, val, test = counts(task).sum(0).tolist()
    layout = f"; {task.found.layout}" if task.found.layout else ""
    console.tell(
        f"{task.name}: {len(task):,} images in {len(task.classes)} classes "
        f"({_shown_classes(task)}): {train:,} to train, {val:,} to validate, {test:,} to test"
        f"{layout}"
    )
    console.warn_each(warnings(task))


def describe_check(task: Task, curve: Curve | None) -> dict[str, Any]:
    """A check as JSON has it; the curve is None where it was left out."""
    from tans.tasks.check import summary

    return {"data": summary(task), "curve": None if curve is None else asdict(curve)}


def show_check(task: Task, curve: Curve | None) -> None:
    """Everything that is known of a dataset before it is used; no curve where it was left out."""
    from tans.tasks.check import counts, warnings

    table = counts(task)
    pictures = console.draws_pictures()
    rows = [
        (name, *map(str, row), str(sum(row)))
        for name, row in zip(task.classes, table.tolist(), strict=True)
    ]
    columns = ("class", ">train", ">validation", ">test", ">images")
    console.show_table(f"{task.name}: {len(task):,} images", columns, rows[:COUNTED_CLASSES])
    if len(rows) > COUNTED_CLASSES:
        console.say(
            f"These are the first; {len(rows) - COUNTED_CLASSES} more classes are in what --json "
            "or --output writes."
        )
    if task.found.layout:
        console.say(f"Taken for {task.found.layout}.")
    for index, name in enumerate(task.classes[:SHOWN_CLASSES]):
        _show_samples(task, index, name, pictures)
    told = warnings(task)
    for warning in told:
        console.say(f"Beware: {warning}.")
    if not told:
        console.say("Nothing odd was found.")
    if curve is not None:
        console.say(curve.words())


def _show_samples(task: Task, index: int, name: str, pictures: bool) -> None:
    """Some pictures of a class, or their names where none can be drawn."""
    import torch

    rows = (task.labels == index).nonzero().flatten()
    spread = rows[torch.linspace(0, len(rows) - 1, min(SAMPLES, len(rows))).long()]
    if pictures:
        console.say(name)
        console.draw(task.pixels.at(DRAWN, spread))
    elif task.keys:
        console.say(f"{name}: {', '.join(task.keys[row] for row in spread.tolist())}")


def _shown_classes(task: Task) -> str:
    """Classes with their images, as many as a line holds."""
    from tans.tasks.check import counts
    from tans.tasks.findings import some

    sizes = counts(task).sum(1).tolist()
    return some([f"{name} {n}" for name, n in zip(task.classes, sizes, strict=True)], NAMED)


def unstated(tasks: Sequence[Task]) -> list[str]:
    """What follows for a zoo where licences of images are not stated, a sentence each."""
    return [
        f"{task.name}: the licence of its images is unstated, so --commercial will leave its "
        "networks out; state it with --licence"
        for task in tasks
        if task.card.licence == UNSTATED
    ]
