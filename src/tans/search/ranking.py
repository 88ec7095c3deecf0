"""Rank the stored networks for a task.

Reference: Jeong et al., TANS, NeurIPS 2021, section 3.1.2 and equation 6. Limits come before
ranking here, where the paper sorts first and filters afterwards: a limit then never empties the
list while something fits. And the best few sources are looked at twice: the predictor that ranks
in the end has seen the user's own images through their features. The best of these is also looked
at in the larger sizes that the limits allow, as a network is stored in one size alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tans.costs.limits import DEFAULT, Array, allowed, costs_of, fits, shortened, shortest
from tans.errors import InputError, LimitError
from tans.meta.calibrator import Calibrator
from tans.meta.data import parts_of
from tans.meta.evidence import evidence
from tans.meta.retriever import Retriever
from tans.networks.features import image_features
from tans.search.look import IMAGES as LOOKED_AT
from tans.search.look import Look, look_larger, second_look
from tans.tasks.task import Task
from tans.types import Constraints, Match, ZooEntry
from tans.zoo.licensing import Licensing
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, QUERY_IMAGES, Zoo, at_size


@dataclass(frozen=True)
class SearchResult(Sequence[Match]):
    """Matches, best first, what speaks for them, and the time they took."""

    matches: tuple[Match, ...]
    embedding_s: float
    """Seconds from images to the query embedding: decode, features, encoder."""
    search_s: float
    """Seconds from the query embedding to the ranked list, calibrations and looks not counted."""
    look_s: float = 0.0
    """Seconds of the second look."""
    looks: tuple[Look, ...] = ()
    """Sources that were looked at, the most similar first, then ImageNet's, then the best of the
    former in larger sizes."""
    related: bool | None = None
    """Whether a source is expected to beat ImageNet; None when that was not looked into."""
    latency_error: float | None = None
    """Mean relative error of the predicted latencies; None where they were not asked for."""
    epochs: int = 0
    """Of the default fine-tune, which accuracies are predicted for."""
    shortened: int | None = None
    """Epochs that minutes are limited for, where nothing fits for as many as usual."""
    forbidden: int = 0
    """Networks left out, since a licence of what they came from forbids commercial use, or none is
    known."""

    def look_share(self, training_s: float) -> float:
        """What the second look takes of the whole, a training of so many seconds after it."""
        return self.look_s / (self.embedding_s + self.search_s + self.look_s + training_s)

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Match, ...]: ...
    def __getitem__(self, index: int | slice) -> Match | tuple[Match, ...]:
        return self.matches[index]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Networks, with all that is known of them."""

    entries: tuple[ZooEntry, ...]
    costs: dict[str, Array]
    """Per limit, (n,)."""
    similarity: Array
    """(n,)."""
    predicted: Array
    """(n,)."""
    low: Array | None = None
    high: Array | None = None
    score: Array | None = None
    """What they are ranked by where several may be predicted to reach 100 %, (n,)."""

    def take(self, rows: Sequence[int] | NDArray[np.int_]) -> _Candidates:
        """Some of them, in the order of the rows."""
        kept = np.asarray(rows, dtype=int)
        return _Candidates(
            tuple(self.entries[row] for row in kept),
            {name: values[kept] for name, values in self.costs.items()},
            self.similarity[kept],
            self.predicted[kept],
            None if self.low is None else self.low[kept],
            None if self.high is None else self.high[kept],
            None if self.score is None else self.score[kept],
        )

    def joined(self, others: _Candidates) -> _Candidates:
        """These and others, while no accuracy is expected of either yet."""
        return _Candidates(
            (*self.entries, *others.entries),
            {name: np.append(values, others.costs[name]) for name, values in self.costs.items()},
            np.append(self.similarity, others.similarity),
            np.append(self.predicted, others.predicted),
        )


