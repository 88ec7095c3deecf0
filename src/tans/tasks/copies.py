"""Find images that show the same, exactly or nearly: copies, resized, stored anew, brightened.

A perceptual hash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010)
names the candidates, and their grey pictures decide: digits and letters have hashes that differ
little and are not the same. How near is near depends on the picture. Where it is full of detail,
shrinking it moves it far and others lie farther still; where it is smooth, others are near.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import imagehash
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tans.tasks.images import READER
from tans.tasks.stored import StoredImages, numbers_of
from tans.tasks.watching import COMPARING, tell
from tans.types import Images

HASH_BITS = 10
"""Of 64, those in which the hashes of copies may differ."""
GRID = 16
"""Pixels a side of the grey pictures that are compared."""
COLOUR_GRID = 4
COLOUR_LEVELS = 24.0
"""By which the mean colours of a part of copies may differ, of 255."""
SHRUNK = 0.625
"""A picture is shrunk by this to learn how far that moves it."""
LEAST, MOST, STEEP = 0.04, 0.3, 4.5
"""Distance of grey pictures of length 1 up to which they are near: ``STEEP`` times the square of
how far shrinking moves one of them, between the other two. Chosen on packaged tasks, where less
than a hundredth of the images of any is joined to one that is no copy to the eye."""
FLAT = 2.0
"""Levels of 255 by which a picture must vary, to be near another rather than equal."""
PALER = 0.85
"""Contrast of a copy, at least, as a share of the other's: a thin letter is none of a bold one."""
ROWS = 512
"""Images that are looked at, and compared with others, at a time."""
ACROSS = 8192
"""Others that they are compared with at a time, which a processor's cache holds."""
PAIRS = 20_000
"""Candidates that are decided on at a time."""
EDGES = 2_000_000
"""Pairs of near images that are held; of more, as many as tell the same sets."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


def keep_together(
    images: Images, labels: Sequence[object]
) -> tuple[list[NDArray[np.int64]], list[str]]:
    """Sets of copies to keep on one side of each split, and what to say where that cannot be.

    Each image of a slow film is nearly equal to the next; together they leave nothing to test on.

    Args:
        images: uint8 (n, 3, r, r).
        labels: of each image; whole classes of copies are not kept together.

    Returns:
        Rows of each set of more than one image, in order of the first.
    """
    near = find_copies(images)
    if _leaves_choice(near, labels):
        return _several(near), []
    equal = find_copies(images, exact=True)
    if _leaves_choice(equal, labels):
        told = (
            "every image is nearly equal to others of its class, as in a film, so that equal ones "
            "alone are kept together: accuracies are too high unless groups are given"
        )
        return _several(equal), [told]
    return [], ["all images of each class are copies of one: accuracies mean nothing"]


def find_copies(images: Images, exact: bool = False) -> NDArray[np.int64]:
    """Number of the set of copies that each image belongs to, (n,); most are alone in theirs.

    Args:
        images: uint8 (n, 3, r, r).
        exact: whether images must be equal.
    """
    if len(images) < 2:
        return np.arange(len(images))
    if isinstance(images, StoredImages):
        what = f"copies {READER} {exact}"
        return numbers_of(images, what, lambda: _sets(images, exact))
    return _sets(images, exact)


def _sets(images: Images, exact: bool) -> NDArray[np.int64]:
    """As ``find_copies``, of more than one image."""
    digests = np.concatenate([_digests(part) for part in images.split(ROWS)])
    _, first, equal = np.unique(digests, return_index=True, return_inverse=True)
    if exact:
        return equal.astype(np.int64)
    one, other = _near(images, np.sort(first))  # one image of each that differ in any byte
    return _joined(one, other, len(images))[first][equal].astype(np.int64)


def _joined(one: NDArray[np.int64], other: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Number of the set that each of n images belongs to, (n,), where pairs are joined."""
    if not len(one):
        return np.arange(n)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(one)), (one, other)), shape=(n, n))
    return connected_components(edges, directed=False)[1]


