"""What is compared: each method names the networks that it looks at, and takes the best of them.

All choose alike, by the accuracy of a linear classifier on frozen features under a deep head,
cross-validated on the training images. So nobody wins by a better way to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tans.zoo.zoo import IMAGENET
from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.jobs import (
    FROZEN,
    SHORT,
    SHORTLISTS,
    Cell,
    Tuned,
    key,
    most_similar,
)
from tans_bench.runs.results import Result, Results

ZOO = 64
"""Pixels a side that the zoo's networks are stored for."""
LITE0, BASE = key(field.LITE0, ZOO), key(field.BASE, ZOO)


@dataclass(frozen=True)
class Seen:
    """What is known of a cell before anything is fine-tuned."""

    cell: Cell
    accuracy: Mapping[str, float]
    """Of a linear classifier on frozen features, by network."""
    flops: Mapping[str, float]
    """Multiply-adds for one image, by network."""
    scores: Mapping[str, Mapping[str, float]]
    """``similarity`` and ``predicted`` of each source, without kin of the task."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The most similar first."""
        return self.ordered("similarity")

    def ordered(self, score: str) -> tuple[str, ...]:
        """Sources by a score, the highest first."""
        return tuple(most_similar(self.scores, score))


Candidates = Callable[[Seen], Sequence[str]]


@dataclass(frozen=True)
class Method:
    """A way to get a network."""

    title: str
    about: str
    """One line on what it looks at."""
    candidates: Candidates
    """Networks that it chooses from; one alone is not looked at."""
    recipe: str = "default"
    """One of ``tans_bench.experiments.judged.jobs.RECIPES``."""

    def choose(self, seen: Seen) -> str:
        """The network that does best on frozen features, the first of equals."""
        found = self.candidates(seen)
        return max(found, key=lambda name: seen.accuracy[name]) if len(found) > 1 else found[0]

    def knows(self, seen: Seen) -> bool:
        """Whether all that it chooses from was looked at."""
        found = self.looked_at(seen)
        return seen.accuracy.keys() >= set(found)

    def looked_at(self, seen: Seen) -> Sequence[str]:
        """What is looked at before the choice."""
        found = self.candidates(seen)
        return found if len(found) > 1 else ()


def _published(seen: Seen) -> list[str]:
    del seen  # the same for all
    return [key(*each) for each in field.sized(field.WITHIN)]


def _short(seen: Seen) -> list[str]:
    return [LITE0, BASE, *(key(name, ZOO) for name in seen.sources[:SHORT])]


def _nearest(seen: Seen) -> list[str]:
    return [LITE0, BASE, key(seen.sources[0], ZOO)]


def _all(seen: Seen) -> list[str]:
    return [LITE0, BASE, *(key(name, ZOO) for name in seen.sources)]


def _published_at_any(seen: Seen) -> list[str]:
    return [*_published(seen), *(key(*each) for each in field.sized(field.BEYOND))]


def _any(seen: Seen) -> list[str]:
    nearest = (field.BASE, *seen.sources[:SHORT])
    return [*_short(seen), *(key(n, field.HIGHER) for n in nearest), *_published_at_any(seen)]


PLAIN, SAME, BEST, NEAREST, TANS, EVERY, OWN = (
    *("imagenet-common", "imagenet", "imagenet-best"),
    *("tans-nearest", "tans", "tans-all", "elastic-base"),
)
BEST_AT_ANY, TANS_AT_ANY = "imagenet-best-at-any-size", "tans-at-any-size"
METHODS: Mapping[str, Method] = {
    PLAIN: Method(
        "ImageNet, common recipe",
        "Lite0 at 64 px, random head, best epoch",
        lambda _: [LITE0],
        "common",
    ),
    SAME: Method("ImageNet", "Lite0 at 64 px, the same recipe as below", lambda _: [LITE0]),
    BEST: Method(
        "ImageNet at its best",
        "Lite0, 1, 2 and MobileNetV2, sizes within Lite0's multiply-adds at 64 px",
        _published,
    ),
    OWN: Method("elastic base", "ImageNet's network, adapted to its subnets", lambda _: [BASE]),
    NEAREST: Method(
        "tans, nearest source", "Lite0, the elastic base, and the nearest source", _nearest
    ),
    TANS: Method("tans", "Lite0, the elastic base, and the five nearest sources", _short),
    EVERY: Method("tans, every source", "Lite0, the elastic base, and all sources", _all),
}
"""Within Lite0's multiply-adds at 64 px."""
UNLIMITED: Mapping[str, Method] = {
    BEST_AT_ANY: Method(
        "ImageNet at its best, any size",
        "Lite0, 1, 2 and MobileNetV2 at sizes up to those they were published for",
        _published_at_any,
    ),
    TANS_AT_ANY: Method(
        "tans, any size", "the same, the elastic base, and the five nearest sources", _any
    ),
}
"""Without a limit."""


def read_seen(results: Results) -> dict[Cell, Seen]:
    """What is stored of each cell, of those that were looked at and have a shortlist."""
    looked: dict[Cell, dict[str, dict[str, float]]] = {}
    for line in results.lines(FROZEN):
        own = looked.setdefault(_cell(line), {"accuracy": {}, "flops": {}})
        for name, found in own.items():
            found |= line[name]
    nearest = {_cell(line): _own(line["sources"]) for line in results.lines(SHORTLISTS)}
    return {
        cell: Seen(cell, own["accuracy"], own["flops"], nearest[cell])
        for cell, own in looked.items()
        if cell in nearest
    }


def _cell(line: Result) -> Cell:
    return Cell(line["task"], line["seed"], line["images"])


def _own(sources: Mapping[str, Mapping[str, float]]) -> Mapping[str, Mapping[str, float]]:
    """Without ImageNet's network, which is looked at in any case."""
    return {name: scores for name, scores in sources.items() if name != IMAGENET}


def tuned(method: Method, seen: Seen, steps: int = field.STEPS) -> Tuned:
    """The fine-tune of what a method chooses."""
    name, _, size = method.choose(seen).rpartition("@")
    return Tuned(seen.cell, name, int(size), steps, method.recipe)
