"""Measure transfer: stored networks fine-tuned on other tasks than their own.

What a user needs to know of a network is how well it does on *their* data after fine-tuning;
these measurements are the only ones in a zoo that say so.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tans.tasks.task import Task
from tans.training import Recipe, finetune
from tans.types import Transfer, ZooEntry
from tans.zoo.build import BuildProgress, Listener
from tans.zoo.store import Zoo


def measure_transfers(
    zoo: Zoo,
    targets: Sequence[Task],
    *,
    recipe: Recipe | None = None,
    images: int = 200,
    on_progress: Listener | None = None,
) -> None:
    """Fine-tune one network of every source task on every other task, and store how it did.

    Which network, is drawn from the recipe's seed. What is stored already is not done again.

    Args:
        targets: tasks to fine-tune on.
        images: training images at most, a stratified draw.
        on_progress: told after every fine-tune.
    """
    recipe = recipe or Recipe()
    done = {(t.source, t.target, t.epochs, t.images, t.seed) for t in zoo.transfers()}
    pairs = [
        (entry, target)
        for target in targets
        for entry in _sources(zoo, target, recipe.seed)
        if (entry.id, target.name, recipe.epochs, images, recipe.seed) not in done
    ]
    for count, (entry, target) in enumerate(pairs, 1):
        tuned = finetune(zoo.load(entry.id), target, entry.resolution, recipe, limit=images)
        measured = Transfer(
            source=entry.id,
            target=target.name,
            epochs=recipe.epochs,
            images=images,
            accuracy=tuned.test_accuracy,
            seed=recipe.seed,
        )
        zoo.add_transfers([measured])
        if on_progress:
            on_progress(BuildProgress(target.name, "transfer", count, len(pairs)))
    zoo.compact()


def _sources(zoo: Zoo, target: Task, seed: int) -> list[ZooEntry]:
    """A random entry of every source task but the target itself."""
    by_task: dict[str, list[ZooEntry]] = {}
    for entry in zoo.entries(vectors=False):
        by_task.setdefault(entry.task, []).append(entry)
    rng = random.Random(f"{seed} {target.name}")
    return [rng.choice(by_task[task]) for task in sorted(by_task) if task != target.name]
