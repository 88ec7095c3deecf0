"""Measure transfer: stored networks on other tasks than their own.

What a user needs to know of a network is how well it does on *their* data after fine-tuning;
these measurements are the only ones in a zoo that say so. A linear probe on frozen features costs
a hundredth of a fine-tune and is taken of every source, and counts as zero epochs. Fine-tunes go
where a user's would: to the sources that the probes put first, some of them in a smaller size,
beside the ImageNet network, the elastic base, and sources drawn at random. Probes read what the
recipe's head reads.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tans.build.crew import BuildProgress, Listener, side_by_side
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.training import ALIKE, RECIPE, Recipe, finetune, probe
from tans.types import Transfer, ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo


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
    higher: int = 1
    """Of the ImageNet network's higher resolutions, drawn at random up to twice the zoo's own, as
    the cost grows with the square."""


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
    zoo.check_writable()
    work = partial(_measure, zoo.path, settings or TransferSettings())
    side_by_side(work, targets, workers, on_progress)
    zoo.compact()


def _measure(
    path: Path, settings: TransferSettings, target: Task, *, on_progress: Listener | None
) -> None:
    zoo = Zoo.open(path)
    sources = Sources.of(zoo)
    own = (target.name, settings.images, settings.recipe.seed)
    stored = [
        t for t in zoo.transfers() if (t.target, t.images, t.seed) == own and t.recipe >= ALIKE
    ]
    probes = {t.source: t.accuracy for t in stored if not t.epochs}
    probed = [e for e in (*sources.largest.values(), *sources.always) if e.task != target.name]
    for count, entry in enumerate(probed, 1):
        if entry.id not in probes:
            measured = _probe(zoo, entry, target, settings)
            probes[entry.id] = measured.accuracy
            zoo.add_transfers([measured])
        _tell(on_progress, target, "probe", count, len(probed))
    train = target.split_sizes[TRAIN]
    epochs = settings.recipe.passes(min(train, settings.images))
    tuned = {t.source for t in stored if t.epochs == epochs}
    chosen = list(dict.fromkeys(_chosen(zoo, sources, probes, target, settings)))
    for count, entry in enumerate(chosen, 1):
        if entry.id not in tuned:
            zoo.add_transfers([_finetune(zoo, entry, target, settings)])
        _tell(on_progress, target, "transfer", count, len(chosen))


def _chosen(
    zoo: Zoo,
    sources: Sources,
    probes: Mapping[str, float],
    target: Task,
    settings: TransferSettings,
) -> Iterable[ZooEntry]:
    """Entries to fine-tune, from the probes and a seed that is the target's own."""
    rng = random.Random(f"{settings.recipe.seed} {target.name}")
    own: dict[str, list[ZooEntry]] = {}
    for entry in zoo.entries(vectors=False):
        own.setdefault(entry.task, []).append(entry)
    largest = {task: e for task, e in sorted(sources.largest.items()) if task != target.name}
    by_probe = sorted(largest, key=lambda task: -probes[largest[task].id])
    first, rest = by_probe[: settings.first], by_probe[settings.first :]
    yield from [sources.base, sources.whole[0], *(largest[task] for task in first)]
    drawn = rng.sample(rest, min(settings.others, len(rest)))
    yield from (rng.choice(own[task]) for task in (*first, *drawn))
    higher = [e for e in sources.whole[1:] if e.resolution <= 2 * zoo.resolution]
    yield from rng.sample(higher, min(settings.higher, len(higher)))


def _probe(zoo: Zoo, entry: ZooEntry, target: Task, settings: TransferSettings) -> Transfer:
    began = time.perf_counter()
    network = zoo.load_entry(entry)
    network.replace_head(len(target.classes), deep=settings.recipe.deep_head)
    accuracy = probe(network, target, settings.images, settings.recipe.seed)
    return _transfer(entry, target, 0, settings, accuracy, time.perf_counter() - began)


def _finetune(zoo: Zoo, entry: ZooEntry, target: Task, settings: TransferSettings) -> Transfer:
    network = zoo.load(entry.id, len(target.classes))
    tuned = finetune(network, target, recipe=settings.recipe, limit=settings.images)
    epochs = tuned.recipe.epochs
    assert epochs is not None  # what was made of the recipe
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
        recipe=RECIPE,
        groups=target.groups_learnt(settings.images, settings.recipe.seed),
    )


def _tell(listener: Listener | None, target: Task, step: str, done: int, total: int) -> None:
    if listener:
        listener(BuildProgress(target.name, step, done, total))
