"""Measure transfer: stored networks on other tasks than their own.

What a user needs to know of a network is how well it does on *their* data after fine-tuning;
these measurements are the only ones in a zoo that say so. A linear probe on frozen features costs
a hundredth of a fine-tune and is taken of every source, and counts as zero epochs. Fine-tunes go
where a user's would: to the sources that the probes put first, some of them in a smaller size,
beside the ImageNet network, the elastic base, and sources drawn at random.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tans.spaces.embedding import image_features
from tans.spaces.probe import probe_accuracy
from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.types import Transfer, ZooEntry
from tans.zoo.store import IMAGENET, Zoo
from tans.zoo.workers import BuildProgress, Listener, side_by_side


@dataclass(frozen=True)
class TransferSettings:
    """What to measure of each target task."""

    recipe: Recipe = field(default_factory=Recipe)
    images: int = 200
    """Training images at most, a stratified draw."""
    first: int = 2
    """Sources that the probes put first: the largest network of each, and one at random."""
    others: int = 2
    """Further sources at random, one random network of each."""


def measure_transfers(
    zoo: Zoo,
    targets: Sequence[Task],
    settings: TransferSettings | None = None,
    *,
    workers: int = 1,
    on_progress: Listener | None = None,
) -> None:
    """Probe every source on every target, then fine-tune some; what is stored is not done again.

    Args:
        targets: tasks to measure on; a task is no source for itself.
        workers: processes that measure targets side by side.
        on_progress: told after every probe and every fine-tune.
    """
    work = partial(_measure, zoo.path, settings or TransferSettings())
    side_by_side(work, targets, workers, on_progress)
    zoo.compact()


def largest_entries(zoo: Zoo) -> dict[str, ZooEntry]:
    """The largest network of each source task; of ``imagenet``, the elastic base."""
    entries = sorted(zoo.entries(vectors=False), key=lambda e: (e.params, e.weights == zoo.base))
    return {entry.task: entry for entry in entries}


def whole_imagenet(zoo: Zoo) -> list[ZooEntry]:
    """The published ImageNet network, an entry for each resolution, in their order."""
    own = [e for e in zoo.entries(vectors=False) if e.task == IMAGENET and e.weights != zoo.base]
    return sorted(own, key=lambda entry: entry.resolution)


def _measure(
    path: Path, settings: TransferSettings, target: Task, *, on_progress: Listener | None
) -> None:
    zoo = Zoo.open(path)
    probed = [e for t, e in largest_entries(zoo).items() if t != target.name] + whole_imagenet(zoo)
    for count, entry in enumerate(probed, 1):
        if _missing(zoo, entry, target, 0, settings):
            zoo.add_transfers([_probe(zoo, entry, target, settings)])
        _tell(on_progress, target, "probe", count, len(probed))
    chosen = list(dict.fromkeys(_chosen(zoo, target, settings)))
    for count, entry in enumerate(chosen, 1):
        if _missing(zoo, entry, target, settings.recipe.epochs, settings):
            zoo.add_transfers([_finetune(zoo, entry, target, settings)])
        _tell(on_progress, target, "transfer", count, len(chosen))


def _chosen(zoo: Zoo, target: Task, settings: TransferSettings) -> Iterable[ZooEntry]:
    """Entries to fine-tune, from the probes and a seed that is the target's own."""
    rng = random.Random(f"{settings.recipe.seed} {target.name}")
    largest = largest_entries(zoo)
    probes = {
        t.source: t.accuracy for t in zoo.transfers() if not t.epochs and t.target == target.name
    }
    own: dict[str, list[ZooEntry]] = {}
    for entry in zoo.entries(vectors=False):
        own.setdefault(entry.task, []).append(entry)
    sources = sorted(set(largest) - {target.name, IMAGENET}, key=lambda s: -probes[largest[s].id])
    first, rest = sources[: settings.first], sources[settings.first :]
    yield from [largest[IMAGENET], whole_imagenet(zoo)[0], *(largest[source] for source in first)]
    drawn = rng.sample(rest, min(settings.others, len(rest)))
    yield from (rng.choice(own[source]) for source in (*first, *drawn))


def _probe(zoo: Zoo, entry: ZooEntry, target: Task, settings: TransferSettings) -> Transfer:
    began = time.perf_counter()
    images, labels, folds = target.folds(entry.resolution, settings.images, settings.recipe.seed)
    accuracy = probe_accuracy(
        image_features(zoo.load(entry.id, len(target.classes)), images), labels, folds
    )
    return _transfer(entry, target, 0, settings, accuracy, time.perf_counter() - began)


def _finetune(zoo: Zoo, entry: ZooEntry, target: Task, settings: TransferSettings) -> Transfer:
    network = zoo.load(entry.id, len(target.classes))
    tuned = finetune(network, target, entry.resolution, settings.recipe, limit=settings.images)
    epochs = settings.recipe.epochs
    return _transfer(entry, target, epochs, settings, tuned.test_accuracy, tuned.seconds)


def _transfer(
    entry: ZooEntry,
    target: Task,
    epochs: int,
    settings: TransferSettings,
    accuracy: float,
    seconds: float,
) -> Transfer:
    return Transfer(
        source=entry.id,
        target=target.name,
        epochs=epochs,
        images=settings.images,
        accuracy=accuracy,
        seed=settings.recipe.seed,
        seconds=seconds,
    )


def _missing(
    zoo: Zoo, entry: ZooEntry, target: Task, epochs: int, settings: TransferSettings
) -> bool:
    key = (entry.id, target.name, epochs, settings.images, settings.recipe.seed)
    return key not in {(t.source, t.target, t.epochs, t.images, t.seed) for t in zoo.transfers()}


def _tell(listener: Listener | None, target: Task, step: str, done: int, total: int) -> None:
    if listener:
        listener(BuildProgress(target.name, step, done, total))