def search(
    task: Task,
    zoo: Zoo,
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    max_latency_ms: float | None = None,
    max_minutes: float | None = None,
    commercial: bool = False,
    top: int = 10,
    look: int = 5,
) -> SearchResult:
    """Embed a task in one forward pass and rank the networks that fit the limits (equation 6).

    The most similar sources, and ImageNet, are probed on the task's own images, and their
    networks are ranked by the accuracy that this lets expect. The one with the best probe, of the
    sources and the elastic base, is also probed in up to four larger sizes that fit the limits, as
    long as more pixels do not make its probe clearly worse; its matches have the id ``ID@SIZE``.

    Args:
        max_params: parameters, with a head for the task's classes.
        max_flops: multiply-adds for one image, likewise.
        max_latency_ms: for one image on this device, calibrated on first use.
        max_minutes: for a fine-tune by the default recipe on this device, likewise; for a shorter
            one where no network fits.
        commercial: leave out networks of which a licence, of weights, base or images, forbids
            commercial use or is not known.
        top: matches to return, at most.
        look: sources beside ImageNet that get the second look; with 0 the embeddings alone rank.

    Raises:
        InputError: a limit or ``top`` is not positive, or ``look`` is negative.
        LimitError: no stored network fits, and the message names the nearest limit that one would;
            or none allows commercial use.
        ZooError: the zoo holds no retrieval model, or what is read of it is damaged.
    """
    if top < 1 or look < 0:
        raise InputError(f"top is {top} and look {look}; expected at least 1 and at least 0")
    limits = Constraints(max_params, max_flops, max_latency_ms, max_minutes)
    retriever, calibrator = Retriever.load(zoo.retrieval), Calibrator.load(zoo.retrieval)
    entries = zoo.entries(vectors=False)
    zoo.check_tasks(entries)
    licensing = Licensing.of(zoo, entries)
    free = _free(entries, licensing) if commercial else np.ones(len(entries), dtype=bool)
    models = _embeddings(retriever, zoo, entries)  # (N, d)
    network = zoo.query_network()
    costs, error = costs_of(entries, task, limits)
    began = time.perf_counter()
    images, labels = task.sample(QUERY_IMAGES, zoo.resolution)
    query = retriever.encode_query(image_features(network, images), labels)  # (d,)
    embedded = time.perf_counter()
    usual = DEFAULT.passes(int((task.splits == 0).sum()))
    costs, within, epochs = _within(costs, entries, task, limits, free)
    stored = _Candidates(
        tuple(entries),
        costs,
        (models @ query).numpy(),
        retriever.predict(query, models).numpy(),
    )
    everything = stored.take(np.flatnonzero(within))
    found = _most_similar(everything, max(top, retriever.settings.top))
    ranked = time.perf_counter()
    looks: tuple[Look, ...] = ()
    if calibrator is not None and look:
        sources = Sources.of(zoo)
        looks = second_look(task, zoo, _worth_a_look(everything, sources, look))
        start = _best_stored(looks, sources)
        larger = _larger(stored, start, sources, task, limits, epochs)
        again = look_larger(task, zoo, larger.entries, start.accuracy)
        looks = (*looks, *again)
        everything = everything.joined(larger.take(range(len(again))))
        found = _expected(everything, looks, sources, calibrator, task.groups_learnt(LOOKED_AT))
    looked = time.perf_counter()
    score = found.predicted if found.score is None else found.score
    best = found.take(np.argsort(-score, kind="stable")[:top])
    return SearchResult(
        _matches(best, licensing),
        embedding_s=embedded - began,
        search_s=ranked - embedded,
        look_s=looked - ranked if looks else 0.0,
        looks=looks,
        related=best.entries[0].task != IMAGENET if looks else None,
        latency_error=error,
        epochs=usual,
        shortened=epochs,
        forbidden=int((~free).sum()),
    )


def _free(entries: Sequence[ZooEntry], licensing: Licensing) -> NDArray[np.bool_]:
    """Mask of the networks that may be used commercially.

    Raises:
        LimitError: it would be empty.
    """
    found = np.array([licensing.chain(entry).commercial for entry in entries], dtype=bool)
    if not found.any():
        raise LimitError(
            f"none of {len(entries)} networks allows commercial use by all licences of what it "
            "came from; search without --commercial, or give another zoo"
        )
    return found


def _within(
    costs: dict[str, Array],
    entries: Sequence[ZooEntry],
    task: Task,
    limits: Constraints,
    free: NDArray[np.bool_],
) -> tuple[dict[str, Array], NDArray[np.bool_], int | None]:
    """Costs, which entries fit, and epochs where nothing fits for as many as usual.

    Args:
        free: mask of those that are not left out.
    """
    try:
        return costs, fits(costs, limits, free), None
    except LimitError:
        costs = shortened(costs, [entry.ref for entry in entries], task)
        return costs, fits(costs, limits, free), shortest(task)


