"""What is worth knowing of a task before anyone waits for it: counts, and what may mislead."""

from __future__ import annotations

from typing import Any

import torch

from tans.scores import WIDE, wilson
from tans.tasks.findings import some
from tans.tasks.splits import SPLITS, TEST, TRAIN, VAL
from tans.tasks.task import Task

UNEVEN = 3.0
"""Ratio of the commonest class to the rarest from which it is told."""
FEW = 10
"""Training images of a class below which it is told."""


def counts(task: Task) -> torch.Tensor:
    """Images of each class in each split, int64 (classes, splits)."""
    cells = task.labels * len(SPLITS) + task.splits.long()
    return torch.bincount(cells, minlength=len(task.classes) * len(SPLITS)).view(-1, len(SPLITS))


def warnings(task: Task) -> list[str]:
    """What may mislead whoever uses the task, a sentence each."""
    table = counts(task)
    return [*task.found.words(), *_uneven(task, table), *_few(task, table), *_held_out(task, table)]


def summary(task: Task) -> dict[str, Any]:
    """Plain values: what was understood, counts of each class, and all warnings."""
    table = counts(task)
    return {
        "name": task.name,
        "images": len(task),
        "classes": {
            name: dict(zip(SPLITS, row, strict=True))
            for name, row in zip(task.classes, table.tolist(), strict=True)
        },
        "splits": dict(zip(SPLITS, table.sum(0).tolist(), strict=True)),
        "found": task.found.summary(),
        "warnings": warnings(task),
    }


def _uneven(task: Task, table: torch.Tensor) -> list[str]:
    sizes = table.sum(1)
    most, least = int(sizes.argmax()), int(sizes.argmin())
    if sizes[most] < UNEVEN * sizes[least]:
        return []
    return [
        f"classes are uneven: {task.classes[most]} has {int(sizes[most])} images, "
        f"{task.classes[least]} {int(sizes[least])}; always guessing {task.classes[most]} would be "
        f"right for {100 * float(sizes[most] / sizes.sum()):.1f} % of them"
    ]


def _few(task: Task, table: torch.Tensor) -> list[str]:
    few = [
        f"{c} ({n})" for c, n in zip(task.classes, table[:, TRAIN].tolist(), strict=True) if n < FEW
    ]
    return [f"fewer than {FEW} training images of {some(few)}"] if few else []


def _held_out(task: Task, table: torch.Tensor) -> list[str]:
    """What the held-out splits cannot tell."""
    told = []
    for split, noun in ((VAL, "validation"), (TEST, "test")):
        absent = [c for c, n in zip(task.classes, table[:, split].tolist(), strict=True) if not n]
        if absent and table[:, split].any():
            told.append(
                f"no {noun} image is of {some(absent)}, so how well it is found is not known"
            )
        elif absent:
            told.append(f"there are no {noun} images")
    tested = int(table[:, TEST].sum())
    low, high = wilson(round(0.8 * tested), tested)
    if tested and high - low > WIDE:
        told.append(
            f"{tested} test images tell little: an accuracy of 80 % could be anything from "
            f"{100 * low:.0f} to {100 * high:.0f} %"
        )
    return told
