"""What the benchmarks share: results that survive a kill."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parents[1] / "results"
SOURCE = Path(__file__).parent.parent / "src"
NOW, BEFORE = "now", "before"

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


def in_turns(script: str, arguments: Sequence[str], against: Path | None, rounds: int) -> Line:
    """Run a script on this source and on an earlier one by turns; what each run prints, by version.

    Args:
        script: a file, which prints a line of JSON at the end.
        arguments: of it.
        against: the ``src`` of an earlier checkout; None runs this one alone.
        rounds: runs of each.
    """
    sources = {NOW: SOURCE} if against is None else {BEFORE: against.resolve(), NOW: SOURCE}
    found: dict[str, list[Line]] = {version: [] for version in sources}
    for round_ in range(rounds):
        order = list(sources.items())[:: -1 if round_ % 2 else 1]
        for version, source in order:
            print(f"round {round_ + 1} of {rounds}: {version}", file=sys.stderr, flush=True)
            done = subprocess.run(
                [sys.executable, script, *arguments],
                env={**os.environ, "PYTHONPATH": str(source)},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[version].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def commit(source: Path) -> str:
    """Of a checkout, short, with ``+`` where files differ from it."""
    run = ["git", "-C", str(source), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip()
