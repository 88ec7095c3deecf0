"""A second look at the few best sources: how their features do on the user's own images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tans.tasks.task import Task
from tans.training import Recipe, probe
from tans.types import ZooEntry
from tans.zoo.zoo import Zoo

IMAGES = 300
"""Of the user's training images, those that are looked at."""


@dataclass(frozen=True)
class Look:
    """What a look at one source gave."""

    id: str
    """The entry that was probed: the largest network of the source."""
    task: str
    """Source task."""
    resolution: int
    """Pixels a side."""
    accuracy: float
    """Cross-validated, of a linear classifier on the frozen features of all stages, in [0, 1]."""


def second_look(task: Task, zoo: Zoo, entries: Sequence[ZooEntry]) -> tuple[Look, ...]:
    """Probe stored networks on a task's training images, without training any."""
    return tuple(_look(task, zoo, entry) for entry in entries)


def _look(task: Task, zoo: Zoo, entry: ZooEntry) -> Look:
    network = zoo.load_entry(entry)
    network.replace_head(len(task.classes), deep=Recipe.deep_head)
    accuracy = probe(network, task, IMAGES)
    return Look(entry.id, entry.task, entry.resolution, accuracy)
