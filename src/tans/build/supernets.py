"""The supernet of each task, and how supernets are trained.

References:
    Yu et al., BigNAS, ECCV 2020 (the sandwich rule).
"""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.build.crew import BuildProgress, Listener
from tans.build.settings import BuildSettings
from tans.build.spending import log_since
from tans.files import alone
from tans.networks.device import CONTEXT_BYTES, at_once, device, devices, peak_of
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.specification import Specification
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.features import image_features
from tans.networks.network import Network, without_head
from tans.tasks.task import Task
from tans.training import EpochListener, Loop, Recipe, sgd
from tans.types import Architecture
from tans.zoo.zoo import QUERY_IMAGES, Zoo

FULL_EVERY = 4
"""While distilling, the largest network is trained every this many steps; it costs the most."""
TRIED_CLASSES = 10
"""Of a supernet that is trained to see how much memory it takes."""
SPREAD_FLOOR = 0.05
"""Added to the spread of a teacher's feature, so that features that rarely fire do not rule."""


def ensure_supernet(
    path: Path, settings: BuildSettings, task: Task, *, on_progress: Listener | None
) -> None:
    """Train and store a task's supernet, unless it is stored; on any node that sees the zoo."""
    with turn(path, task.name, on_progress):
        add_supernet(path, settings, task, on_progress)


def add_supernet(
    path: Path, settings: BuildSettings, task: Task, on_progress: Listener | None
) -> None:
    """As ``ensure_supernet``, in this task's turn."""
    zoo = Zoo.open(path)
    if task.name not in {stored.name for stored in zoo.tasks()}:
        _add_supernet(zoo, task, settings, on_progress)


def turn(path: Path, task: str, on_progress: Listener | None) -> AbstractContextManager[object]:
    """Work on a task of the zoo in a folder alone; other builds wait, and tell that they do."""

    def wait() -> None:
        if on_progress:
            on_progress(BuildProgress(task, "wait for another build", 0, 1))

    return alone(path / f"{task}.turn", wait)