def _embeddings(retriever: Retriever, zoo: Zoo, entries: Sequence[ZooEntry]) -> Tensor:
    """Model embeddings (N, d): those computed in advance, unless networks have joined since."""
    if retriever.entries == tuple(entry.id for entry in entries):
        return retriever.matrix
    return retriever.encode_models(parts_of(zoo, retriever.settings.parts))


def _most_similar(candidates: _Candidates, count: int) -> _Candidates:
    return candidates.take(np.argsort(-candidates.similarity, kind="stable")[:count])


def _worth_a_look(candidates: _Candidates, sources: Sources, count: int) -> list[ZooEntry]:
    """The sources with the most similar networks, then the base and ImageNet where it fits.

    Of ImageNet networks of other families, too, so many are looked at.
    """
    similar = [candidates.entries[row] for row in np.argsort(-candidates.similarity, kind="stable")]
    kinds = {(e.task, e.weights): sources.stand_in(e) for e in similar if e.task != IMAGENET}
    nearest = list(kinds.values())[:count]
    sizes = [entry for entry in sources.whole[1:] if entry in candidates.entries]
    published = {entry.id for entry in sources.published}
    others = [entry for entry in similar if entry.id in published][:count]
    return [*nearest, sources.base, sources.whole[0], *sizes, *others]


def _best_stored(looks: Sequence[Look], sources: Sources) -> Look:
    """The best look at a source or the base, of those that the sizes of ImageNet's suit."""
    kind = sources.base.ref.family
    others = (entry.id for entry in sources.kinds.values() if entry.ref.family == kind)
    known = {sources.base.id, *others}
    return max((each for each in looks if each.id in known), key=lambda each: each.accuracy)


def _larger(
    stored: _Candidates,
    start: Look,
    sources: Sources,
    task: Task,
    limits: Constraints,
    epochs: int | None,
) -> _Candidates:
    """A network in the larger sizes that ImageNet's is stored for and that fit, smallest first.

    What the embeddings say of it is what they say of it as it is stored.

    Args:
        epochs: that minutes are limited for, where those are fewer than usual.
    """
    row = next(k for k, entry in enumerate(stored.entries) if entry.id == start.id)
    sizes = sorted({e.resolution for e in sources.whole if e.resolution > start.resolution})
    entries = tuple(at_size(stored.entries[row], size) for size in sizes)
    costs, _ = costs_of(entries, task, limits)
    if epochs is not None:
        costs = shortened(costs, [entry.ref for entry in entries], task)
    found = replace(stored.take([row] * len(entries)), entries=entries, costs=costs)
    return found.take(np.flatnonzero(allowed(costs, limits)))


def _expected(
    candidates: _Candidates,
    looks: Sequence[Look],
    sources: Sources,
    calibrator: Calibrator,
    groups: int,
) -> _Candidates:
    """The networks of the sources that were looked at, with the accuracies to be expected."""
    seen = {look.id: look.accuracy for look in looks}
    rows = [k for k, e in enumerate(candidates.entries) if sources.stand_in(e).id in seen]
    kept = candidates.take(rows)
    found = evidence(sources, kept.entries, seen)  # (n, columns)
    low, high = calibrator.interval(found, groups)
    return _Candidates(
        kept.entries,
        kept.costs,
        kept.similarity,
        calibrator.predict(found).numpy(),
        low.numpy(),
        high.numpy(),
        calibrator.score(found).numpy(),
    )


def _matches(best: _Candidates, licensing: Licensing) -> tuple[Match, ...]:
    return tuple(
        Match(
            id=entry.id,
            task=entry.task,
            params=int(best.costs["max_params"][row]),
            flops=int(best.costs["max_flops"][row]),
            resolution=entry.resolution,
            latency_ms=_known(best.costs.get("max_latency_ms"), row),
            minutes=_known(best.costs.get("max_minutes"), row),
            predicted_accuracy=float(best.predicted[row]),
            low=_known(best.low, row),
            high=_known(best.high, row),
            similarity=float(best.similarity[row]),
            licences=licensing.chain(entry),
        )
        for row, entry in enumerate(best.entries)
    )


def _known(values: Array | None, row: int) -> float | None:
    return None if values is None else float(values[row])
