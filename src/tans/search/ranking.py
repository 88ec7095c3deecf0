"""Rank the stored networks for a task.

Reference: Jeong et al., TANS, NeurIPS 2021, section 3.1.2 and equation 6. Limits come before
ranking here, where the paper sorts first and filters afterwards: a limit then never empties the
list while something fits. And the best few sources are looked at twice: the predictor that ranks
in the end has seen the user's own images through their features. The best of these is also looked
at in the larger sizes that the limits allow, as a network is stored in one size alone.

The paper's own search is the method ``paper``: nearest first, then its predictor, limits last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tans.build.crew import Crew
from tans.costs.limits import (
    DEFAULT,
    Array,
    Counted,
    allowed,
    costs_of,
    fits,
    shortened,
    shortest,
)
from tans.errors import InputError, LimitError, ZooError
from tans.meta.calibrator import Calibrator
from tans.meta.data import parts_of
from tans.meta.evidence import evidence
from tans.meta.published import published_retriever
from tans.meta.retriever import Retriever
from tans.search.look import IMAGES as LOOKED_AT
from tans.search.look import Look, Tried, look_larger, second_look
from tans.search.query import Query, check_fits, embed_by
from tans.search.vectors import Vectors, kept_codes
from tans.tasks.task import Task
from tans.training import PUBLISHED
from tans.types import Constraints, Match, ZooEntry
from tans.zoo.columns import LICENCE, Columns
from tans.zoo.licensing import Licensing
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo, at_size

UNJUDGED = (
    "this zoo has no calibrator, which judges a second look, so embeddings alone rank and "
    "accuracies are rough; 'tans zoo transfers' and then 'tans train' make one"
)
OWN, PAPER = "tans", "paper"
METHODS = {
    OWN: "limits first, then embeddings, then looks at the images",
    PAPER: "as published: the nearest by embeddings, the best predicted of them, limits afterwards",
}
"""How a zoo is searched."""


@dataclass(frozen=True)
class SearchResult(Sequence[Match]):
    """Matches, best first, what speaks for them, and the time they took."""

    matches: tuple[Match, ...]
    embedding_s: float
    """Seconds from images to the query embedding: decode, features, encoder; 0 where a query came
    in their place."""
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
    """Of the method's fine-tune, which accuracies are predicted for; the paper's predictor learnt
    from how networks do on tasks of their own."""
    shortened: int | None = None
    """Epochs that minutes are limited for, where nothing fits for as many as usual."""
    forbidden: int = 0
    """Networks left out, since a licence of what they came from forbids commercial use, or none is
    known."""
    query: Query | None = None
    """What was embedded of the task."""
    tried: tuple[Tried, ...] = ()
    """Networks of the catalogue that were fetched and looked at, in that order."""
    notes: tuple[str, ...] = ()
    """What is to be told of the search, a sentence each."""
    method: str = OWN
    """One of ``METHODS``."""

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
class Candidates:
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

    def take(self, rows: Sequence[int] | NDArray[np.int_]) -> Candidates:
        """Some of them, in the order of the rows."""
        kept = np.asarray(rows, dtype=int)
        return Candidates(
            tuple(self.entries[row] for row in kept),
            {name: values[kept] for name, values in self.costs.items()},
            self.similarity[kept],
            self.predicted[kept],
            None if self.low is None else self.low[kept],
            None if self.high is None else self.high[kept],
            None if self.score is None else self.score[kept],
        )

    def joined(self, others: Candidates) -> Candidates:
        """These and others, while no accuracy is expected of either yet."""
        return Candidates(
            (*self.entries, *others.entries),
            {name: np.append(values, others.costs[name]) for name, values in self.costs.items()},
            np.append(self.similarity, others.similarity),
            np.append(self.predicted, others.predicted),
        )


def search(
    task: Task | Query,
    zoo: Zoo,
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    max_latency_ms: float | None = None,
    max_minutes: float | None = None,
    commercial: bool = False,
    top: int = 10,
    look: int = 5,
    method: str = OWN,
    crew: Crew | None = None,
) -> SearchResult:
    """Embed a task in one forward pass and rank the networks that fit the limits (equation 6).

    The most similar sources, and ImageNet, are probed on the task's own images, and their
    networks are ranked by the accuracy that this lets expect. The one with the best probe, of the
    sources and the elastic base, is also probed in up to four larger sizes that fit the limits, as
    long as more pixels do not make its probe clearly worse; its matches have the id ``ID@SIZE``.

    Args:
        task: or a query that was made of one; then the embeddings alone rank, as there are no
            images to look at.
        max_params: parameters, with a head for the task's classes.
        max_flops: multiply-adds for one image, likewise.
        max_latency_ms: for one image on this device, calibrated on first use.
        max_minutes: for a fine-tune by the default recipe on this device, likewise; for a shorter
            one where no network fits.
        commercial: leave out networks of which a licence, of weights, base or images, forbids
            commercial use or is not known.
        top: matches to return, at most.
        look: sources beside ImageNet that get the second look; with 0 the embeddings alone rank.
        method: one of ``METHODS``. ``paper`` searches as published: the 10 most similar of the
            networks that were trained on a task, those of them that fit, the best predicted first.
            It takes no look and knows no limit of minutes. Where the zoo's retriever was not
            trained with the preset ``paper``, one is, on first use, in about a minute.
        crew: that looks at several side by side; None looks at one after another here.

    Raises:
        InputError: a limit or ``top`` is not positive, or ``look`` is negative; a query is of
            another retriever; there is no such method, or it does not know what is asked for.
        LimitError: no stored network fits, and the message names the nearest limit that one would;
            or none allows commercial use.
        ZooError: the zoo holds no retrieval model, or what is read of it is damaged.
    """
    if top < 1 or look < 0:
        raise InputError(f"top is {top} and look {look}; expected at least 1 and at least 0")
    limits = Constraints(max_params, max_flops, max_latency_ms, max_minutes)
    check_method(method, limits)
    if method == PAPER:
        return _search_as_published(task, zoo, limits, commercial, top)
    retriever, calibrator = Retriever.load(zoo.retrieval), Calibrator.load(zoo.retrieval)
    columns = zoo.columns()
    licensing = Licensing.of(zoo, columns)
    networks, kind = columns.networks
    zoo.check_tasks(columns.entries(columns.kinds("task")[0]))
    free = _free(columns, licensing) if commercial else np.ones(len(columns), dtype=bool)
    make_query = _embedding(task, zoo, retriever)
    models = _embeddings(retriever, zoo, columns)  # (N, d)
    costs, error = costs_of(networks, task, limits)
    began = time.perf_counter()
    asked = make_query()
    embedded = time.perf_counter()
    usual = DEFAULT.passes(task.split_sizes[0])
    costs, within, epochs = _within(costs, networks, kind, task, limits, free)
    stored = _Stored(columns, costs, kind, models, asked.vector, retriever)
    found = stored.take(stored.nearest(max(top, retriever.settings.top), within))
    ranked = time.perf_counter()
    looks: tuple[Look, ...] = ()
    if calibrator is not None and look and not isinstance(task, Query):
        sources = Sources.of(zoo, columns)
        worth = _worth_a_look(stored, within, sources, look)
        looks = second_look(task, zoo, worth.first, crew)
        looks += look_larger(task, zoo, worth.sizes, looks[-1].accuracy)
        looks += second_look(task, zoo, worth.others, crew)
        start = _best_stored(looks, sources)
        larger = _larger(stored, start, sources, task, limits, epochs)
        again = look_larger(task, zoo, larger.entries, start.accuracy)
        looks += again
        seen = stored.take(_looked_at(columns, within, sources, looks))
        everything = seen.joined(larger.take(range(len(again))))
        found = expected(everything, looks, sources, calibrator, task.groups_learnt(LOOKED_AT))
    looked = time.perf_counter()
    score = found.predicted if found.score is None else found.score
    best = found.take(np.argsort(-score, kind="stable")[:top])
    return SearchResult(
        matches_of(best, licensing),
        embedding_s=0.0 if isinstance(task, Query) else embedded - began,
        search_s=ranked - embedded,
        look_s=looked - ranked if looks else 0.0,
        looks=looks,
        related=best.entries[0].task != IMAGENET if looks else None,
        latency_error=error,
        epochs=usual,
        shortened=epochs,
        forbidden=int((~free).sum()),
        query=asked,
        notes=(UNJUDGED,) if calibrator is None and look and not isinstance(task, Query) else (),
    )


def check_method(method: str, limits: Constraints) -> None:
    """Refuse a method that there is not, or limits that it does not know.

    Raises:
        InputError: it is so.
    """
    if method not in METHODS:
        raise InputError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    if method == PAPER and limits.max_minutes is not None:
        raise InputError(
            "the paper's method knows limits of parameters, multiply-adds and latency, and not of "
            "minutes; leave --max-minutes out and give --epochs, or leave --method paper out"
        )


def _search_as_published(
    task: Task | Query, zoo: Zoo, limits: Constraints, commercial: bool, top: int
) -> SearchResult:
    """The paper's own search (section 3.1.2): equation 6, the predictor, and limits at the end."""
    if isinstance(task, Query):
        raise InputError(
            "a query was embedded by the zoo's own encoders, and the paper's method has others; "
            "search where the images lie, or leave --method paper out"
        )
    retriever, columns = published_retriever(zoo), zoo.columns()
    licensing = Licensing.of(zoo, columns)
    networks, kind = columns.networks
    zoo.check_tasks(columns.entries(columns.kinds("task")[0]))
    free = _free(columns, licensing) if commercial else np.ones(len(columns), dtype=bool)
    pairs = _pairs(zoo, columns)
    if not (pairs & free).any():
        raise LimitError(
            "no network of this zoo that was trained on a task allows commercial use, and the "
            "paper's method finds no others; leave --commercial or --method paper out"
        )
    models = _embeddings(retriever, zoo, columns)  # (N, d)
    costs, error = costs_of(networks, task, limits, deep_head=PUBLISHED.deep_head)
    some = np.zeros(len(networks), dtype=bool)
    some[kind[pairs & free]] = True
    within = fits(costs, limits, some)[kind] & free & pairs
    began = time.perf_counter()
    asked = embed_by(retriever, zoo.query_network(), task, zoo)
    embedded = time.perf_counter()
    stored = _Stored(columns, costs, kind, models, asked.vector, retriever)
    rows, notes = _nearest_that_fit(stored, pairs, within, retriever.settings.top)
    found = stored.take(rows)
    best = found.take(np.argsort(-found.predicted, kind="stable")[:top])
    return SearchResult(
        matches_of(best, licensing),
        embedding_s=embedded - began,
        search_s=time.perf_counter() - embedded,
        latency_error=error,
        epochs=PUBLISHED.passes(task.split_sizes[0]),
        forbidden=int((~free).sum()),
        query=asked,
        notes=notes,
        method=PAPER,
    )


