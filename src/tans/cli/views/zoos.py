"""Zoos, their networks and source tasks, and how they are built and trained."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tans.cli import console

if TYPE_CHECKING:
    from tans.types import ZooEntry
    from tans.workflow import Trained
    from tans.zoo.zoo import Zoo


def open_zoo(zoo: str | None) -> Zoo:
    """A zoo, which tells what it fetches where it lies at an address."""
    from tans.zoo.zoo import Zoo

    return Zoo.open(
        zoo, lambda name, size: console.tell(f"Fetching {name} of {zoo}, {size / 1e6:.1f} MB")
    )


@contextmanager
def copy_bar(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """The bar of what is copied to or from an address; yields what moves it."""
    with console.progress(label, percent=True) as advance:
        yield advance


def describe_entries(zoo: Zoo, entries: Sequence[ZooEntry]) -> Iterator[dict[str, Any]]:
    """Entries as JSON has them, costs counted with the head of the source task."""
    classes = {task.name: len(task.classes) for task in zoo.tasks()}
    for entry in entries:
        costs = entry.body_costs.under_head(entry.width, classes[entry.task])
        yield {
            "id": entry.id,
            "task": entry.task,
            "params": costs.params,
            "flops": costs.flops,
            "resolution": entry.resolution,
            "licence": entry.licence,
            "accuracy": entry.accuracy,
            "architecture": entry.ref.name,
        }


def show_entries(zoo: Zoo, entries: Sequence[ZooEntry], title: str) -> None:
    rows = [
        (
            entry["id"],
            console.millions(entry["params"]),
            f"{entry['flops'] / 1e6:.1f}",
            str(entry["resolution"]),
            console.percent(entry["accuracy"]),
            entry["architecture"].partition(" {")[0],  # facts as JSON are for `tans zoo show`
        )
        for entry in describe_entries(zoo, entries)
    ]
    columns = ("network", ">params", ">MFLOPs", ">pixels", ">accuracy", "architecture")
    console.show_table(title, columns, rows)


@contextmanager
def build_bar(path: str) -> Iterator[Callable[[float, str], None]]:
    """The bar of a whole build; yields what moves it."""
    with console.progress(path, percent=True) as advance:
        yield lambda share, note: advance(share, 1, note)


def say_zoo(zoo: Zoo, how: str) -> None:
    """What a zoo holds that was made, and what it lacks."""
    console.say(
        f"{zoo.place} holds {len(zoo.entries(vectors=False))} networks of {len(zoo.tasks())} tasks "
        f"{how}"
    )
    console.say(f"Next: tans train --zoo {shlex.quote(zoo.place)}")


def show_trained(trained: Trained) -> None:
    found = trained.retrieval
    console.say(
        f"A known task's own network ranks first for {found.tasks.r1:.0%} of {found.queries} "
        f"held-out queries (chance {found.tasks_chance.r1:.0%})"
    )
    if trained.calibrator is None:
        console.say(
            "No second look: too few transfers were measured to learn from; "
            "run 'tans zoo transfers' on tasks of three kinds or more"
        )
    else:
        console.say(
            f"Accuracies are predicted from {trained.calibrator.trials} fine-tunes on other tasks"
        )


def show_tasks(zoo: Zoo, entries: Sequence[ZooEntry]) -> None:
    rows = []
    for task in zoo.tasks():
        own = [entry for entry in entries if entry.task == task.name]
        known = [entry.accuracy for entry in own if entry.accuracy is not None]
        rows.append(
            (
                task.name,
                task.card["family"],
                str(len(task.classes)),
                str(len(own)),
                console.percent(max(known, default=None)),
                task.card["licence"],
            )
        )
    columns = ("trained on", "family", ">classes", ">networks", ">best accuracy", "licence")
    console.show_table(f"{len(entries)} networks in {zoo.place}", columns, rows)