def train_supernet(
    supernet: Supernet,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    on_epoch: EpochListener | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Fine-tune a supernet in place by the sandwich rule: largest, smallest, one at random.

    Args:
        images: uint8 (n, 3, r, r).
        labels: int64 (n,), below the number of classes of the supernet's head.
        on_epoch: told the epoch, from 1, and the mean loss.
        checkpoint: file from which a stopped training goes on; the caller deletes it.
    """
    space = supernet.space

    def loss(x: Tensor, y: Tensor, step: int) -> Tensor:
        members = (space.largest, space.smallest, _subnet(space, recipe.seed, step))
        return sum((F.cross_entropy(supernet(x, m), y) for m in members), x.new_zeros(()))

    supernet.to(device()).to(memory_format=torch.channels_last)
    loop = Loop(supernet, supernet.input, sgd(supernet, recipe), recipe, checkpoint)
    loop.minimise(loss, images, labels, on_epoch)
    supernet.eval()


def distil(
    supernet: Supernet,
    teacher: Network,
    images: Tensor,
    recipe: Recipe,
    on_epoch: EpochListener | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Make a supernet's slices compute what the whole network computes, in place.

    Each slice learns the teacher's features, standardised, and its class probabilities; the
    head stays the teacher's.

    Args:
        images: uint8 (n, 3, r, r), any images of the kind the supernet will see.
        on_epoch: told the epoch, from 1, and the mean loss.
        checkpoint: file from which a stopped training goes on; the caller deletes it.
    """
    space = supernet.space
    supernet.to(device()).to(memory_format=torch.channels_last)
    supernet.full.classifier.requires_grad_(False)
    teacher = teacher.to(device()).to(memory_format=torch.channels_last).eval()

    def loss(x: Tensor, _: Tensor, step: int) -> Tensor:
        with torch.no_grad():
            target = teacher.features(x)  # (n, features)
            classes = teacher.classifier(target).softmax(1)  # (n, 1000)
        spread = target.std(0) + SPREAD_FLOOR  # (features,)
        total = x.new_zeros(())
        for member in _distilled(space, recipe.seed, step):
            features = supernet.features(x, member)
            total = total + ((features - target) / spread).square().mean()
            scores = supernet.classify(features)
            total = total + F.kl_div(scores.log_softmax(1), classes, reduction="batchmean")
        return total

    weights = [p for p in supernet.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, recipe.learning_rate, weight_decay=recipe.weight_decay)
    unlabelled = torch.zeros(len(images), dtype=torch.int64)
    loop = Loop(supernet, supernet.input, optimiser, recipe, checkpoint)
    loop.minimise(loss, images, unlabelled, on_epoch)
    supernet.full.classifier.requires_grad_(True)
    supernet.eval()


def trained_at_once(workers: int, settings: BuildSettings) -> int:
    """How many of so many supernets the cards' memory holds, as one step of training shows.

    All of them, where they are not trained on cards.
    """
    cards, recipe = devices(), replace(settings.recipe, epochs=1)
    if workers <= 1 or cards[0].type != "cuda":
        return workers
    images = torch.zeros(recipe.batch_size, 3, settings.resolution, settings.resolution)
    labels = torch.arange(len(images)) % TRIED_CLASSES

    def step() -> None:
        supernet = Supernet(ELASTIC.space(settings.space), TRIED_CLASSES, settings.resolution)
        train_supernet(supernet, images.to(torch.uint8), labels, recipe)

    _, each = peak_of(step, cards[0])
    return min(workers, sum(at_once(each + CONTEXT_BYTES, card) for card in cards))


def checkpoint_of(zoo: Zoo, task: str) -> Path:
    """Where a stopped training of this task goes on; gone when it ends."""
    return zoo.path / f"{task}.checkpoint"


def epoch_listener(
    task: str, step: str, epochs: int, on_progress: Listener | None
) -> EpochListener:
    """Tells of each epoch of a step."""

    def listen(epoch: int, _: float) -> None:
        if on_progress:
            on_progress(BuildProgress(task, step, epoch, epochs))

    return listen


def _add_supernet(
    zoo: Zoo, task: Task, settings: BuildSettings, on_progress: Listener | None
) -> None:
    began = time.perf_counter()
    supernet = Supernet(ELASTIC.space(settings.space), len(task.classes), settings.resolution)
    supernet.full.load_weights(without_head(zoo.base_state()), strict=False)
    supernet.full.replace_head(len(task.classes), settings.recipe.seed)
    limit = settings.images_per_task
    images, labels = task.split("train", settings.resolution, limit, settings.seed)
    epochs = settings.epochs(len(images))
    recipe = replace(settings.recipe, epochs=epochs)
    on_epoch = epoch_listener(task.name, "train", epochs, on_progress)
    checkpoint = checkpoint_of(zoo, task.name)
    train_supernet(supernet, images, labels, recipe, on_epoch, checkpoint)
    query_images, query_labels = task.sample(QUERY_IMAGES, settings.resolution, settings.seed)
    zoo.add_task(
        task.name,
        classes=task.classes,
        card=asdict(task.card),
        thumbnails=task.thumbnails(64, settings.seed),
        features=(image_features(zoo.query_network(), query_images), query_labels),
        weights=zoo.add_weights(supernet.full.weights(), base=zoo.base),
        train_images=len(images),
        cost_s=log_since(zoo, task.name, "train", len(images), began),
    )
    checkpoint.unlink(missing_ok=True)


def _subnet(space: Specification, *seed: int) -> Architecture:
    return space.sample(random.Random(repr(seed)))


def _distilled(space: Specification, seed: int, step: int) -> tuple[Architecture, ...]:
    """The smallest, one at random, and now and then the largest, else another at random."""
    last = space.largest if step % FULL_EVERY == 0 else _subnet(space, seed, step, 1)
    return space.smallest, _subnet(space, seed, step, 0), last
