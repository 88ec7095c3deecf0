"""A smaller zoo out of a larger one: which tasks to keep, and all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.files import is_unfinished
from tans.zoo.blobs import LocalBlobs
from tans.zoo.manifest import KEY
from tans.zoo.rows import KEYS, ZooTask
from tans.zoo.seals import FOLDER, Seals
from tans.zoo.tables import Tables
from tans.zoo.zoo import CALIBRATOR, IMAGENET, Zoo


def diverse_tasks(zoo: Zoo, count: int) -> list[str]:
    """Source tasks whose images differ most from each other, in the order of their choice.

    Greedy farthest-point choice (Gonzalez, 1985) by the cosine distance of mean query features:
    first the task farthest from the mean of all, then always the one whose nearest chosen task is
    farthest. The task ``imagenet``, which ``copy_tasks`` always keeps, is not counted or named.

    Raises:
        InputError: count is not between 1 and the number of source tasks with images.
    """
    names = [t.name for t in zoo.tasks() if t.features is not None and t.name != IMAGENET]
    if not 1 <= count <= len(names):
        raise InputError(
            f"count is {count}; expected 1 to {len(names)}, the source tasks with images in "
            f"{zoo.path}"
        )
    means = torch.stack([zoo.features(name)[0].mean(0) for name in names])  # (t, d)
    return [names[index] for index in _farthest_points(means, count)]


def copy_tasks(zoo: Zoo, path: str | Path, tasks: Sequence[str]) -> Zoo:
    """Copy the shared base, the task ``imagenet`` and the named source tasks to another folder.

    A task brings its files, its entries, and the transfers measured from these on any target. The
    calibrator comes too, as it was fitted to more than is copied; the retriever is to be learnt
    anew.
    A copy that was stopped goes on when asked for again.

    Args:
        zoo: to copy from.
        path: a folder that is new, empty, or holds some of these tasks' copies.
        tasks: names, in any order.

    Raises:
        ZooError: the zoo lacks a task or a base, or is damaged; the folder holds something else.
    """
    kept = [zoo.task(name) for name in dict.fromkeys([IMAGENET, *tasks])]
    zoo.base_state()  # refuses a zoo without a base, before anything is written
    calibrator = read_calibrator(zoo)
    _refuse_foreign(Path(path), zoo, kept)
    copy = Zoo.create(path)
    copy.copy_base(zoo)
    for task in kept[1:]:
        copy.copy_task(zoo, task.name)
    ids = {entry.id for entry in copy.entries(vectors=False)}
    copy.add_transfers([transfer for transfer in zoo.transfers() if transfer.source in ids])
    put_calibrator(copy, calibrator)
    copy.compact()
    return copy


def read_calibrator(zoo: Zoo) -> bytes | None:
    """The file of what predicts accuracies in a zoo, if there is one.

    Raises:
        ZooError: it is damaged.
    """
    seals = Seals(LocalBlobs(zoo.retrieval))
    return seals.get(CALIBRATOR) if seals.exists(CALIBRATOR) else None


def put_calibrator(zoo: Zoo, data: bytes | None) -> None:
    """Give a zoo that of another, if that has one."""
    if data is not None:
        Seals(LocalBlobs(zoo.retrieval)).put(CALIBRATOR, data)


def _refuse_foreign(folder: Path, zoo: Zoo, kept: Sequence[ZooTask]) -> None:
    if not folder.is_dir() or is_begun(folder):
        return
    found = Zoo.open(folder) if (folder / KEY).exists() else None
    if (
        found is None
        or found.base not in (None, zoo.base)
        or any(task not in kept for task in found.tasks())
    ):
        raise ZooError(
            f"{folder} is in use and holds other things than copies of {len(kept)} tasks of "
            f"{zoo.path}; choose a new or empty folder"
        )


def is_begun(folder: Path) -> bool:
    """Whether a folder holds no more than a zoo's empty tables, which are made before all else."""
    names = {path.name for path in folder.iterdir() if not is_unfinished(path)}
    blobs = LocalBlobs(folder)
    tables = Tables(blobs, Seals(blobs))
    return names <= {FOLDER.strip("/"), *(f"{name}.lance" for name in KEYS)} and not any(
        tables.has(name) and tables.read(name).num_rows for name in KEYS
    )


def _farthest_points(points: Tensor, count: int) -> list[int]:
    """Indices of so many of the points (t, d), each far from those before it."""
    centre = points.double().mean(0, keepdim=True)
    unit = F.normalize(torch.cat([points.double(), centre]), dim=1).numpy()  # (t + 1, d)
    distances = 1 - unit @ unit.T
    # numpy's argmax takes the first of equals
    chosen = [int(np.argmax(distances[-1, :-1]))]
    while len(chosen) < count:
        nearest = distances[:-1, chosen].min(1)  # (t,)
        nearest[chosen] = -np.inf
        chosen.append(int(np.argmax(nearest)))
    return chosen
