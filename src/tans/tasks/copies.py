"""Find images that show the same, exactly or nearly: copies, resized, stored anew, brightened.

A perceptual hash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010)
names the candidates, and their grey pictures decide: digits and letters have hashes that differ
little and are not the same. How near is near depends on the picture. Where it is full of detail,
shrinking it moves it far and others lie farther still; where it is smooth, others are near.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import imagehash
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

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
"""Images that are compared with all others at a time."""
PAIRS = 100_000
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


def keep_together(
    images: Tensor, labels: Sequence[object]
) -> tuple[list[NDArray[np.int64]], list[str]]:
    """Sets of copies to keep on one side of each split, and what to say where that cannot be.

    Each image of a slow film is nearly equal to the next; together they leave nothing to test on.

    Args:
        images: uint8 (n, 3, r, r).
        labels: of each image; whole classes of copies are not kept together.

    Returns:
        Rows of each set of more than one image, in order of the first.
    """
    near, equal = (find_copies(images, exact=exact) for exact in (False, True))
    if _leaves_choice(near, labels):
        return _several(near), []
    if _leaves_choice(equal, labels):
        told = (
            "every image is nearly equal to others of its class, as in a film, so that equal ones "
            "alone are kept together: accuracies are too high unless groups are given"
        )
        return _several(equal), [told]
    return [], ["all images of each class are copies of one: accuracies mean nothing"]


def find_copies(images: Tensor, exact: bool = False) -> NDArray[np.int64]:
    """Number of the set of copies that each image belongs to, (n,); most are alone in theirs.

    Args:
        images: uint8 (n, 3, r, r).
        exact: whether images must be equal.
    """
    from scipy.sparse import coo_array  # takes a quarter of a second
    from scipy.sparse.csgraph import connected_components

    n = len(images)
    if n < 2:
        return np.arange(n)
    _, equal = np.unique(_bytes(images), return_inverse=True)
    if exact:
        return equal.astype(np.int64)
    _, first = np.unique(equal, return_index=True)  # one image of each that differ in any byte
    one, other = _near(images[first])
    edges = coo_array((np.ones(len(one)), (one, other)), shape=(len(first), len(first)))
    _, sets = connected_components(edges, directed=False)
    return sets[equal].astype(np.int64)


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


def _bytes(images: Tensor) -> NDArray[np.void]:
    """Each image as one value, so that equal ones are found by sorting."""
    flat = np.ascontiguousarray(images.flatten(1).numpy())
    return flat.view(np.dtype((np.void, flat.shape[1])))[:, 0]


def _near(images: Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of images that are nearly the same, as two lists of indices."""
    hashes = _hashes(images)  # (n,)
    grey, contrast = _grey(images)  # (n, g), (n,)
    colours = _shrunk(images, COLOUR_GRID)  # (n, 3 c)
    tolerance = _tolerance(images, grey)  # (n,)
    pairs = []
    for one, other in _candidates(hashes):
        near = (grey[one] - grey[other]).norm(dim=1) <= torch.maximum(
            tolerance[one], tolerance[other]
        )
        less = torch.minimum(contrast[one], contrast[other])
        near &= (less >= FLAT) & (less >= PALER * torch.maximum(contrast[one], contrast[other]))
        near &= (colours[one] - colours[other]).abs().amax(1) <= COLOUR_LEVELS
        pairs.append((one[near.numpy()], other[near.numpy()]))
    if not pairs:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ones, others = zip(*pairs, strict=True)
    return np.concatenate(ones), np.concatenate(others)


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
        rows = hashes[start : start + ROWS]
        distances = np.bitwise_count(rows[:, None] ^ hashes[None, start:])  # (rows, n - start)
        one, other = np.nonzero(np.triu(distances <= HASH_BITS, 1))
        for at in range(0, len(one), PAIRS):
            yield one[at : at + PAIRS] + start, other[at : at + PAIRS] + start


def _shrunk(images: Tensor, side: int) -> Tensor:
    """Means of the parts of a grid, (n, 3 s s)."""
    parts = (F.interpolate(part.float(), (side, side), mode="area") for part in images.split(ROWS))
    return torch.cat([part.flatten(1) for part in parts])


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
    moved = []
    side = images.shape[-1]
    shrunk = max(1, round(SHRUNK * side))
    for part, own in zip(images.split(ROWS), grey.split(ROWS), strict=True):
        small = F.interpolate(part.float(), (shrunk, shrunk), mode="bilinear", antialias=True)
        back = F.interpolate(small, (side, side), mode="bilinear", antialias=True)
        moved.append((_grey(back)[0] - own).norm(dim=1))
    return (STEEP * torch.cat(moved).square()).clamp(LEAST, MOST)
