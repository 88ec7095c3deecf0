"""How much of a whole build is done, so that its remaining time can be told from the beginning.

Work is counted in images that a supernet is trained on. What measuring and distilling cost beside
that was taken from the record of costs of the shipped zoo, and is about the same on any processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tans.build.crew import BuildProgress
from tans.build.settings import BuildSettings, subnets_of
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.zoo.building import has_zoo
from tans.zoo.ids import entry_id
from tans.zoo.zoo import IMAGENET, Zoo

PER_NETWORK, PER_HELD_OUT = 15.0, 0.07
"""Work of measuring a network, and for each image that it is measured on."""
PER_DISTILLED = 0.7
"""Work for each image that an elastic base is distilled on."""
PER_LEARNT = 1.0
"""Work for each image that a generalist learns from, by the passes that it takes."""

Key = tuple[str, str]
"""Task and step."""


def expected_work(
    path: str | Path,
    tasks: Sequence[Task],
    settings: BuildSettings,
    *,
    own_base: bool = False,
    pairs: int | None = None,
) -> dict[Key, float]:
    """Work of each step of a build that is not stored yet.

    Args:
        path: folder or address of the zoo, which may be missing.
        own_base: whether a zoo without a base distils one.
        pairs: networks that are measured in all, at most; all when None.
    """
    zoo = Zoo.open(path) if has_zoo(path) else None
    found: dict[Key, float] = {}
    if own_base and settings.base_weights is None and (zoo is None or zoo.base is None):
        images = sum(min(_images(task), settings.base_images_per_task) for task in tasks)
        found[IMAGENET, "distil"] = PER_DISTILLED * settings.base_recipe.passes(images) * images
        if general := settings.generalist:
            seen = general.steps * min(general.tasks, len(tasks)) * general.images
            found[IMAGENET, "learn"] = PER_LEARNT * seen
    weights = {} if zoo is None else {task.name: task.weights for task in zoo.tasks()}
    stored = set() if zoo is None else {entry.id for entry in zoo.entries(vectors=False)}
    share = 1.0 if pairs is None else min(1.0, pairs / max(1, settings.subnets * len(tasks)))
    for task in tasks:
        if task.name not in weights:
            images = min(_images(task), settings.images_per_task)
            found[task.name, "train"] = float(settings.epochs(images) * images)
        held_out = int((task.splits > 0).sum())
        missing = _missing(task.name, weights.get(task.name), stored, settings)
        found[task.name, "measure"] = missing * share * (PER_NETWORK + PER_HELD_OUT * held_out)
    return found


class Forecast:
    """Adds up what the steps of a build tell, whichever runs when.

    Args:
        work: of each step, as ``expected_work`` gives it.
    """

    def __init__(self, work: Mapping[Key, float]) -> None:
        self._work = dict(work)
        self._done: dict[Key, float] = {}

    def share(self, told: BuildProgress) -> float:
        """Share of the whole that is done, in [0, 1], when a step has told where it is."""
        for task, step in self._work:
            if step == told.step and told.task in (task, ""):
                self._done[task, step] = told.done / told.total
        done = sum(self._done.get(key, 0.0) * work for key, work in self._work.items())
        return done / max(sum(self._work.values()), 1e-9)


def _images(task: Task) -> int:
    """Training images."""
    return task.split_sizes[TRAIN]


def _missing(task: str, weights: str | None, stored: set[str], settings: BuildSettings) -> int:
    """Networks of a task that are not measured."""
    if weights is None:
        return settings.subnets
    drawn = subnets_of(task, settings)
    ids = {entry_id(task, weights, ref) for ref in drawn}
    return len(ids - stored)