def _pairs(zoo: Zoo, columns: Columns) -> NDArray[np.bool_]:
    """Mask (n,) of the pairs of a task and a network trained on it, which the paper's zoo is of."""
    first, kind = columns.kinds("task")
    asked_for = {task.name for task in zoo.tasks() if task.features}
    return np.array([entry.task in asked_for for entry in columns.entries(first)])[kind]


def _nearest_that_fit(
    stored: _Stored, pairs: NDArray[np.bool_], within: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Those within a mask (n,) of the so many nearest pairs, and what is to be told.

    Where nothing of these fits, twice as many are retrieved, until something does.
    """
    usual = count
    while True:
        nearest = stored.nearest(count, pairs)
        kept = nearest[within[nearest]]
        if len(kept):
            break
        count *= 2
    if len(kept) == len(nearest):
        return kept, ()
    none = f"none of the {usual} nearest networks fits; " if count > usual else ""
    told = f"{none}of the {len(nearest)} nearest it chose among the {len(kept)} within them"
    return kept, (f"limits are applied last, as in the paper: {told}",)


def _embedding(task: Task | Query, zoo: Zoo, retriever: Retriever) -> Callable[[], Query]:
    """What makes the query, with all read that it needs but the images."""
    if not isinstance(task, Query):
        return partial(embed_by, retriever, zoo.query_network(), task, zoo)
    check_fits(task, zoo, retriever)
    return lambda: task


@dataclass(frozen=True, eq=False)
class _Stored:
    """All networks of a zoo, by row, of which few become objects."""

    columns: Columns
    costs: dict[str, Array]
    """Per limit, (k,), of each kind of network."""
    kind: NDArray[np.int64]
    """Of each row, (n,)."""
    models: Vectors
    """(n, d)."""
    query: Tensor
    """(d,)."""
    retriever: Retriever

    def nearest(self, count: int, within: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows of the most similar of those within a mask (n,), the most similar first."""
        return self.models.nearest(self.query.numpy(), count, within)[0]

    def take(self, rows: NDArray[np.int64]) -> Candidates:
        """Those of some rows, with all that is known of them."""
        models = torch.from_numpy(self.models.matrix[rows])  # (m, d)
        return Candidates(
            tuple(self.columns.entries(rows)),
            {name: values[self.kind[rows]] for name, values in self.costs.items()},
            (models @ self.query).numpy(),
            self.retriever.predict(self.query, models).numpy(),
        )


def _free(columns: Columns, licensing: Licensing) -> NDArray[np.bool_]:
    """Mask of the networks that may be used commercially.

    Raises:
        LimitError: it would be empty.
    """
    first, kind = columns.kinds(*LICENCE)
    of_kind = [licensing.chain(entry).commercial for entry in columns.entries(first)]
    found = np.array(of_kind, dtype=bool)[kind]
    if not found.any():
        raise LimitError(
            f"none of {len(columns)} networks allows commercial use by all licences of what it "
            "came from; search without --commercial, or give another zoo"
        )
    return found


def _within(
    costs: dict[str, Array],
    networks: Sequence[ZooEntry],
    kind: NDArray[np.int64],
    task: Counted,
    limits: Constraints,
    free: NDArray[np.bool_],
) -> tuple[dict[str, Array], NDArray[np.bool_], int | None]:
    """Costs (k,), which rows fit (n,), and epochs where nothing fits for as many as usual.

    Args:
        costs: per limit, of each kind of network (k,).
        kind: of each row, (n,).
        free: mask (n,) of those that are not left out.
    """
    some = np.zeros(len(networks), dtype=bool)
    some[kind[free]] = True
    try:
        fitting, epochs = fits(costs, limits, some), None
    except LimitError:
        costs = shortened(costs, [entry.ref for entry in networks], task)
        fitting, epochs = fits(costs, limits, some), shortest(task)
    return costs, fitting[kind] & free, epochs


def _embeddings(retriever: Retriever, zoo: Zoo, columns: Columns) -> Vectors:
    """Model embeddings (N, d): those computed in advance, unless networks have joined since.

    Raises:
        ZooError: there are more or fewer than networks that they are said to be of.
    """
    if retriever.networks == columns.digest:
        matrix = retriever.matrix.numpy()
        if len(matrix) != len(columns):
            raise ZooError(
                f"the retriever in {zoo.retrieval} has embeddings of {len(matrix):,} networks, and "
                f"is said to be of all {len(columns):,}; train it anew with 'tans train'"
            )
        return Vectors(matrix, kept_codes(matrix, retriever.stored))
    return Vectors(retriever.encode_models(parts_of(zoo, retriever.settings.parts)).numpy())


@dataclass(frozen=True)
class _Worth:
    """Networks that get a look, in this order."""

    first: tuple[ZooEntry, ...]
    """The sources with the most similar networks, the base, and ImageNet's network in its smallest
    size."""
    sizes: tuple[ZooEntry, ...]
    """This in the larger ones that fit, the smallest first."""
    others: tuple[ZooEntry, ...]
    """ImageNet networks of other families."""


def _worth_a_look(
    stored: _Stored, within: NDArray[np.bool_], sources: Sources, count: int
) -> _Worth:
    """The so many sources with the most similar networks, and as many of other families."""
    published = stored.columns.equals("task", IMAGENET)
    stand_ins, source = stored.columns.sources
    nearest = _first_kinds(stored, within & ~published, source, count)
    rows = stored.nearest(int(published.sum()), within & published)
    of_imagenet = stored.columns.entries(rows)
    fitting = {entry.id for entry in of_imagenet}
    others = [e for e in of_imagenet if e.id in {each.id for each in sources.published}][:count]
    return _Worth(
        (*stored.columns.entries(stand_ins[nearest]), sources.base, sources.whole[0]),
        tuple(entry for entry in sources.whole[1:] if entry.id in fitting),
        tuple(others),
    )


def _first_kinds(
    stored: _Stored, within: NDArray[np.bool_], kind: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """The kinds that the most similar rows are of, so many, the most similar first."""
    left, asked = int(within.sum()), 64 * count
    while True:
        of_nearest = kind[stored.nearest(asked, within)]
        _, first = np.unique(of_nearest, return_index=True)
        if len(first) >= count or asked >= left:
            return of_nearest[np.sort(first)[:count]]
        asked *= 8


def _looked_at(
    columns: Columns, within: NDArray[np.bool_], sources: Sources, looks: Sequence[Look]
) -> NDArray[np.int64]:
    """Rows within a mask (n,) of the networks that a look speaks for."""
    stand_ins, source = columns.sources
    seen = {look.id for look in looks}
    spoken_for = np.array([entry.id in seen for entry in columns.entries(stand_ins)])[source]
    published = np.flatnonzero(columns.equals("task", IMAGENET))
    spoken_for[published] = [
        sources.stand_in(entry).id in seen for entry in columns.entries(published)
    ]
    return np.flatnonzero(spoken_for & within)


def _best_stored(looks: Sequence[Look], sources: Sources) -> Look:
    """The best look at a source or the base, of those that the sizes of ImageNet's suit."""
    kind = sources.base.ref.family
    others = (entry.id for entry in sources.kinds.values() if entry.ref.family == kind)
    known = {sources.base.id, *others}
    return max((each for each in looks if each.id in known), key=lambda each: each.accuracy)


def _larger(
    stored: _Stored,
    start: Look,
    sources: Sources,
    task: Task,
    limits: Constraints,
    epochs: int | None,
) -> Candidates:
    """A network in the larger sizes that ImageNet's is stored for and that fit, smallest first.

    What the embeddings say of it is what they say of it as it is stored.

    Args:
        epochs: that minutes are limited for, where those are fewer than usual.
    """
    known = stored.take(np.array([stored.columns.row(start.id)]))
    sizes = sorted({e.resolution for e in sources.whole if e.resolution > start.resolution})
    entries = tuple(at_size(known.entries[0], size) for size in sizes)
    costs, _ = costs_of(entries, task, limits)
    if epochs is not None:
        costs = shortened(costs, [entry.ref for entry in entries], task)
    found = replace(known.take([0] * len(entries)), entries=entries, costs=costs)
    return found.take(np.flatnonzero(allowed(costs, limits)))


def expected(
    candidates: Candidates,
    looks: Sequence[Look],
    sources: Sources,
    calibrator: Calibrator,
    groups: int,
) -> Candidates:
    """The networks of the sources that were looked at, with the accuracies to be expected."""
    seen = {look.id: look.accuracy for look in looks}
    rows = [k for k, e in enumerate(candidates.entries) if sources.stand_in(e).id in seen]
    kept = candidates.take(rows)
    found = evidence(sources, kept.entries, seen)  # (n, columns)
    low, high = calibrator.interval(found, groups)
    return Candidates(
        kept.entries,
        kept.costs,
        kept.similarity,
        calibrator.predict(found).numpy(),
        low.numpy(),
        high.numpy(),
        calibrator.score(found).numpy(),
    )


def matches_of(best: Candidates, licensing: Licensing) -> tuple[Match, ...]:
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
