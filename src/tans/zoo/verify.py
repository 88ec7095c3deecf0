"""Check a whole zoo: every file, every reference, every network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch

from tans.errors import TansError, ZooError
from tans.networks.network import prepare
from tans.types import ZooEntry
from tans.zoo.blobs import name_of
from tans.zoo.rows import ZooTask
from tans.zoo.zoo import Zoo

T = TypeVar("T")


@dataclass(frozen=True)
class VerifyReport:
    """What a check of a whole zoo found."""

    files: int
    """Files whose content was compared with their names."""
    networks: int
    """Networks that loaded and gave finite outputs."""
    problems: tuple[str, ...]
    unused: tuple[str, ...]
    """Files that no row names: harmless, left by writers that were killed."""

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_zoo(zoo: Zoo, on_progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """Compare every file with its name, follow every reference, and run every network.

    Args:
        zoo: to check.
        on_progress: called with the number of checks done and their total.
    """
    problems: list[str] = []
    tasks = _attempt(problems, "tasks", zoo.tasks) or []
    entries = _attempt(problems, "entries", lambda: zoo.entries(vectors=False)) or []
    _attempt(problems, "transfers", zoo.transfers)
    files = zoo.files.keys()
    checks = _checks(zoo, files, tasks, entries)
    for done, (label, check) in enumerate(checks, 1):
        _attempt(problems, label, check)
        if on_progress is not None:
            on_progress(done, len(checks))
    failed = sum(problem.startswith("entry ") for problem in problems)
    named = {zoo.base, *(entry.weights for entry in entries)}
    named.update(digest for task in tasks for digest in task.files.values())
    unused = tuple(key for key in files if name_of(key)[1] not in named)
    return VerifyReport(len(files), len(entries) - failed, tuple(problems), unused)


def _checks(
    zoo: Zoo, files: Sequence[str], tasks: Sequence[ZooTask], entries: Sequence[ZooEntry]
) -> list[tuple[str, Callable[[], object]]]:
    """What to call, and how to call its problem."""
    classes = {task.name: len(task.classes) for task in tasks}
    checks: list[tuple[str, Callable[[], object]]] = []
    if zoo.base is not None:
        checks.append(("base", zoo.query_network))
    checks += [(key, partial(zoo.files.get, *name_of(key))) for key in files]
    checks += [(f"task {task.name}", partial(_check_task, zoo, task)) for task in tasks]
    # the subnets of one supernet one after another, so that it is unpacked once
    checks += [
        (f"entry {entry.id}", partial(_check_entry, zoo, entry, classes))
        for entry in sorted(entries, key=lambda entry: entry.weights)
    ]
    return checks


def _check_task(zoo: Zoo, task: ZooTask) -> None:
    for folder, digest in task.files.items():
        zoo.files.require(folder, digest)
    if task.sheet is not None:
        zoo.thumbnails(task.name)
    zoo.features(task.name)


@torch.no_grad()
def _check_entry(zoo: Zoo, entry: ZooEntry, classes: Mapping[str, int]) -> None:
    if entry.task not in classes:
        raise ZooError(f"its task {entry.task!r} is not in the zoo; add it or build again")
    grey = torch.full((1, 3, entry.resolution, entry.resolution), 127, dtype=torch.uint8)
    network = zoo.load_entry(entry)
    scores = network(prepare(grey, network.input))  # (1, outputs)
    outputs = classes[entry.task] if zoo.has_head(entry) else 1
    if scores.shape != (1, outputs) or not torch.isfinite(scores).all():
        raise ZooError(
            f"its network gives {tuple(scores.shape)}, expected finite scores of shape "
            f"(1, {outputs}); build its task again"
        )


def _attempt(problems: list[str], label: str, action: Callable[[], T]) -> T | None:
    try:
        return action()
    except TansError as error:
        problems.append(f"{label}: {error}")
        return None
