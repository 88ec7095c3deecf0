"""A task: labelled images, cut into training, validation and test splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Protocol

import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tans.errors import InputError, TaskError
from tans.files import Fields, Manifest, check_file, read_file, replacing, write_file
from tans.licences import UNSTATED
from tans.plugins import is_distant
from tans.tasks.copies import keep_together
from tans.tasks.croissant import is_croissant, read_croissant
from tans.tasks.datasets import read_huggingface, read_torchvision
from tans.tasks.decoding import DAMAGED
from tans.tasks.distant import find_distant
from tans.tasks.findings import Findings, Overrides
from tans.tasks.folder import TABLES, Found, Record, find_images, refuse_file
from tans.tasks.images import THUMBNAIL, ArrayPixels
from tans.tasks.listing import read_table
from tans.tasks.memory import PicturePixels, picture_in_memory
from tans.tasks.reading import Evidence, Reading, find_reading
from tans.tasks.records import read_records
from tans.tasks.shards import is_shards, read_shards
from tans.tasks.splits import (
    SPLITS,
    assign_folds,
    assign_splits,
    balanced_draw,
    balanced_subset,
    check_labels,
    check_splits,
    join_groups,
    stratified_subset,
)
from tans.types import Images

IMAGES, DESCRIPTION = "images.safetensors", "task.json"
"""Files of a saved task."""


@dataclass(frozen=True)
class TaskCard:
    """Where a task's images come from and what may be done with them."""

    source: str
    version: str
    licence: str
    """SPDX expression where there is one."""
    made: str
    """How the images and labels were made."""
    family: str = ""
    """Kind of image, such as ``script`` or ``icons``; families are held out together."""
    notes: str = ""


