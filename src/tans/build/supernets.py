"""The supernet of each task, and how supernets are trained.

References:
    Yu et al., BigNAS, ECCV 2020 (the sandwich rule).
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.build.checkpoints import Checkpoint, checkpoint, forget
from tans.build.crew import BuildProgress, Listener
from tans.build.packing import Tensors, pack, unpack
from tans.build.settings import BuildSettings
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
from tans.zoo.rows import StepCost, ZooTask
from tans.zoo.zoo import QUERY_IMAGES, Zoo

FULL_EVERY = 4
"""While distilling, the largest network is trained every this many steps; it costs the most."""
TRIED_CLASSES = 10
"""Of a supernet that is trained to see how much memory it takes."""
SPREAD_FLOOR = 0.05
"""Added to the spread of a teacher's feature, so that features that rarely fire do not rule."""


@dataclass(frozen=True)
class Lesson:
    """What a supernet learns from, and what of it stays in a zoo: sent to whoever trains it."""

    task: str
    classes: tuple[str, ...]
    card: Mapping[str, str]
    images: Tensors | str
    """``train`` uint8 (n, 3, r, r) and ``train_labels`` (n,), ``query`` and ``query_labels``, and
    ``thumbnails`` (64, 3, 64, 64); or the key at the zoo's address that they lie under."""

    @classmethod
    def of(cls, task: Task, settings: BuildSettings) -> Lesson:
        """What the settings ask for of a task."""
        size, seed = settings.resolution, settings.seed
        train, train_labels = task.split("train", size, settings.images_per_task, seed)
        query, query_labels = task.sample(QUERY_IMAGES, size, seed)
        tensors = {
            "train": train,
            "train_labels": train_labels,
            "query": query,
            "query_labels": query_labels,
            "thumbnails": task.thumbnails(64, seed),
        }
        return cls(task.name, task.classes, asdict(task.card), tensors)

    def sent_by(self, zoo: Zoo) -> Lesson:
        """The same, with the images at the zoo's address, if it has one.

        Raises:
            ZooError: it cannot be reached or written.
        """
        if zoo.address is None or isinstance(self.images, str):
            return self
        return replace(self, images=pack(zoo.files.blobs, self.images))

    def tensors(self, zoo: Zoo) -> Tensors:
        """The images and labels, wherever they lie.

        Raises:
            ZooError: they cannot be read.
        """
        if isinstance(self.images, str):
            return unpack(zoo.files.blobs, self.images)
        return self.images


@dataclass(frozen=True)
class Learnt:
    """A supernet whose files are stored, and whose rows are not."""

    task: ZooTask
    cost: StepCost

    def add(self, zoo: Zoo) -> None:
        """Add its rows, and forget its checkpoint.

        Raises:
            ZooError: the zoo cannot be written.
        """
        zoo.costs.add([self.cost])  # first: a supernet that is stored is not trained again
        zoo.put_task(self.task)
        forget(zoo, self.task.name)


def add_supernet(
    zoo: Zoo, settings: BuildSettings, task: Task, on_progress: Listener | None
) -> None:
    """Train and store a task's supernet, unless it is stored."""
    if task.name not in {stored.name for stored in zoo.tasks()}:
        learn(zoo, settings, task, on_progress=on_progress).add(zoo)


def learn(
    zoo: Zoo, settings: BuildSettings, given: Task | Lesson, *, on_progress: Listener | None
) -> Learnt:
    """Train a task's supernet and store its files, on any machine that sees these.

    Raises:
        ZooError: the zoo cannot be read or written.
    """
    began = time.perf_counter()
    lesson = given if isinstance(given, Lesson) else Lesson.of(given, settings)
    tensors, seed = lesson.tensors(zoo), settings.recipe.seed
    supernet = Supernet(ELASTIC.space(settings.space), len(lesson.classes), settings.resolution)
    supernet.full.load_weights(without_head(zoo.base_state()), strict=False)
    supernet.full.replace_head(len(lesson.classes), seed)
    count = len(tensors["train"])
    recipe = replace(settings.recipe, epochs=settings.epochs(count))
    with checkpoint(zoo, lesson.task) as kept:
        tell = epoch_listener(lesson.task, "train", settings.epochs(count), on_progress, kept)
        images, labels = tensors["train"], tensors["train_labels"]
        train_supernet(supernet, images, labels, recipe, tell, kept.path)
    task = zoo.store_task(
        lesson.task,
        classes=lesson.classes,
        card=lesson.card,
        thumbnails=tensors["thumbnails"],
        features=(image_features(zoo.query_network(), tensors["query"]), tensors["query_labels"]),
        weights=zoo.add_weights(supernet.full.weights(), base=zoo.base),
        train_images=count,
        cost_s=time.perf_counter() - began,
    )
    return Learnt(task, StepCost(task.name, "train", count, round(task.cost_s, 1)))


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


def epoch_listener(
    task: str, step: str, epochs: int, on_progress: Listener | None, kept: Checkpoint
) -> EpochListener:
    """Tells of each epoch of a step, and sends what was kept of it."""

    def listen(epoch: int, _: float) -> None:
        kept.sync()
        if on_progress:
            on_progress(BuildProgress(task, step, epoch, epochs))

    return listen


def _subnet(space: Specification, *seed: int) -> Architecture:
    return space.sample(random.Random(repr(seed)))


def _distilled(space: Specification, seed: int, step: int) -> tuple[Architecture, ...]:
    """The smallest, one at random, and now and then the largest, else another at random."""
    last = space.largest if step % FULL_EVERY == 0 else _subnet(space, seed, step, 1)
    return space.smallest, _subnet(space, seed, step, 0), last
