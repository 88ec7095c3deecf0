"""What the benchmarks share: results that survive a kill."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

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


def environment() -> Line:
    """What a figure was measured with."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
