"""Which images train, validate and test: seeded, stratified, and whole groups at a time.

An image's place depends on the seed and on its own key, never on the order of the input.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tans.errors import TaskError
from tans.tasks.findings import some

SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = range(3)
SHARES = (0.64, 0.16, 0.20)
"""Fractions of a class that go to each of ``SPLITS`` where the user gives none."""


def assign_splits(
    labels: Tensor,
    keys: Sequence[str],
    groups: Sequence[str] | None = None,
    given: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """Index into ``SPLITS`` for each image, uint8 (n,); splits that ``given`` has are kept.

    ``labels`` are int64 (n,), ``keys`` name the images, ``given`` is uint8 (n,). A split that
    nothing is given for is carved from the training images. Each class keeps one training image,
    then gets one for test, then one for validation, as far as its images (or groups) allow.

    Raises:
        TaskError: a group crosses the given splits, or groups leave nothing to test on.
    """
    splits = torch.zeros(len(labels), dtype=torch.uint8) if given is None else given.clone()
    if groups is not None:
        refuse_crossing(groups, splits)
    missing = [split for split in (TEST, VAL) if not bool((splits == split).any())]
    pool = (splits == TRAIN).nonzero().flatten().numpy()  # (m,)
    units = [(keys if groups is None else groups)[index] for index in pool]
    carve = _carve_images if groups is None else _carve_groups
    carved = carve(labels.numpy()[pool], units, missing, seed)  # (m,)
    splits[torch.from_numpy(pool)] = torch.from_numpy(carved)
    if not bool((splits == TEST).any()):
        raise TaskError(
            "the groups leave no image to test on: no class has images in two groups that can be "
            "parted, and copies of an image are one group; add other images, or give smaller "
            "groups or none"
        )
    return splits


def join_groups(
    names: Sequence[str], together: Sequence[Sequence[int] | np.ndarray]
) -> tuple[str, ...]:
    """Groups (n,) with those made one that have rows in the same set.

    Args:
        names: group of each image.
        together: rows of each set.
    """
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for rows in together:
        first, *others = sorted({root(names[row]) for row in rows})
        parent |= dict.fromkeys(others, first)
    return tuple(root(name) for name in names)


def assign_folds(
    labels: Tensor, groups: Sequence[str] | None = None, count: int = 5, seed: int = 0
) -> Tensor:
    """Folds of nearly equal size and classes, int64 (n,); a group lies in one.

    Args:
        labels: int64 (n,).
        groups: per image, what must not be parted; None for images that stand alone.
    """
    units = list(groups or range(len(labels)))
    members: dict[object, list[int]] = {}
    for index, unit in enumerate(units):
        members.setdefault(unit, []).append(index)
    order = list(members.values())
    random.Random(seed).shuffle(order)
    order.sort(key=lambda indices: int(labels[indices].mode().values))
    folds = torch.zeros(len(labels), dtype=torch.int64)
    sizes = [0] * count
    for indices in order:
        smallest = sizes.index(min(sizes))
        folds[indices] = smallest
        sizes[smallest] += len(indices)
    return folds


def check_classes(name: str, classes: Sequence[str]) -> None:
    """Refuse fewer than two classes, or one named twice.

    Raises:
        TaskError: these are no classes to tell apart.
    """
    if len(classes) < 2:
        raise TaskError(
            f"task {name!r} has {len(classes)} class ({', '.join(classes)}); expected at least 2; "
            "add images of another class, or give the folder that holds the class folders"
        )
    if len(set(classes)) < len(classes):
        raise TaskError(
            f"task {name!r} names a class twice in {some(sorted(classes))}; expected once each"
        )


def check_labels(name: str, labels: Tensor, classes: Sequence[str]) -> None:
    """Refuse labels (n,) that do not index ``classes``, or give one fewer than two images.

    Raises:
        TaskError: the labels cannot make a task.
    """
    check_classes(name, classes)
    if labels.dtype != torch.int64 or labels.ndim != 1:
        raise TaskError(
            f"the labels of task {name!r} are {labels.dtype} {tuple(labels.shape)}; "
            "expected int64 with one dimension"
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
        raise TaskError(
            f"the labels of task {name!r} reach from {int(labels.min())} to {int(labels.max())}; "
            f"expected 0 to {len(classes) - 1}, an index into its {len(classes)} classes"
        )
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    few = [f"{c} ({n})" for c, n in zip(classes, counts, strict=True) if n < 2]
    if few:
        raise TaskError(
            f"these classes of task {name!r} have fewer than 2 readable images: {some(few)}; "
            "add images to them, or leave them out"
        )


def check_splits(name: str, labels: Tensor, splits: Tensor, classes: Sequence[str]) -> None:
    """Refuse splits (n,) of another form, or a class without a training image.

    Raises:
        TaskError: the splits cannot make a task.
    """
    if splits.dtype != torch.uint8 or splits.shape != labels.shape:
        raise TaskError(
            f"the splits of task {name!r} are {splits.dtype} {tuple(splits.shape)}; "
            f"expected uint8 ({len(labels)},), one for each image"
        )
    unknown = Counter(splits.tolist()).keys() - set(range(len(SPLITS)))
    if unknown:
        raise TaskError(f"task {name!r} has splits {sorted(unknown)}; expected 0, 1 or 2")
    trained = set(labels[splits == TRAIN].tolist())
    absent = [label for index, label in enumerate(classes) if index not in trained]
    if absent:
        raise TaskError(
            f"these classes of task {name!r} have no training image: {some(absent)}; "
            "move some of their images to train, or leave the classes out"
        )


def group_numbers(groups: Sequence[str] | None, images: int) -> Tensor:
    """A number for each image's group, int64 (images,); each image is its own where None."""
    if groups is None:
        return torch.arange(images)
    numbers: dict[str, int] = {}
    return torch.tensor([numbers.setdefault(group, len(numbers)) for group in groups])


