"""The paper's own search: nearest first, then its predictor, limits last.

Reference: Jeong et al., Task-Adaptive Neural Network Search with Meta-Contrastive Learning,
NeurIPS 2021, section 3.1.2.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from tans.costs.limits import costs_of, fits
from tans.errors import InputError, LimitError
from tans.meta.published import published_retriever
from tans.search.query import Query, embed_by
from tans.search.result import PAPER, SearchResult
from tans.search.stored import Stored, embeddings, free_of, matches_of
from tans.tasks.task import Task
from tans.training import PUBLISHED
from tans.types import Constraints
from tans.zoo.columns import Columns
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo


def search_as_published(
    task: Task | Query, zoo: Zoo, limits: Constraints, commercial: bool, top: int
) -> SearchResult:
    """The paper's own search (section 3.1.2): equation 6, the predictor, and limits at the end.

    Raises:
        InputError: a query came in place of images.
        LimitError: nothing fits the limits, or nothing that may be found is free for commercial
            use.
        ZooError: such a retriever cannot be trained on the zoo, or what is read of it is damaged.
    """
    if isinstance(task, Query):
        raise InputError(
            "a query was embedded by the zoo's own encoders, and the paper's method has others; "
            "search where the images lie, or leave --method paper out"
        )
    retriever, columns = published_retriever(zoo), zoo.columns()
    licensing = Licensing.of(zoo, columns)
    networks, kind = columns.networks
    zoo.check_tasks(columns.entries(columns.kinds("task")[0]))
    free = free_of(columns, licensing) if commercial else np.ones(len(columns), dtype=bool)
    pairs = _pairs(zoo, columns)
    if not (pairs & free).any():
        raise LimitError(
            "no network of this zoo that was trained on a task allows commercial use, and the "
            "paper's method finds no others; leave --commercial or --method paper out"
        )
    models = embeddings(retriever, zoo, columns)  # (N, d)
    costs, error = costs_of(networks, task, limits, deep_head=PUBLISHED.deep_head)
    some = np.zeros(len(networks), dtype=bool)
    some[kind[pairs & free]] = True
    within = fits(costs, limits, some)[kind] & free & pairs
    began = time.perf_counter()
    asked = embed_by(retriever, zoo.query_network(), task, zoo)
    embedded = time.perf_counter()
    stored = Stored(columns, costs, kind, models, asked.vector, retriever)
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
    stored: Stored, pairs: NDArray[np.bool_], within: NDArray[np.bool_], count: int
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
