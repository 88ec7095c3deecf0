"""The judge: each seed tests on another fifth of a task, so that all of its images can tell.

A comparison is paired by task and seed. Seeds differ in everything that chance decides for a user
too: which images there are to learn from, which to choose by, and the order of training.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tans.tasks.splits import TEST, TRAIN, VAL, assign_folds, stratified_subset
from tans.tasks.task import Task

SEEDS = (0, 1, 2, 3, 4)
"""As many as there are folds: each fold is the test split of one seed."""
LEAST_TEST = 200
"""Test images of a task over all seeds, at least; a task with fewer tells nothing."""
MOST_VAL, MOST_TEST = 100, 400
"""Images of a seed's splits, at most."""


def judged(task: Task, seed: int, images: int) -> Task:
    """A task split for one seed: a fold to test on, of the rest a fifth to choose by.

    No group is parted. Validation and test images beyond ``MOST_VAL`` and ``MOST_TEST`` are left
    out, in the proportions of the classes.

    Args:
        images: for training, at most.
    """
    every = torch.arange(len(task))
    folds = _folds(task, every, 0)  # (n,)
    rest = every[folds != seed]
    inner = _folds(task, rest, seed)  # (m,)
    rows = {
        TRAIN: _some(task, rest[inner != 0], images, seed),
        VAL: _some(task, rest[inner == 0], MOST_VAL, seed),
        TEST: _some(task, every[folds == seed], MOST_TEST, seed),
    }
    kept = torch.cat(list(rows.values()))
    splits = torch.cat([torch.full_like(part, split) for split, part in rows.items()])
    return replace(
        task,
        pixels=task.pixels.take(kept),
        labels=task.labels[kept],
        splits=splits.to(torch.uint8),
        groups=_named(task.groups, kept),
        keys=_named(task.keys, kept),
    )


def images_tested(task: Task) -> int:
    """Images that a task is tested on, over all seeds."""
    counts = torch.bincount(_folds(task, torch.arange(len(task)), 0), minlength=len(SEEDS))
    return int(counts.clamp(max=MOST_TEST).sum())


def _folds(task: Task, rows: Tensor, seed: int) -> Tensor:
    return assign_folds(task.labels[rows], _named(task.groups, rows), len(SEEDS), seed)


def _some(task: Task, rows: Tensor, limit: int, seed: int) -> Tensor:
    return rows[stratified_subset(task.labels[rows], limit, seed)]


def _named(names: tuple[str, ...] | None, rows: Tensor) -> tuple[str, ...] | None:
    return names and tuple(names[row] for row in rows.tolist())
