"""Networks for a dataset, best first, and those that fit limits.

A dataset is searched once, without limits; after that a limit leaves networks out, which is
arithmetic. The embeddings alone rank at first. A look at the images then ranks those networks that
it speaks for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import moocore
import numpy as np

from tans.meta.calibrator import Calibrator
from tans.search import search
from tans.types import Match
from tans.web.schemas import LimitsAsked, MatchAnswer, SearchAsked
from tans.web.service import Service

Cost = Literal["params", "flops", "latency_ms"]
LIMITED: dict[Cost, str] = {
    "params": "max_params",
    "flops": "max_flops",
    "latency_ms": "max_latency_ms",
}
"""Costs and what limits each."""
MOST = 5000
"""Networks that are ranked for a page, the most similar."""
MOST_LOOKED = 1000
ANY_MS = 1e9
"""A latency that every network has, to be told it."""


@dataclass(frozen=True)
class Ranked:
    """Networks for a dataset, best first."""

    matches: tuple[Match, ...]
    looked: int = 0
    """Looks on the images, that their accuracies come from; 0 where embeddings alone rank."""
    timed: bool = False
    """Whether latencies are known."""

    def within(self, limits: LimitsAsked) -> tuple[Match, ...]:
        """Those that fit, best first."""
        return tuple(match for match in self.matches if fits(match, limits))


class Rankings:
    """Of the datasets that a service holds, those last used."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.judged = Calibrator.load(service.zoo.retrieval) is not None
        """Whether the zoo can judge a look; without, embeddings alone rank."""
        self._embedded: OrderedDict[str, Ranked] = OrderedDict()
        self._looked: OrderedDict[str, Ranked] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, dataset: str, timed: bool) -> Ranked:
        """Networks by a look, where there was one, else by embeddings alone.

        Args:
            timed: latencies are needed.

        Raises:
            ServiceError: no such dataset is held, or the service is busy.
        """
        self._service.datasets.get(dataset)
        with self._lock:
            found = self._looked.get(dataset)
        return found or self.by_embedding(dataset, timed)

    def by_embedding(self, dataset: str, timed: bool) -> Ranked:
        """Networks by embeddings alone.

        Raises:
            ServiceError: as ``of``.
        """
        held = self._service.datasets.get(dataset)
        with self._lock:
            found = self._embedded.get(dataset)
        if found is not None and found.timed >= timed:
            return found
        with self._service.searches.passed():
            result = search(
                held.query,
                self._service.zoo,
                top=MOST,
                max_latency_ms=ANY_MS if timed else None,
            )
        return self._keep(self._embedded, dataset, Ranked(result.matches, timed=timed))

    def can_look(self, dataset: str) -> bool:
        """Whether a look at its images can be had that was not had yet."""
        with self._lock:
            return self.judged and dataset not in self._looked

    def look(self, dataset: str) -> Ranked:
        """Rank by a look at the images, which takes a minute or some.

        Raises:
            ServiceError: as ``of``, or it takes too long.
        """
        given = {"dataset": dataset, "top": MOST_LOOKED, "max_latency_ms": ANY_MS}
        asked = SearchAsked.model_validate(given)
        answer = self._service.search(asked)
        matches = tuple(map(MatchAnswer.match, answer.matches))
        return self._keep(self._looked, dataset, Ranked(matches, len(answer.looks), timed=True))

    def _keep(self, kept: OrderedDict[str, Ranked], dataset: str, found: Ranked) -> Ranked:
        with self._lock:
            kept[dataset] = found
            kept.move_to_end(dataset)
            while len(kept) > self._service.settings.limits.datasets:
                kept.popitem(last=False)
        return found


def fits(match: Match, limits: LimitsAsked) -> bool:
    """Whether a network is within limits; one of unknown latency is not, where that is limited."""
    for cost, name in LIMITED.items():
        value, most = getattr(match, cost), getattr(limits, name)
        if most is not None and (value is None or value > most):
            return False
    return match.licences.commercial or not limits.commercial


def least(matches: Iterable[Match], cost: Cost) -> float | None:
    """The least cost of some networks; None where none is known."""
    values = (getattr(match, cost) for match in matches)
    return min((value for value in values if value is not None), default=None)


def front(matches: Iterable[Match], cost: Cost) -> tuple[Match, ...]:
    """The Pareto front: of those that cost no more, none is expected to be more accurate.

    Cheapest first; networks of unknown cost are left out.
    """
    known = [match for match in matches if getattr(match, cost) is not None]
    if not known:
        return ()
    points = np.array([(getattr(match, cost), match.predicted_accuracy) for match in known])
    best = np.flatnonzero(moocore.is_nondominated(points, maximise=(False, True)))
    return tuple(known[row] for row in best[np.argsort(points[best, 0])])


def chosen_of(matches: Sequence[Match], id: str | None) -> Match | None:
    """The match of an id, else the best; None where there is none."""
    return next((match for match in matches if match.id == id), matches[0] if matches else None)
