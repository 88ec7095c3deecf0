"""Images without labels, of the kind of a task's: what teachers say of them can be learnt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tans.errors import InputError
from tans.tasks.copies import ROWS
from tans.tasks.decoding import Picture
from tans.tasks.folder import images_below
from tans.tasks.images import THUMBNAIL, FilePixels, each_picture
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.types import Images

MOST = 20_000
"""That are used; of more, as many at even steps."""


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Images in files below a folder, and what of it is not used."""

    pixels: FilePixels
    left_out: tuple[str, ...]
    """What is not used and why, a sentence each."""

    def __len__(self) -> int:
        return len(self.pixels.paths)

    def at(self, resolution: int) -> Images:
        """All as squares, uint8 (m, 3, r, r); on the disk where they would take much memory."""
        return self.pixels.stored(resolution, torch.arange(len(self)))


def read_unlabelled(root: str | Path, task: Task, max_pixels: int | None = None) -> Unlabelled:
    """All images below a folder, read as those of a task are.

    What equals a validation or test image of the task is left out: to learn of those what is then
    measured on them would make them look easier than others.

    Args:
        max_pixels: of a picture, at most; Pillow's own limit when None.

    Raises:
        InputError: there is no such folder, or no image in it that can be used.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise InputError(f"{root} is no folder; expected one with images in it, or below it")
    paths, others = images_below(root)
    count = min(MOST, len(paths))
    chosen = [paths[place * len(paths) // count] for place in range(count)]
    thumbnails, unread = _thumbnails(chosen, task, max_pixels)  # (count, 3, 64, 64)
    held_out = (task.splits != TRAIN).nonzero().flatten()
    shown = task.pixels.stored(THUMBNAIL, held_out).split(ROWS)
    known = {_content(each) for part in shown for each in part}
    equal = {row for row, each in enumerate(thumbnails) if _content(each) in known} - unread
    kept = [row for row in range(count) if row not in unread | equal]
    if not kept:
        raise InputError(
            f"{root} holds no image to learn from; expected some that can be read and are neither "
            "for validation nor for the test"
        )
    reading = task.found.reading
    pixels = FilePixels([chosen[k] for k in kept], reading, thumbnails[kept], max_pixels)
    told = {
        "are no images": sum(map(len, others.values())),
        f"come after {MOST:,} others": len(paths) - count,
        "cannot be read as the labelled images are": len(unread),
        "equal a validation or test image": len(equal),
    }
    sentences = (f"{n:,} files in {root} are left out: they {why}" for why, n in told.items() if n)
    return Unlabelled(pixels, tuple(sentences))


def _thumbnails(paths: list[Path], task: Task, max_pixels: int | None) -> tuple[Tensor, set[int]]:
    """Files as a task reads its own, uint8 (n, 3, 64, 64), and rows of those that it cannot."""
    reading = task.found.reading
    thumbnails = torch.zeros(len(paths), 3, THUMBNAIL, THUMBNAIL, dtype=torch.uint8)
    foreign: set[int] = set()

    def render(index: int, picture: Picture) -> None:
        if reading.knows(picture):
            square = reading.square(picture, THUMBNAIL)  # (64, 64, 3)
            thumbnails[index] = torch.from_numpy(square).permute(2, 0, 1)
        else:
            foreign.add(index)

    failures = each_picture(paths, render, max_pixels=max_pixels, hold=True)
    return thumbnails, foreign | failures.keys()


def _content(image: Tensor) -> bytes:
    return hashlib.sha256(image.numpy().tobytes()).digest()