def stratified_subset(
    labels: Tensor, limit: int, seed: int, groups: Tensor | None = None
) -> Tensor:
    """Sorted indices of at most ``limit`` images that keep the classes' proportions, int64 (m,).

    Every class is there as long as ``limit`` is at least their number. What a lower limit keeps,
    a higher one keeps too.

    Args:
        labels: int64 (n,).
        groups: a number for each image's group, int64 (n,): few whole groups are kept, as far as
            the proportions allow, rather than a few images of each; None for images alone.
    """
    ranks, sizes = _shuffled_ranks(labels, seed, groups)
    return (ranks / sizes[labels]).argsort(stable=True)[:limit].sort().values


def balanced_subset(labels: Tensor, limit: int, seed: int) -> Tensor:
    """Sorted indices of at most ``limit`` images, as evenly over classes as they allow, (m,)."""
    ranks, _ = _shuffled_ranks(labels, seed)
    return ranks.argsort(stable=True)[:limit].sort().values


def balanced_draw(labels: Tensor, count: int, seed: int) -> Tensor:
    """Exactly ``count`` indices, classes taking turns, int64 (count,); small classes repeat."""
    ranks, sizes = _shuffled_ranks(labels, seed)
    by_class = (labels * len(labels) + ranks.long()).argsort()  # (n,)
    present = sizes.nonzero().flatten()  # (c,)
    turns = torch.arange(count)
    chosen = present[turns % len(present)]  # (count,)
    starts = sizes.cumsum(0) - sizes
    return by_class[starts[chosen] + turns // len(present) % sizes[chosen]]


def _shuffled_ranks(
    labels: Tensor, seed: int, groups: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Each image's place in a random order of its class, float (n,), and class sizes (c,).

    A random fraction far below the step between ranks breaks ties between classes. Images of one
    of ``groups`` (n,) follow each other, and all classes have the groups in the same order.
    """
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(labels), generator=generator)  # (n,)
    if groups is not None and len(groups):
        places = torch.randperm(int(groups.max()) + 1, generator=generator)[groups]  # (n,)
        shuffled = shuffled[places[shuffled].argsort(stable=True)]
    order = shuffled[labels[shuffled].argsort(stable=True)]  # classes one after another
    sizes = torch.bincount(labels)
    starts = sizes.cumsum(0) - sizes
    ranks = torch.empty(len(labels), dtype=torch.float64)
    ranks[order] = (torch.arange(len(labels)) - starts[labels[order]]).double()
    return ranks + 1e-6 * torch.rand(len(labels), generator=generator, dtype=torch.float64), sizes


def refuse_crossing(groups: Sequence[str], splits: Tensor) -> None:
    """Refuse a group that lies in several of the given splits (n,).

    Raises:
        TaskError: one does.
    """
    home: dict[str, int] = {}
    for group, split in zip(groups, splits.tolist(), strict=True):
        if home.setdefault(group, split) != split:
            raise TaskError(
                f"group {group!r} has images in {SPLITS[home[group]]} and in {SPLITS[split]}; "
                "expected each group in one split; correct the splits, or leave out the groups"
            )


def _draw(seed: int, key: str) -> bytes:
    text = f"{seed}/{key}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _share(split: int, missing: Sequence[int]) -> float:
    """Fraction of the training images that a missing split takes."""
    return SHARES[split] / (SHARES[TRAIN] + sum(SHARES[other] for other in missing))


def _carve_images(
    labels: np.ndarray, keys: Sequence[str], missing: Sequence[int], seed: int
) -> np.ndarray:
    splits = np.zeros(len(labels), dtype=np.uint8)
    draws = [_draw(seed, key) for key in keys]
    order = np.array(sorted(range(len(labels)), key=draws.__getitem__), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        taken = 0
        for turn, split in enumerate(missing):
            if len(members) >= turn + 2:
                count = max(1, round(_share(split, missing) * len(members)))
                splits[members[taken : taken + count]] = split
                taken += count
    return splits


def _carve_groups(
    labels: np.ndarray, groups: Sequence[str], missing: Sequence[int], seed: int
) -> np.ndarray:
    names = sorted(set(groups), key=lambda group: _draw(seed, group))
    place = {name: index for index, name in enumerate(names)}
    unit = np.array([place[group] for group in groups], dtype=np.int64)  # (n,)
    classes = int(labels.max(initial=0)) + 1
    met, sizes = np.unique(unit * classes + labels, return_counts=True)
    carving = _Carving(*np.divmod(met, classes), sizes.astype(np.float64), len(names), {})
    carving.wanted |= {split: _share(split, missing) * carving.held(TRAIN) for split in missing}
    # Every class is covered in both splits before either is filled, else test starves validation.
    for split in missing:
        carving.cover(split)
    for split in missing:
        carving.fill(split)
    return carving.home[unit]


class _Carving:
    """Greedy moves of whole groups out of the training split.

    A table of groups and classes would be large where images are many, and nearly empty.

    Args:
        groups: int64 (k,), sorted, one for each group and class that meet; groups are numbered in
            random order.
        labels: the class, int64 (k,).
        sizes: images that are of both, float (k,).
        count: number of groups.
        wanted: images of each class that a split should get, float (c,).
    """

    def __init__(
        self,
        groups: np.ndarray,
        labels: np.ndarray,
        sizes: np.ndarray,
        count: int,
        wanted: dict[int, np.ndarray],
    ) -> None:
        self.groups, self.labels, self.sizes, self.wanted = groups, labels, sizes, wanted
        self.classes = int(labels.max(initial=0)) + 1
        self.starts = np.searchsorted(groups, np.arange(count + 1))
        self.home = np.zeros(count, dtype=np.uint8)
        """Split of each group, uint8 (g,), changed by the moves."""

    def cover(self, split: int) -> None:
        """Give the split an image of each class, classes of the fewest groups first."""
        met = np.bincount(self.labels, minlength=self.classes)
        for label in met.argsort(kind="stable"):
            held = self.held(split)
            if held[label] == 0:
                having = self.groups[self.labels == label]
                having = having[self._movable()[having]]
                if len(having):
                    distances = self._distance(held + self._rows(having), split)
                    self.home[having[distances.argmin()]] = split

    def fill(self, split: int) -> None:
        """Move each group that brings the split's class counts nearer to its share."""
        held, left = self.held(split), self.held(TRAIN)
        for group in np.flatnonzero(self.home == TRAIN):
            own = slice(self.starts[group], self.starts[group + 1])
            labels, sizes = self.labels[own], self.sizes[own]
            more = held.copy()
            more[labels] += sizes
            spare = (left[labels] > sizes).all()
            if spare and self._distance(more, split) < self._distance(held, split):
                self.home[group] = split
                held = more
                left[labels] -= sizes

    def held(self, split: int) -> np.ndarray:
        """Images of each class that a split has, float (c,)."""
        there = self.sizes * (self.home[self.groups] == split)
        return np.bincount(self.labels, there, minlength=self.classes)

    def _rows(self, groups: np.ndarray) -> np.ndarray:
        """Images of each class in some groups (m,), float (m, c)."""
        place = np.full(len(self.home), -1)
        place[groups] = np.arange(len(groups))
        rows = place[self.groups]  # (k,)
        table = np.zeros((len(groups), self.classes))
        table[rows[rows >= 0], self.labels[rows >= 0]] = self.sizes[rows >= 0]
        return table

    def _movable(self) -> np.ndarray:
        """Training groups without which every class still has a training image, bool (g,)."""
        needed = self.held(TRAIN)[self.labels] <= self.sizes  # (k,)
        needing = np.bincount(self.groups, needed, minlength=len(self.home))
        return (self.home == TRAIN) & (needing == 0)

    def _distance(self, held: np.ndarray, split: int) -> np.ndarray:
        """Squared relative distance of class counts (..., c) from those wanted, (...)."""
        wanted = self.wanted[split]
        # Classes without training images want none, and their distance is 0.
        return np.square((held - wanted) / np.where(wanted > 0, wanted, 1)).sum(-1)