class Pixels(Protocol):
    """Images that can be had at any resolution."""

    def at(self, resolution: int, rows: Tensor | None = None) -> Tensor:
        """Images of some rows (m,), or all, squeezed to squares of ``resolution`` pixels a side,
        uint8 (m, 3, r, r)."""
        ...

    def stored(self, resolution: int, rows: Tensor) -> Images:
        """As ``at``, of some rows (m,); on the disk where they would take much memory."""
        ...

    def take(self, rows: Tensor) -> Pixels:
        """The images of some rows, int64 (m,)."""
        ...


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled images with fixed splits.

    Raises:
        TaskError: the parts do not fit together, or a class has too few images.
    """

    name: str
    classes: tuple[str, ...]
    pixels: Pixels
    labels: Tensor
    """Index into ``classes``, int64 (n,)."""
    splits: Tensor
    """Index into ``SPLITS``, uint8 (n,)."""
    card: TaskCard
    groups: tuple[str, ...] | None = None
    """Per image, what it must not be parted from; a group lies in one split."""
    found: Findings = field(default_factory=Findings)
    """What was understood of the dataset, and what is odd about it."""
    keys: tuple[str, ...] | None = None
    """Per image, its path below the dataset; None for images that were in memory."""

    def __post_init__(self) -> None:
        check_labels(self.name, self.labels, self.classes)
        check_splits(self.name, self.labels, self.splits, self.classes)
        if self.groups is not None and len(self.groups) != len(self):
            raise TaskError(
                f"task {self.name!r} has {len(self)} images and {len(self.groups)} groups; "
                "expected one group for each image"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def split_sizes(self) -> tuple[int, ...]:
        """Images to train, to validate and to test."""
        return tuple(torch.bincount(self.splits, minlength=len(SPLITS)).tolist())

    @classmethod
    def from_path(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from a folder of class folders, a ``.csv`` file, or a saved task.

        Args:
            overrides: what the user says of the data, over what would be found.

        Raises:
            TaskError: there is nothing at ``path``, or it is no dataset.
        """
        if is_shards(str(path)):
            return cls.from_shards(str(path), name=name, seed=seed, overrides=overrides)
        if is_distant(str(path)):
            return cls.from_address(str(path), name=name, seed=seed, overrides=overrides)
        path = Path(path).expanduser()
        if path.is_dir():
            if (path / "task.json").is_file():
                said = overrides or Overrides()
                if replace(said, licence=None, reading=None) != Overrides():
                    raise TaskError(
                        f"{path} is a saved task, whose images are read already; leave out what "
                        "says how to read them, or give the images"
                    )
                saved = cls.load(path)
                licence = said.licence or saved.card.licence
                return replace(saved, card=replace(saved.card, licence=licence))
            return cls.from_folder(path, name=name, seed=seed, overrides=overrides)
        if path.suffix.lower() in TABLES:
            return cls.from_csv(path, name=name, seed=seed, overrides=overrides)
        if is_croissant(path):
            return cls.from_croissant(path, name=name, seed=seed, overrides=overrides)
        raise refuse_file(path)

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from one folder for each class, perhaps below or above folders for the splits.

        Raises:
            TaskError: the folder is missing, its images cannot make a task, or what its folders
                mean is not clear.
        """
        path = Path(path).expanduser()
        card = TaskCard(path.resolve().name, "", UNSTATED, "read from a folder of class folders")
        return cls._of(find_images(path, overrides), name or card.source, card, seed, overrides)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        root: str | Path | None = None,
        name: str | None = None,
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from a table with the columns path, label and, if wanted, group and split.

        Paths are relative to ``root``, by default the folder of the table.

        Raises:
            TaskError: the table cannot be read, or its images cannot make a task.
        """
        path = Path(path).expanduser()
        card = TaskCard(path.name, "", UNSTATED, "read from a table of paths and labels")
        found = read_table(path, Path(root).expanduser() if root else path.parent, overrides)
        return cls._of(found, name or path.stem, card, seed, overrides)

    @classmethod
    def from_address(
        cls,
        address: str,
        *,
        name: str | None = None,
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from class folders in a store that fsspec reaches, such as ``s3://bucket/photos``.

        Raises:
            TaskError: it cannot be reached, or as ``from_folder``.
        """
        found, own = find_distant(address, overrides), PurePosixPath(address).name
        card = TaskCard(address, "", UNSTATED, "read from class folders in another store")
        return cls._of(found, name or own, card, seed, overrides)

    @classmethod
    def from_shards(
        cls,
        place: str,
        classes: Sequence[str] = (),
        *,
        name: str | None = None,
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from shards of tar, as WebDataset writes them.

        Args:
            place: of one shard, or of several with ``*`` or ``{000..009}``; a path, or an address
                that fsspec reaches. The word that names begin with tells their split.
            classes: names that numbers of classes stand for.

        Raises:
            TaskError: a shard cannot be read, an image has no class, or as ``from_folder``.
        """
        found, own = read_shards(str(place), classes), PurePosixPath(str(place)).stem
        card = TaskCard(own, "", UNSTATED, "read from shards of images")
        return cls._of(found, name or own, card, seed, overrides)

    @classmethod
    def from_croissant(
        cls,
        place: str | Path,
        record_set: str | None = None,
        *,
        name: str | None = None,
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from a dataset that a Croissant file describes, a path or an address.

        Args:
            record_set: name of the set of records; the only one with images when None.

        Raises:
            TaskError: it cannot be read, has no images or classes, or as ``from_folder``.
            MissingExtraError: the library mlcroissant is not installed.
        """
        found, own = read_croissant(str(place), record_set), PurePosixPath(str(place)).stem
        card = TaskCard(str(place), "", found.licence, "read from a Croissant dataset")
        return cls._of(found, name or own, card, seed, overrides)

    @classmethod
    def from_huggingface(
        cls,
        data: Any,
        *,
        image: str | None = None,
        label: str | None = None,
        name: str = "dataset",
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from a ``Dataset`` or a ``DatasetDict`` of Hugging Face's library, or from a name
        that it loads.

        Args:
            image: column of images; the only one when None.
            label: column of classes; the only one when None.

        Raises:
            TaskError: there are no such columns, or as ``from_folder``.
            MissingExtraError: the library is not installed.
        """
        found = read_huggingface(data, image, label)
        name = str(data) if isinstance(data, str | Path) else name
        card = TaskCard(name, "", found.licence, "read from a dataset of the Hugging Face Hub")
        return cls._of(found, name, card, seed, overrides)

    @classmethod
    def from_torchvision(
        cls,
        data: Any,
        classes: Sequence[str] = (),
        *,
        name: str = "dataset",
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from a map-style dataset of pairs of image and class, such as torchvision's.

        Args:
            data: without a transform that makes tensors; or datasets by the name of a split.
            classes: names of the classes; the dataset's own when there are none.

        Raises:
            TaskError: it gives something else, or as ``from_folder``.
        """
        card = TaskCard(name, "", UNSTATED, "read from a dataset of pairs of image and class")
        return cls._of(read_torchvision(data, classes), name, card, seed, overrides)

    @classmethod
    def from_files(
        cls,
        paths: Sequence[str | Path],
        labels: Sequence[str],
        *,
        name: str,
        seed: int = 0,
        overrides: Overrides | None = None,
    ) -> Task:
        """Task from image files and the label of each; the same file may come more than once.

        Raises:
            TaskError: they do not fit together, or the images cannot make a task.
        """
        if len(paths) != len(labels):
            raise TaskError(
                f"{len(paths)} paths came with {len(labels)} labels; expected one for each"
            )
        files = [Path(path).expanduser() for path in paths]
        records = map(Record, map(str, files), files, labels)
        card = TaskCard(name, "", UNSTATED, "read from files with a label each")
        found = Found(tuple(records), f"a list of {len(files)} files")
        return cls._of(found, name, card, seed, overrides)

    @classmethod
    def from_arrays(
        cls,
        name: str,
        images: Tensor,
        labels: Tensor | Sequence[int],
        classes: Sequence[str],
        card: TaskCard,
        groups: Sequence[str] | None = None,
        splits: Tensor | None = None,
        seed: int = 0,
        join_copies: bool = True,
    ) -> Task:
        """Task from images in memory, uint8 (n, 3, h, w), and labels (n,) into ``classes``.

        ``splits`` are uint8 (n,); those that do not occur in it are carved from training.

        Args:
            join_copies: keep copies, exact and near ones, on one side of splits that are carved.

        Raises:
            TaskError: the arrays do not fit together, or a class has too few images.
        """
        labels = torch.as_tensor(labels, dtype=torch.int64)
        parts = [part for part in (images, labels, groups, splits) if part is not None]
        if len({len(part) for part in parts}) > 1:
            raise TaskError(
                f"the images, labels, groups and splits of task {name!r} number "
                f"{', '.join(str(len(part)) for part in parts)}; expected one of each for every "
                "image; give lists of equal length"
            )
        check_labels(name, labels, classes)
        pixels = ArrayPixels(images)
        if join_copies and splits is None:
            groups, found = _with_copies(pixels, labels, groups, Reading())
        else:
            found = Findings()
        splits = assign_splits(labels, _numbered(labels), groups, splits, seed)
        groups = None if groups is None else tuple(groups)
        return cls(name, tuple(classes), pixels, labels, splits, card, groups, found)

    @classmethod
    def from_images(
        cls,
        name: str,
        images: Sequence[Image.Image | NDArray[Any]],
        labels: Tensor | Sequence[int],
        classes: Sequence[str],
        card: TaskCard,
        seed: int = 0,
    ) -> Task:
        """Task from images in memory, of any sizes, and labels (n,) into ``classes``.

        What samples of more than 8 bits mean is found from all images together. Copies, exact and
        near ones, are kept on one side of the splits.

        Args:
            images: those of Pillow, or arrays (h, w), (h, w, 3) or, of 8 bits, (h, w, 4).

        Raises:
            TaskError: they do not fit together, or a class has too few images.
            InputError: one is no image.
        """
        labels = torch.as_tensor(labels, dtype=torch.int64)
        if len(images) != len(labels):
            raise TaskError(
                f"{len(images)} images came with {len(labels)} labels; expected one for each"
            )
        check_labels(name, labels, classes)
        pictures = [picture_in_memory(image) for image in images]
        reading = find_reading(map(Evidence.of, pictures))
        pixels = PicturePixels(pictures, reading)
        groups, found = _with_copies(pixels, labels, None, reading)
        splits = assign_splits(labels, _numbered(labels), groups, seed=seed)
        return cls(name, tuple(classes), pixels, labels, splits, card, groups, found)

    def split(
        self, name: str, resolution: int, limit: int | None = None, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Images uint8 (m, 3, r, r) and labels int64 (m,) of one of ``SPLITS``.

        ``limit`` keeps a random subset of that many, in the proportions of the classes.

        Raises:
            TaskError: there is no split of that name.
        """
        members = self._some(name, limit, seed)
        return self.pixels.at(resolution, members), self.labels[members]

    def stored(
        self, name: str, resolution: int, limit: int | None = None, seed: int = 0
    ) -> tuple[Images, Tensor]:
        """As ``split``; images in files that would take much memory are decoded once, onto the
        disk, and read from there when they are asked for.

        Raises:
            TaskError: there is no split of that name, or the disk has no room.
        """
        members = self._some(name, limit, seed)
        return self.pixels.stored(resolution, members), self.labels[members]

    def sample(self, n: int, resolution: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """At most ``n`` training images uint8 (m, 3, r, r) and labels (m,), balanced by class."""
        members = self._members("train")
        members = members[balanced_subset(self.labels[members], n, seed)]
        return self.pixels.at(resolution, members), self.labels[members]

    def folds(
        self, resolution: int, limit: int | None = None, seed: int = 0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Training images uint8 (m, 3, r, r), labels (m,) and folds (m,) to judge them by.

        No group is parted; ``limit`` keeps a random subset, in the proportions of the classes.
        """
        members = self._some("train", limit, seed)
        groups = self.groups and [self.groups[row] for row in members.tolist()]
        labels = self.labels[members]
        return self.pixels.at(resolution, members), labels, assign_folds(labels, groups, seed=seed)

    def groups_learnt(self, limit: int | None = None, seed: int = 0) -> int:
        """Groups that the training images are of, or those that ``folds`` draws of them."""
        members = self._some("train", limit, seed)
        groups = self.groups
        return len({groups[row] for row in members.tolist()}) if groups else len(members)

    def groups_of(self, split: str) -> int:
        """Groups that the images of a split are of; each is its own where there are none.

        Raises:
            TaskError: there is no split of that name.
        """
        members, groups = self._members(split), self.groups
        return len({groups[row] for row in members.tolist()}) if groups else len(members)

    def limited(self, images: int, seed: int = 0) -> Task:
        """The task with at most so many training images, in the proportions of the classes.

        Validation and test images stay.
        """
        train = self._members("train")
        train = train[stratified_subset(self.labels[train], images, seed)]
        rows = torch.cat([train, self._members("val"), self._members("test")])  # (m,)
        groups = self.groups and tuple(self.groups[row] for row in rows.tolist())
        keys = self.keys and tuple(self.keys[row] for row in rows.tolist())
        return replace(
            self,
            pixels=self.pixels.take(rows),
            labels=self.labels[rows],
            splits=self.splits[rows],
            groups=groups,
            keys=keys,
        )

    def thumbnails(self, n: int = 64, seed: int = 0) -> Tensor:
        """Training images, classes taking turns, uint8 (n, 3, 64, 64); small classes repeat."""
        members = self._members("train")
        members = members[balanced_draw(self.labels[members], n, seed)]
        return self.pixels.at(THUMBNAIL, members)

    def save(self, folder: str | Path, resolution: int | None = None) -> None:
        """Write the task to ``folder`` as a whole or not at all, replacing a saved task there.

        Images in memory are stored as they are; files, or any task with ``resolution`` given,
        are stored as squares of ``resolution`` (64) pixels a side.

        Raises:
            TaskError: the folder holds something else, or cannot be written.
        """
        folder = Path(folder).expanduser().resolve()
        if folder.exists() and not _replaceable(folder):
            raise TaskError(
                f"{folder} is there and is not a saved task; give a new or an empty folder"
            )
        if resolution is None and isinstance(self.pixels, ArrayPixels):
            images = self.pixels.images
        else:
            images = self.pixels.at(resolution or THUMBNAIL)
        tensors = {"images": images.contiguous(), "labels": self.labels, "splits": self.splits}
        stored = _Stored(
            name=self.name,
            classes=self.classes,
            card=self.card,
            groups=self.groups,
            found=self.found,
        )
        try:
            with replacing(folder) as fresh:
                fresh.mkdir()
                save_file(tensors, fresh / IMAGES)
                write_file(fresh / DESCRIPTION, stored.to_bytes())
        except (OSError, SafetensorError) as error:
            raise TaskError(
                f"the task could not be saved to {folder}: {error}; give a folder that can be "
                "written, on a disk with room"
            ) from error

    @classmethod
    def load(cls, folder: str | Path) -> Task:
        """Inverse of ``save``.

        Raises:
            TaskError: there is no saved task, or it is damaged or of another schema.
        """
        folder = Path(folder).expanduser()
        stored = _read_stored(folder)
        try:
            check_file(folder / IMAGES)
            tensors = load_file(folder / IMAGES)
            if len(tensors["images"]) != len(tensors["labels"]):
                raise TaskError(f"{len(tensors['images'])} images, {len(tensors['labels'])} labels")
            return cls(
                stored.name,
                stored.classes,
                ArrayPixels(tensors["images"]),
                tensors["labels"],
                tensors["splits"],
                stored.card,
                stored.groups,
                stored.found,
            )
        except (
            *(OSError, MemoryError, SafetensorError, LookupError, TypeError, ValueError),
            InputError,
        ) as error:
            raise stored.damaged(f"the saved task in {folder}", error) from error

    @classmethod
    def _of(
        cls, found: Found, name: str, card: TaskCard, seed: int, overrides: Overrides | None
    ) -> Task:
        """Task of the files that were found."""
        overrides = overrides or Overrides()
        read = read_records(found, name, overrides, seed)
        card = replace(card, licence=overrides.licence or card.licence)
        parts = (read.pixels, read.labels, read.splits, card, read.groups, read.found, read.keys)
        return cls(name, read.classes, *parts)

    def _some(self, split: str, limit: int | None, seed: int) -> Tensor:
        """Images of a split, or a random subset in the proportions of the classes, (m,)."""
        members = self._members(split)
        if limit is None:
            return members
        return members[stratified_subset(self.labels[members], limit, seed)]

    def _members(self, split: str) -> Tensor:
        if split not in SPLITS:
            raise TaskError(f"split {split!r} was asked for; expected one of {', '.join(SPLITS)}")
        return (self.splits == SPLITS.index(split)).nonzero().flatten()  # (m,)


def _numbered(labels: Tensor) -> list[str]:
    """Keys of images that have no other, in order."""
    return [str(index) for index in range(len(labels))]


def _with_copies(
    pixels: Pixels, labels: Tensor, groups: Sequence[str] | None, reading: Reading
) -> tuple[tuple[str, ...] | None, Findings]:
    """Groups that join copies with those given, and what there is to say of them."""
    keys = _numbered(labels)
    copies, told = keep_together(pixels.at(THUMBNAIL), labels.tolist())
    named = tuple(tuple(keys[row] for row in rows) for rows in copies)
    if copies:
        groups = join_groups(groups or keys, copies)
    joined = None if groups is None else tuple(groups)
    return joined, Findings(reading=reading, copies=named, remarks=tuple(told))


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / DESCRIPTION).is_file() or not any(folder.iterdir()))


def _first_to_second(fields: Fields) -> Fields:
    """The first version only listed files that were left out."""
    skipped = fields.pop("skipped")
    return {**fields, "found": {"left_out": {DAMAGED: skipped} if skipped else {}}}


class _Stored(Manifest):
    """What ``task.json`` says."""

    SCHEMA = 2
    MIGRATIONS: ClassVar = {1: _first_to_second}
    ERROR = TaskError
    REMEDY = "make the task again"

    name: str
    classes: tuple[str, ...]
    card: TaskCard
    groups: tuple[str, ...] | None
    found: Findings


def _read_stored(folder: Path) -> _Stored:
    try:
        data = read_file(folder / DESCRIPTION)
    except OSError as error:
        raise TaskError(
            f"no saved task can be read from {folder}: {error}; expected a folder written by "
            f"Task.save, with {DESCRIPTION} and {IMAGES}"
        ) from error
    return _Stored.parse(data, f"the saved task in {folder}")
