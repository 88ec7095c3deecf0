"""One zoo of several that share a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tans.errors import InputError, ZooError
from tans.types import Transfer, ZooEntry
from tans.zoo.copy import is_begun, put_calibrator, read_calibrator
from tans.zoo.manifest import KEY
from tans.zoo.rows import KEYS, ZooTask
from tans.zoo.zoo import Zoo


def merge_zoos(zoos: Sequence[Zoo], path: str | Path) -> Zoo:
    """Bring the tasks, entries and transfers of several zoos together.

    What several hold is taken from the first. A new zoo gets the calibrator of the first, and its
    retriever is to be learnt anew; a zoo that is added to keeps its own until then. Nothing is
    written where zoos do not go together; a merge that was stopped goes on when asked for again.

    Args:
        zoos: two or more, or one that is added to another.
        path: a folder that is new or empty, or a zoo, which the others are added to.

    Raises:
        InputError: there is nothing to bring together.
        ZooError: bases differ, or tasks or networks of the same name; one is damaged; the folder
            holds something else.
    """
    target = _target(Path(path))
    parts = zoos if target is None or target.base is None else [target, *zoos]
    if len(parts) < 2:
        raise InputError(f"{len(zoos)} zoo was given; expected two or more to merge")
    _check_bases(parts)
    _check_tasks(parts)
    _check_entries(parts)
    calibrator = read_calibrator(zoos[0])
    merged = Zoo.create(path)
    if merged.base is None:
        merged.copy_base(zoos[0])
        put_calibrator(merged, calibrator)
    for zoo in zoos:
        if zoo.path.resolve() != merged.path.resolve():
            _take(merged, zoo)
    merged.compact()
    return merged


def _target(folder: Path) -> Zoo | None:
    """The zoo in a folder that others are added to; None where there is none yet."""
    if (folder / KEY).exists():
        found = Zoo.open(folder)
        found.check_writable()
        return found
    if folder.exists() and not (folder.is_dir() and is_begun(folder)):
        raise ZooError(f"{folder} is in use and holds no zoo; choose a new or empty folder")
    return None


def _check_bases(zoos: Sequence[Zoo]) -> None:
    first = zoos[0]
    first.base_state()  # refuses a zoo without a base
    for zoo in zoos[1:]:
        if (zoo.base, zoo.base_ref) != (first.base, first.base_ref):
            raise ZooError(
                f"{zoo.place} starts from the base {str(zoo.base)[:8]} of {zoo.base_ref.name}, "
                f"{first.place} from {str(first.base)[:8]} of {first.base_ref.name}; expected the "
                "same, as weights are stored against it: build one of them on the other's base"
            )


def _check_tasks(zoos: Sequence[Zoo]) -> None:
    known: dict[str, tuple[str, ZooTask]] = {}
    for zoo in zoos:
        for task in zoo.tasks():
            place, first = known.setdefault(task.name, (zoo.place, task))
            if differing := [
                name
                for name, value in vars(replace(task, cost_s=first.cost_s)).items()
                if value != vars(first)[name]
            ]:
                raise ZooError(
                    f"task {task.name!r} has another {' and '.join(differing)} in {zoo.place} than "
                    f"in {place}; expected tasks of one name to be the same: copy that zoo without "
                    "it, with 'tans zoo copy --tasks', or build it under another name"
                )


def _check_entries(zoos: Sequence[Zoo]) -> None:
    known: dict[str, tuple[str, ZooEntry]] = {}
    for zoo in zoos:
        for entry in zoo.entries(vectors=False):
            place, first = known.setdefault(entry.id, (zoo.place, entry))
            if _identity(entry) != _identity(first):
                raise ZooError(
                    f"network {entry.id!r} in {zoo.place} is under {entry.licence} and of "
                    f"{', '.join(entry.origins)}, in {place} under {first.licence} and of "
                    f"{', '.join(first.origins)}, or has other weights; expected networks of one "
                    "id to be the same: copy that zoo without its task"
                )


def _identity(entry: ZooEntry) -> tuple[object, ...]:
    return entry.ref, entry.weights, entry.place, entry.origins, entry.licence


def _take(merged: Zoo, zoo: Zoo) -> None:
    """Add what a zoo does not hold yet: files before rows, tasks before entries."""
    ids = {entry.id for entry in merged.entries(vectors=False)}
    tasks = {task.name for task in merged.tasks()}
    for task in zoo.tasks():
        new = [entry for entry in zoo.entries(task=task.name) if entry.id not in ids]
        merged.copy_rows(zoo, None if task.name in tasks else task, new)
    measured = {_pair(each) for each in merged.transfers()}
    merged.add_transfers([each for each in zoo.transfers() if _pair(each) not in measured])


def _pair(transfer: Transfer) -> tuple[object, ...]:
    return tuple(vars(transfer)[name] for name in KEYS["transfers"])
