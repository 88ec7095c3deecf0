"""What every job of an experiment is given: the results so far, and the zoo."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tans.zoo.zoo import JUDGE, Zoo
from tans_bench.runs.results import Results

RETRIEVER = "retriever.json"


@dataclass(frozen=True)
class Bench:
    """Where experiments are run."""

    results: Results
    zoo: Zoo

    @classmethod
    def open(cls, results: str | Path, zoo: str | Path | None) -> Bench:
        """On a folder of results and a zoo, the shipped one when None.

        Raises:
            ZooError: there is no such zoo.
        """
        return cls(Results(results), Zoo.open(zoo))

    @cached_property
    def digest(self) -> str:
        """16 hex digits of a hash of the zoo's networks and of what retrieves them."""
        hasher = hashlib.sha256()
        for entry in self.zoo.entries(vectors=False):
            hasher.update(entry.id.encode())
        for name in (RETRIEVER, JUDGE):
            path = self.zoo.retrieval / name
            hasher.update(path.read_bytes() if path.exists() else b"")
        return hasher.hexdigest()[:16]
