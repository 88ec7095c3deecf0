"""What the benchmarks share: dev tasks cut to size, and results that survive a kill."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tans.tasks.task import SPLITS, Task

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


def limited(task: Task, train_images: int, resolution: int = 64) -> Task:
    """The task with only so many training images; validation and test images stay."""
    limits = (train_images, None, None)
    parts = [task.split(s, resolution, n) for s, n in zip(SPLITS, limits, strict=True)]
    counts = torch.tensor([len(labels) for _, labels in parts])
    splits = torch.arange(len(SPLITS)).repeat_interleave(counts).to(torch.uint8)  # (n,)
    images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    return Task.from_arrays(task.name, images, labels, task.classes, task.card, splits=splits)


def environment() -> Line:
    """What a figure was measured with."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