def _several(sets: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of each set of more than one."""
    order = sets.argsort(kind="stable")
    _, starts = np.unique(sets[order], return_index=True)
    return sorted((rows for rows in np.split(order, starts[1:]) if len(rows) > 1), key=min)


def _leaves_choice(sets: NDArray[np.int64], labels: Sequence[object]) -> bool:
    """Whether some label has images in two sets, so that one of them can be held out."""
    home: dict[object, int] = {}
    return any(
        home.setdefault(label, number) != number
        for label, number in zip(labels, sets.tolist(), strict=True)
    )


def _digests(images: Tensor) -> NDArray[np.void]:
    """Of each image a value that no other image has, (n,)."""
    flat = images.flatten(1).numpy()
    return np.array(
        [hashlib.blake2b(row, digest_size=16).digest() for row in flat], np.dtype("V16")
    )


def _near(images: Images, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of images that are nearly the same, of some rows (m,) in order, as two lists of rows.

    Not all such pairs, where they are many, but as many as tell which are in one set.
    """
    hashes, (grey, contrast, colours, tolerance) = _looked(images, rows)
    edges = _Edges(len(rows))
    for one, other in _candidates(hashes):
        near = (grey[one] - grey[other]).norm(dim=1) <= torch.maximum(
            tolerance[one], tolerance[other]
        )
        less = torch.minimum(contrast[one], contrast[other])
        near &= (less >= FLAT) & (less >= PALER * torch.maximum(contrast[one], contrast[other]))
        near &= (colours[one] - colours[other]).abs().amax(1) <= COLOUR_LEVELS
        edges.add(one[near.numpy()], other[near.numpy()])
    one, other = edges.all()
    return rows[one], rows[other]


class _Edges:
    """Pairs of so many things, of which no more are held than tell the sets that they make."""

    def __init__(self, things: int) -> None:
        self._things, self._count = things, 0
        self._held: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def add(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
        """Take pairs in, as two lists (p,)."""
        if len(one):
            self._held.append((one, other))
            self._count += len(one)
        if self._count > max(EDGES, 2 * self._things):
            self._held = [self._fewest()]
            self._count = len(self._held[0][0])

    def all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs that make the sets, as two lists."""
        empty = np.empty(0, np.int64)
        ones, others = zip((empty, empty), *self._held, strict=True)
        return np.concatenate(ones), np.concatenate(others)

    def _fewest(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each thing of a set with the set's first."""
        one, other = self.all()
        sets = _joined(one, other, self._things)
        _, first = np.unique(sets, return_index=True)
        things, firsts = np.arange(self._things), first[sets]
        joined = things != firsts
        return things[joined], firsts[joined]


def _looked(
    images: Images, rows: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], tuple[Tensor, Tensor, Tensor, Tensor]]:
    """What images of some rows (m,) are compared by: hashes (m,); grey pictures (m, g) and their
    contrast (m,), mean colours (m, 3 c), and how far a copy may lie (m,)."""
    m = len(rows)
    hashes, grey, contrast = np.empty(m, np.uint64), torch.empty(m, GRID**2), torch.empty(m)
    colours, tolerance = torch.empty(m, 3 * COLOUR_GRID**2), torch.empty(m)
    for start in range(0, m, ROWS):
        at = slice(start, min(start + ROWS, m))
        part = images[torch.from_numpy(rows[at])]
        hashes[at] = _hashes(part)
        grey[at], contrast[at] = _grey(part)
        colours[at], tolerance[at] = _shrunk(part, COLOUR_GRID), _tolerance(part, grey[at])
        tell(COMPARING, at.stop, m)
    return hashes, (grey, contrast, colours, tolerance)


def _hashes(images: Tensor) -> NDArray[np.uint64]:
    """Perceptual hashes of 64 bits, (n,)."""
    pixels = images.permute(0, 2, 3, 1).numpy()  # (n, r, r, 3)
    bits = np.stack([imagehash.phash(Image.fromarray(image)).hash.ravel() for image in pixels])
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _candidates(
    hashes: NDArray[np.uint64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs whose hashes differ in few bits, the lower index first, some at a time."""
    for start in range(0, len(hashes), ROWS):
        rows = hashes[start : start + ROWS, None]
        for across in range(start, len(hashes), ACROSS):
            others = hashes[None, across : across + ACROSS]
            close = np.bitwise_count(rows ^ others) <= HASH_BITS  # (rows, others)
            one, other = np.divmod(np.flatnonzero(close), others.shape[1])
            one, other = one + start, other + across
            if across == start:
                one, other = one[one < other], other[one < other]
            for at in range(0, len(one), PAIRS):
                yield one[at : at + PAIRS], other[at : at + PAIRS]


def _shrunk(images: Tensor, side: int) -> Tensor:
    """Means of the parts of a grid, (n, 3 s s)."""
    return F.interpolate(images.float(), (side, side), mode="area").flatten(1)


def _grey(images: Tensor) -> tuple[Tensor, Tensor]:
    """Small grey pictures without their mean, of length 1, (n, g); and by how much they vary (n,),
    in levels."""
    colours = _shrunk(images, GRID).unflatten(1, (3, GRID * GRID))
    grey = torch.tensor(LUMINANCE) @ colours  # (n, g)
    grey = grey - grey.mean(1, keepdim=True)
    length = grey.norm(dim=1)
    return grey / length.clamp_min(1e-6)[:, None], length / GRID


def _tolerance(images: Tensor, grey: Tensor) -> Tensor:
    """How far a copy may lie from each image, (n,)."""
    side = images.shape[-1]
    shrunk = max(1, round(SHRUNK * side))
    small = F.interpolate(images.float(), (shrunk, shrunk), mode="bilinear", antialias=True)
    back = F.interpolate(small, (side, side), mode="bilinear", antialias=True)
    moved = (_grey(back)[0] - grey).norm(dim=1)
    return (STEEP * moved.square()).clamp(LEAST, MOST)
