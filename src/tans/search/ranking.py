"""Rank the stored networks for a task.

Reference: Jeong et al., TANS, NeurIPS 2021, section 3.1.2 and equation 6. Limits come before
ranking here, where the paper sorts first and filters afterwards: a limit then never empties the
list while something fits. And the best few sources are looked at twice: the predictor that ranks
in the end has seen the user's own images through their features. The best of these is also looked
at in the larger sizes that the limits allow, as a network is stored in one size alone.

The paper's own search is the method ``paper``, in a file of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

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
from tans.errors import InputError, LimitError
from tans.meta.calibrator import Calibrator
from tans.meta.evidence import evidence
from tans.meta.retriever import Retriever
from tans.networks.allocation import memory_kept
from tans.search.look import IMAGES as LOOKED_AT
from tans.search.look import Look, look_larger, second_look
from tans.search.published import search_as_published
from tans.search.query import Query, check_fits, embed_by
from tans.search.result import METHODS, OWN, PAPER, SearchResult
from tans.search.stored import Candidates, Stored, embeddings, free_of, matches_of
from tans.tasks.task import Task
from tans.types import Constraints, ZooEntry
from tans.zoo.columns import Columns
from tans.zoo.ids import at_size
from tans.zoo.licensing import Licensing
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo

UNJUDGED = (
    "this zoo has no calibrator, which judges a second look, so embeddings alone rank and "
    "accuracies are rough; 'tans zoo transfers' and then 'tans train' make one"
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
        return search_as_published(task, zoo, limits, commercial, top)
    retriever, calibrator = Retriever.load(zoo.retrieval), Calibrator.load(zoo.retrieval)
    columns = zoo.columns()
    licensing = Licensing.of(zoo, columns)
    networks, kind = columns.networks
    zoo.check_tasks(columns.entries(columns.kinds("task")[0]))
    free = free_of(columns, licensing) if commercial else np.ones(len(columns), dtype=bool)
    make_query = _embedding(task, zoo, retriever)
    models = embeddings(retriever, zoo, columns)  # (N, d)
    costs, error = costs_of(networks, task, limits)
    began = time.perf_counter()
    asked = make_query()
    embedded = time.perf_counter()
    usual = DEFAULT.passes(task.split_sizes[0])
    costs, within, epochs = _within(costs, networks, kind, task, limits, free)
    stored = Stored(columns, costs, kind, models, asked.vector, retriever)
    found = stored.take(stored.nearest(max(top, retriever.settings.top), within))
    ranked = time.perf_counter()
    looks: tuple[Look, ...] = ()
    if calibrator is not None and look and not isinstance(task, Query):
        sources = Sources.of(zoo, columns)
        worth = _worth_a_look(stored, within, sources, look)
        with memory_kept():
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


def _embedding(task: Task | Query, zoo: Zoo, retriever: Retriever) -> Callable[[], Query]:
    """What makes the query, with all read that it needs but the images."""
    if not isinstance(task, Query):
        return partial(embed_by, retriever, zoo.query_network(), task, zoo)
    check_fits(task, zoo, retriever)
    return lambda: task


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
    stored: Stored, within: NDArray[np.bool_], sources: Sources, count: int
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
    stored: Stored, within: NDArray[np.bool_], kind: NDArray[np.int64], count: int
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
    stored: Stored,
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
