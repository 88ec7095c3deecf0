"""What the benchmarks share: dev tasks cut to size, and results that survive a kill."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tans.tasks.images import ArrayPixels
from tans.tasks.splits import SPLITS, stratified_subset
from tans.tasks.task import Task

RESULTS = Path(__file__).parent / "results"

Line = dict[str, Any]


class Ledger:
    """A file of one JSON object a line, each found again by some of its keys."""

    def __init__(self, name: str) -> None:
        self.path = RESULTS / name

    def __iter__(self) -> Iterator[Line]:
        if self.path.exists():
            yield from map(json.loads, self.path.read_text().splitlines())

    def find(self, key: Mapping[str, Any]) -> Line | None:
        """The stored line that holds this key."""
        return next((line for line in self if key.items() <= line.items()), None)

    def add(self, line: Line) -> Line:
        """Append a line and show it."""
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        return line


def limited(task: Task, train_images: int) -> Task:
    """The task with only so many training images; validation and test images stay."""
    train, val, test = ((task.splits == k).nonzero().flatten() for k in range(len(SPLITS)))
    kept = train[stratified_subset(task.labels[train], train_images, seed=0)]
    rows = torch.cat([kept, val, test])  # (n,)
    pixels = task.pixels
    if not isinstance(pixels, ArrayPixels):
        raise TypeError("packaged tasks have their images in memory")
    return Task(
        task.name,
        task.classes,
        ArrayPixels(pixels.images[rows]),
        task.labels[rows],
        task.splits[rows],
        task.card,
        task.groups and tuple(task.groups[row] for row in rows.tolist()),
    )


def environment() -> Line:
    """What a figure was measured with."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
