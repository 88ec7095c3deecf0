"""Which of the networks found are combined: the few best, each of other weights."""

from __future__ import annotations

from collections.abc import Sequence

from tans.search.result import SearchResult
from tans.types import ZooEntry
from tans.zoo.zoo import Zoo

TEACHERS = 3
"""Networks whose ensemble another one learns from, at most."""
LISTED = 1000
"""Matches that they are taken from: the best are often slices of one network."""


def best_starts(found: SearchResult, zoo: Zoo, count: int = TEACHERS) -> list[ZooEntry]:
    """The best matches that begin from different weights, the best first.

    Slices of the same weights, or the same network at another size, err alike: an ensemble of them
    says little more than one of them does.
    """
    best: dict[str, ZooEntry] = {}
    for match in found:
        if len(best) < count:
            entry = zoo.entry(match.id)
            best.setdefault(entry.weights, entry)
    return list(best.values())


def share_of_one(starts: Sequence[ZooEntry]) -> float:
    """Share that fine-tuning the first alone has of all that a distillation takes.

    All are fine-tuned, then the first again, while each of them is asked about each image: one
    pass forward, where a step takes three.
    """
    own = starts[0].body_flops
    teachers = sum(entry.body_flops for entry in starts)
    return own / (teachers + own + teachers / 3)
