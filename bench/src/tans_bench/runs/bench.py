"""What every job of an experiment is given: the results so far, the zoo, and the tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tans.tasks.task import Task
from tans.zoo.zoo import CALIBRATOR, Zoo
from tans_bench.runs.results import Results
from tans_bench.runs.roles import prepared

RETRIEVER = "retriever.json"
Tasks = Callable[[str, int | None], Task]
"""A task by name, with at most so many training images, or all where None."""


@dataclass(frozen=True)
class Bench:
    """Where experiments are run."""

    results: Results
    zoo: Zoo
    tasks: Tasks = prepared
    """A function of a module, so that it can be sent to a worker."""

    @classmethod
    def open(
        cls, results: str | Path, zoo: str | Path | None = None, tasks: Tasks = prepared
    ) -> Bench:
        """On a folder of results and a zoo, the shipped one when None.

        Raises:
            ZooError: there is no such zoo.
        """
        return cls(Results(results), Zoo.open(zoo), tasks)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of a hash of the zoo's networks and of what retrieves them."""
        hasher = hashlib.sha256()
        for entry in self.zoo.entries(vectors=False):
            hasher.update(entry.id.encode())
        for name in (RETRIEVER, CALIBRATOR):
            path = self.zoo.retrieval / name
            hasher.update(path.read_bytes() if path.exists() else b"")
        return hasher.hexdigest()[:16]
