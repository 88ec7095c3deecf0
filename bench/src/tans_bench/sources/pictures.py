"""Pictures of a packaged source on their way to a task."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from tans.tasks.decoding import picture_of
from tans.tasks.reading import Reading
from tans_bench.errors import SourceError
from tans_bench.sources.lookalikes import fingerprints, first_of_each, separate, undisputed

BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
WORKING_SIDE = 1024
"""Pixels a side to which larger pictures are reduced before anything else."""
FAINT_INK = 8
"""Grey levels below white that still count as empty margin."""
SMALLEST_INK = 12
"""Pixels a side below which what remains after trimming counts as nothing."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled pictures in memory."""

    images: Tensor
    """uint8 (n, 3, r, r)."""
    labels: Tensor
    """int64 (n,)."""
    groups: tuple[str, ...] | None = None
    """Per picture, what no split may separate; None where nothing is known."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> Pictures:
        """The pictures at some rows, int64 (m,)."""
        groups = self.groups and tuple(self.groups[row] for row in rows.tolist())
        return Pictures(self.images[rows], self.labels[rows], groups)

    def capped(self, per_class: int, seed: int = 0) -> Pictures:
        """At most so many of each class, drawn at random, in their old order."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        classes = self.labels[order]
        kept = [order[classes == label][:per_class] for label in classes.unique()]
        return self.take(torch.cat(kept).sort().values)

    def joined(self) -> Pictures:
        """The same pictures with the groups of near-duplicates made one."""
        groups = self.groups or tuple(map(str, range(len(self))))
        return Pictures(self.images, self.labels, tuple(separate(self.images, groups)))

    def unambiguous(self) -> Pictures:
        """Only pictures without a near-duplicate in another class."""
        return self.take(undisputed(fingerprints(self.images), self.labels))

    def without_copies(self) -> Pictures:
        """Only the first of any near-duplicates within a class."""
        return self.take(first_of_each(fingerprints(self.images), self.labels))


@dataclass(frozen=True)
class Found:
    """A picture file with its class and group."""

    path: Path
    label: int
    group: str


def collect(drawn: Iterable[tuple[np.ndarray, int, str]]) -> Pictures:
    """Pictures from squares uint8 (r, r, 3), each with its label and group.

    Raises:
        SourceError: there are none.
    """
    squares = list(drawn)
    if not squares:
        raise SourceError(
            "no picture of the packages could be read; expected some hundreds, "
            "delete the packages in the cache to fetch them again"
        )
    images = torch.from_numpy(np.stack([image for image, _, _ in squares]))  # (n, r, r, 3)
    labels = torch.tensor([label for _, label, _ in squares])
    groups = tuple(group for _, _, group in squares)
    return Pictures(images.permute(0, 3, 1, 2).contiguous(), labels, groups)


def read(found: Iterable[Found], size: int, trim: bool = False) -> Pictures:
    """Read picture files to squares of ``size`` pixels, leaving out those that cannot be read.

    With ``trim``, empty margins are cut off, and pictures that are empty are left out.

    Raises:
        SourceError: nothing could be read.
    """
    opened = ((square_of(each.path, size, trim), each) for each in found)
    return collect((image, each.label, each.group) for image, each in opened if image is not None)


def square_of(path: Path, size: int, trim: bool = False) -> np.ndarray | None:
    """A picture file on white as uint8 (size, size, 3), or None when it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return on_white(image, size, trim)
    except (OSError, ValueError, SyntaxError, *BOMBS):
        return None


def on_white(image: Image.Image, size: int, trim: bool = False) -> np.ndarray | None:
    """A picture composited on white, its whole resized, as uint8 (size, size, 3).

    Returns None when it is to be trimmed and nothing remains.
    """
    flat = Reading.whole().flat(picture_of(image))
    flat.thumbnail((WORKING_SIDE, WORKING_SIDE))
    if trim:
        ink = ImageOps.invert(flat.convert("L")).point(lambda level: 255 * (level > FAINT_INK))
        box = ink.getbbox()
        if box is None or min(box[2] - box[0], box[3] - box[1]) < SMALLEST_INK:
            return None
        flat = flat.crop(box)
    return np.asarray(flat.resize((size, size), Image.Resampling.BICUBIC))


def grey(images: Tensor, labels: Sequence[int] | Tensor, size: int) -> Pictures:
    """Pictures from grey uint8 (n, h, w) arrays, enlarged to squares of ``size`` pixels."""
    squares = torch.nn.functional.interpolate(
        images[:, None].float(), size=(size, size), mode="bicubic", antialias=True
    )  # (n, 1, r, r)
    colour = squares.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
    return Pictures(colour.contiguous(), torch.as_tensor(labels, dtype=torch.int64))
