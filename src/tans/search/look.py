"""A second look at the few best sources: how their features do on the user's own images.

The best of them is looked at in larger sizes too, and so is ImageNet's network: more pixels help
most tasks, and the look tells whether they help this one before anything is trained. The largest
sizes take most of the time, so it ends where more pixels do harm, and numbers have 16 bits there
where this device is faster with these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tans.costs.precision import short_pays
from tans.errors import TaskError
from tans.networks.allocation import memory_kept
from tans.networks.device import CPU, device, several
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.training import Recipe, probe
from tans.types import Images, ZooEntry
from tans.zoo.zoo import Zoo

if TYPE_CHECKING:
    from tans.build.crew import Crew, Listener

IMAGES = 300
"""Of the user's training images, those that are looked at."""
MOST_LARGER = 4
"""Sizes beyond the stored one that the best of the sources is looked at in, at most."""


@dataclass(frozen=True)
class Look:
    """What a look at one source gave."""

    id: str
    """The entry that was probed: the largest network of the source, with ``@`` and a size where
    that is another than the stored one."""
    task: str
    """Source task."""
    resolution: int
    """Pixels a side."""
    accuracy: float
    """Cross-validated, of a linear classifier on the frozen features of all stages, in [0, 1]."""


@dataclass(frozen=True)
class Tried:
    """What came of a network of the catalogue that was fetched and looked at."""

    look: Look
    """The last one."""
    images: int
    """That it was at, at most: more for those that did better."""
    sha256: str
    """Of its file of weights."""
    megabytes: float
    """Of that."""
    seconds: float
    """That fetching it took; 0 for what was here already."""


def second_look(
    task: Task, zoo: Zoo, entries: Sequence[ZooEntry], crew: Crew | None = None
) -> tuple[Look, ...]:
    """Probe stored networks on a task's training images, without training any.

    Args:
        crew: that looks at several side by side; None looks here, at one after another, or on cards
            at as many at once as fit.
    """
    if crew is None:
        found = dict(several(partial(look_at, task, zoo), entries))
        return tuple(found[number] for number in range(len(entries)))
    from tans.build.crew import in_order

    sent = in_memory(task, {entry.resolution for entry in entries})
    return tuple(in_order(crew.each(partial(_look_at, sent, zoo.portable()), entries)))


def _look_at(task: Task, zoo: Zoo, item: ZooEntry, *, on_progress: Listener | None) -> Look:
    """On a worker: a look is one step."""
    del on_progress
    return look_at(task, zoo, item)


@dataclass(frozen=True, eq=False)
class _Sized:
    """Images in memory, in those sizes that will be asked for."""

    sizes: Mapping[int, Tensor]
    """By pixels a side, uint8 (n, 3, r, r)."""

    def at(self, resolution: int, rows: Tensor | None = None) -> Tensor:
        if resolution not in self.sizes:
            known = ", ".join(map(str, sorted(self.sizes)))
            raise TaskError(f"images of {resolution} pixels are not here; expected {known}")
        found = self.sizes[resolution]
        return found if rows is None else found[rows]

    def stored(self, resolution: int, rows: Tensor) -> Images:
        return self.at(resolution, rows)

    def take(self, rows: Tensor) -> _Sized:
        return _Sized({size: images[rows] for size, images in self.sizes.items()})


def in_memory(task: Task, sizes: Iterable[int]) -> Task:
    """What looks see of a task, for a machine that does not see its files.

    Args:
        sizes: pixels a side of the networks that are looked at.
    """
    few = task.limited(IMAGES)  # its training images first
    rows = torch.arange(few.split_sizes[TRAIN])
    images = {size: few.pixels.at(size, rows) for size in sorted(sizes)}
    return replace(few, pixels=_Sized(images), keys=None)


def look_larger(
    task: Task, zoo: Zoo, entries: Sequence[ZooEntry], below: float
) -> tuple[Look, ...]:
    """Probe one network in larger and larger sizes, until one is clearly worse than that before.

    Clearly is by more than one standard error of an accuracy on so many images: a fine-tune may
    gain from more pixels what the probe does not show.

    Args:
        entries: of the network, the smallest size first.
        below: accuracy of the look at it in the size before the first.
    """
    looks: list[Look] = []
    images = min(IMAGES, task.split_sizes[TRAIN])
    for entry in entries[:MOST_LARGER]:
        looks.append(look_at(task, zoo, entry))
        if looks[-1].accuracy < below - math.sqrt(below * (1 - below) / images):
            break
        below = looks[-1].accuracy
    return tuple(looks)


@memory_kept()
def look_at(task: Task, zoo: Zoo, entry: ZooEntry, images: int = IMAGES) -> Look:
    """Probe one network on so many of a task's training images, at most."""
    network = zoo.load_entry(entry)
    network.replace_head(len(task.classes), deep=Recipe.deep_head)
    # of a small one little is won, and the sources are told apart by such
    larger = entry.resolution > zoo.resolution
    short = larger and device() == CPU and short_pays(zoo.base_ref)
    accuracy = probe(network, task, images, short=short)
    return Look(entry.id, entry.task, entry.resolution, accuracy)
