"""Images that an export is checked on, read as the network reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tans.errors import InputError, TaskError
from tans.export.classifier import Classifier, find_files
from tans.networks.features import reference_images
from tans.tasks.check import summary
from tans.tasks.decoding import DETAIL, Picture
from tans.tasks.images import FilePixels, each_picture, resize
from tans.tasks.splits import SPLITS, stratified_subset
from tans.tasks.task import Task

CHECKED, CALIBRATING = 1000, 200
"""Images at most that outputs are compared on, and that ranges of activations are taken from."""
NOUNS = {"test": "test", "val": "validation"}
"""Splits to compare on, the better first, and what their images are called."""


@dataclass(frozen=True, eq=False)
class CheckImages:
    """Images of a network's kind, at the size of its input."""

    images: Tensor
    """To compare outputs on, uint8 (n, 3, r, r)."""
    words: str
    """What these are."""
    calibrating: Tensor
    """To take ranges of activations from, uint8 (m, 3, r, r); not of ``images`` where these are a
    split, or unlabelled and several."""
    labels: Tensor | None = None
    """Of ``images``, int64 (n,), into the network's classes; None where they have none."""
    unlabelled: str = ""
    """Why there are no labels."""
    left_out: int = 0
    """Files that cannot be read."""

    @property
    def told(self) -> tuple[str, ...]:
        """What is odd but was used, a sentence each."""
        unread = f"{self.left_out} images cannot be read" if self.left_out else ""
        return tuple(filter(None, (unread, self.unlabelled)))


def reference_check_images(classifier: Classifier) -> CheckImages:
    """The images that come with tans."""
    images = resize(reference_images(), classifier.resolution)
    return CheckImages(images, f"{len(images)} reference images", images)


def read_check_images(
    classifier: Classifier, paths: Sequence[str | Path], calibrate: bool = False
) -> CheckImages:
    """Images of files and folders; of one dataset of the network's classes also the labels.

    Of the dataset that the network was tuned on, or one with folders for splits, the test split is
    compared on, or else the validation split; of any other all.

    Args:
        calibrate: ranges of activations are taken too, from other images where there are no labels.

    Raises:
        InputError: no image can be read.
    """
    why = "several paths have no labels; expected one dataset of the network's classes"
    if len(paths) == 1:
        try:
            return _labelled(classifier, Task.from_path(paths[0]))
        except TaskError as error:
            why = f"no labels are read: {error}"
    files, _ = find_files(paths)
    images, _ = _read(classifier, _spread(files, CHECKED + CALIBRATING))
    if not len(images):
        raise _none_read(", ".join(map(str, paths)))
    others = min(CALIBRATING, len(images) // 2) if calibrate else 0
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    compared, calibrating = images[order[others:]], images[order[:others]]
    return CheckImages(
        compared,
        f"{len(compared)} images",
        calibrating if others else compared,
        unlabelled=why,
        left_out=min(len(files), CHECKED + CALIBRATING) - len(images),
    )


def _labelled(classifier: Classifier, task: Task) -> CheckImages:
    """Images of a dataset.

    Raises:
        TaskError: it has a class that the network does not know.
        InputError: the network can read none of the images.
    """
    if strange := [name for name in task.classes if name not in classifier.classes]:
        raise TaskError(f"the network knows no class {', '.join(strange[:5])}")
    split = _held_out(task) if _is_split(classifier, task) else None
    own = torch.ones(len(task)) if split is None else task.splits == SPLITS.index(split)
    compared = _drawn(task, own, CHECKED)
    images, read = _pixels(classifier, task, compared)
    if not len(images):
        raise _none_read(f"{task.name} by this network")
    known = torch.tensor([classifier.classes.index(each) for each in task.classes])
    train = _drawn(task, task.splits == SPLITS.index("train"), CALIBRATING)
    calibrating, _ = _pixels(classifier, task, train)
    return CheckImages(
        images,
        f"{len(images)} {'' if split is None else NOUNS[split] + ' '}images of {task.name}",
        calibrating if len(calibrating) else images,
        known[task.labels[compared[read]]],
        left_out=len(compared) - len(images),
    )


def _none_read(where: str) -> InputError:
    return InputError(
        f"no image can be read from {where}; expected images, or folders with some, of the kind "
        "that it learnt from"
    )


def _is_split(classifier: Classifier, task: Task) -> bool:
    """Whether the splits of a dataset are those of the fine-tune, or its own folders.

    Others were drawn just now, and all of it is as new to the network as its test split.
    """
    data = classifier.card.get("data")
    tuned_on = isinstance(data, Mapping) and data.get("classes") == summary(task)["classes"]
    return tuned_on or task.found.layout.startswith("splits")


def _held_out(task: Task) -> str | None:
    """The split to compare on; None for all."""
    return next((name for name in NOUNS if (task.splits == SPLITS.index(name)).any()), None)


def _drawn(task: Task, chosen: Tensor, most: int) -> Tensor:
    """Rows among those chosen (n,), in the proportions of the classes, int64 (m,)."""
    rows = chosen.nonzero().flatten()
    return rows[stratified_subset(task.labels[rows], most, seed=0)]


def _pixels(classifier: Classifier, task: Task, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Images of some rows, uint8 (m, 3, r, r), and places in the rows of those that were read."""
    if isinstance(task.pixels, FilePixels):
        paths = [task.pixels.paths[row] for row in rows.tolist()]
        return _read(classifier, paths)
    return task.pixels.at(classifier.resolution, rows), torch.arange(len(rows))


def _read(classifier: Classifier, paths: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Files by the network's own reading, uint8 (m, 3, r, r), and places of those it can read."""
    size = classifier.resolution
    images = torch.zeros(len(paths), 3, size, size, dtype=torch.uint8)
    read = torch.zeros(len(paths), dtype=torch.bool)

    def render(index: int, picture: Picture) -> None:
        if classifier.reading.knows(picture):
            square = classifier.reading.square(picture, size)  # (r, r, 3)
            images[index], read[index] = torch.from_numpy(square).permute(2, 0, 1), True

    each_picture(paths, render, detail=max(DETAIL, 2 * size))
    return images[read], read.nonzero().flatten()


def _spread(files: Sequence[Path], most: int) -> list[Path]:
    """At most so many of some files, evenly spaced."""
    places = torch.linspace(0, max(0, len(files) - 1), min(most, len(files))).long()
    return [files[place] for place in places.tolist()]
