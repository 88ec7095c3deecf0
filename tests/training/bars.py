"""Small tasks that are learnt in a few steps."""

import dataclasses

import torch

from tans.tasks.task import Task, TaskCard

CARD = TaskCard(source="made", version="1", licence="CC0-1.0", made="bars of two directions")


def bars(n: int = 60) -> Task:
    """Noise under horizontal or vertical bars."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 120, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    images[labels == 0, :, ::8] = 255
    images[labels == 1, :, :, ::8] = 255
    return Task.from_arrays("bars", images, labels, ("across", "down"), CARD)


def uneven_bars(common: int = 160, rare: int = 8, held_out: int = 40) -> Task:
    """Bars in all noise, few of them upright to train on, and as many of both to judge by."""
    counts = torch.tensor([common, held_out, held_out, rare, held_out, held_out])
    labels = torch.tensor([0, 0, 0, 1, 1, 1]).repeat_interleave(counts)
    splits = torch.tensor([0, 1, 2, 0, 1, 2], dtype=torch.uint8).repeat_interleave(counts)
    generator = torch.Generator().manual_seed(0)
    noise = (len(labels), 3, 32, 32)
    images = torch.randint(0, 256, noise, generator=generator, dtype=torch.uint8)
    images[labels == 0, :, ::8] = 255
    images[labels == 1, :, :, ::8] = 255
    task = Task.from_arrays("uneven bars", images, labels, ("across", "down"), CARD)
    return dataclasses.replace(task, splits=splits)
