"""CIFAR-10 and CIFAR-100, which a user has, in the binary version.

A file is rows of bytes: the label (in CIFAR-100 the coarse one before the fine one), then 1,024
bytes each of red, green and blue. The version for Python is pickled, so it is not read: nothing of
others is unpickled here, and the binary version, which stands beside it, needs none of that.

Reference: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tans.errors import TaskError
from tans.files import read_file
from tans.licences import UNSTATED
from tans.tasks.splits import TEST, TRAIN
from tans.tasks.task import Task, TaskCard

SIDE = 32
"""Pixels a side."""
PIXELS = 3 * SIDE**2
"""Bytes of an image."""
MOST_BYTES = 2**28
"""Of a file; the largest published one holds 154 million."""


@dataclass(frozen=True)
class Kind:
    """How one of the two is laid out."""

    name: str
    folder: str
    """That the published archive holds."""
    train: tuple[str, ...]
    test: str
    names: str
    """File of the names of its classes, a line each."""
    labels: int
    """Bytes before an image, the last of them its label."""
    pickled: str
    """A file of the version for Python."""


KINDS = (
    Kind(
        "cifar10",
        "cifar-10-batches-bin",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test_batch.bin",
        "batches.meta.txt",
        1,
        "data_batch_1",
    ),
    Kind(
        "cifar100",
        "cifar-100-binary",
        ("train.bin",),
        "test.bin",
        "fine_label_names.txt",
        2,
        "train",
    ),
)


def read_cifar(folder: str | Path) -> Task:
    """The task ``cifar10`` or ``cifar100``, with the published split, of the binary version.

    Validation images are carved from those to train on.

    Args:
        folder: that the archive holds, or one that holds it.

    Raises:
        TaskError: there is none of both, it is the version for Python, or a file is missing, cut
            short, or names a class that there is not; the message names the file.
    """
    root = Path(folder).expanduser()
    kind, place = _found(root)
    names = _names(place / kind.names)
    parts = [_rows(place / file, kind, len(names)) for file in (*kind.train, kind.test)]
    sizes = [len(labels) for _, labels in parts]
    splits = torch.full((sum(sizes),), TRAIN, dtype=torch.uint8)
    splits[-sizes[-1] :] = TEST
    card = TaskCard(
        source="CIFAR, binary version",
        version="",
        licence=UNSTATED,
        made="photographs of 32 pixels; the published split",
        family="photographs",
    )
    images = torch.cat([images for images, _ in parts])
    labels = torch.cat([labels for _, labels in parts])
    return Task.from_arrays(kind.name, images, labels, names, card, splits=splits)


def _found(root: Path) -> tuple[Kind, Path]:
    """Which of both it is, and where its files lie."""
    for kind in KINDS:
        for place in (root, root / kind.folder):
            if (place / kind.test).exists():
                return kind, place
    for kind in KINDS:
        if (root / kind.pickled).exists():
            raise TaskError(
                f"{root} holds {kind.name} in its version for Python, which is pickled and not "
                "read, as nothing of others is unpickled; give the folder of the binary version, "
                f"{kind.folder}"
            )
    folders = " or ".join(kind.folder for kind in KINDS)
    raise TaskError(f"{root} holds no CIFAR; expected the binary version, {folders}")


def _names(path: Path) -> tuple[str, ...]:
    try:
        lines = read_file(path, 2**16).decode().splitlines()
    except (OSError, ValueError) as error:
        raise TaskError(f"{path} cannot be read: {error}; expected a class in each line") from error
    found = tuple(line.strip() for line in lines if line.strip())
    if not found or len(set(found)) < len(found):
        raise TaskError(f"{path} names {len(found)} classes; expected different ones, a line each")
    return found


def _rows(path: Path, kind: Kind, classes: int) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, 3, 32, 32) and labels int64 (n,) of a file."""
    try:
        data = read_file(path, MOST_BYTES)
    except OSError as error:
        raise TaskError(f"{path} cannot be read: {error}; expected all files of it") from error
    width = kind.labels + PIXELS
    if not data or len(data) % width:
        raise TaskError(
            f"{path} has {len(data):,} bytes; expected rows of {width:,}: get {kind.name} again"
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, width)
    labels = rows[:, kind.labels - 1].astype(np.int64)
    if labels.max() >= classes:
        raise TaskError(
            f"{path} has label {labels.max()} in row {labels.argmax()}; expected one of "
            f"{classes} classes that {kind.names} names: get {kind.name} again"
        )
    images = rows[:, kind.labels :].reshape(-1, 3, SIDE, SIDE).copy()
    return torch.from_numpy(images), torch.from_numpy(labels)
