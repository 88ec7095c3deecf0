"""Retrieve the best stored networks for a task within limits.

Reference: Jeong et al., TANS, NeurIPS 2021, section 3.1.2 and equation 6. Limits come before
ranking here, where the paper sorts first and filters afterwards: a limit then never empties the
list while something fits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tans.errors import InputError, LimitError
from tans.meta.retriever import Retriever
from tans.spaces.embedding import image_features
from tans.spaces.latency import cached_latency
from tans.spaces.specification import get_space
from tans.tasks.task import Task
from tans.types import Constraints, Match, ZooEntry
from tans.zoo.store import QUERY_IMAGES, VECTORS, Zoo

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SearchResult(Sequence[Match]):
    """Matches, best first, and the time they took."""

    matches: tuple[Match, ...]
    embedding_s: float
    """Seconds from images to the query embedding: decode, features, encoder."""
    search_s: float
    """Seconds from the query embedding to the ranked list; calibrating latency not counted."""
    latency_error: float | None = None
    """Mean relative error of the predicted latencies; None where they were not asked for."""

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


def search(
    task: Task,
    zoo: Zoo,
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    max_latency_ms: float | None = None,
    top: int = 10,
) -> SearchResult:
    """Embed a task in one forward pass and rank the networks that fit the limits (equation 6).

    The most similar, at least ``top`` and at least as many as the retrieval model was set to, are
    re-ranked by predicted accuracy.

    Args:
        max_params: parameters, with a head for the task's classes.
        max_flops: multiply-adds for one image, likewise.
        max_latency_ms: for one image on this device, calibrated on first use.

    Raises:
        InputError: a limit or ``top`` is not positive.
        LimitError: no stored network fits; names the nearest limit that one would.
        ZooError: the zoo holds no retrieval model.
    """
    if top < 1:
        raise InputError(f"top is {top}; expected at least 1")
    limits = Constraints(max_params, max_flops, max_latency_ms)
    retriever = Retriever.load(zoo.retrieval)
    entries = zoo.entries(vectors=False)
    models = _embeddings(retriever, zoo, entries)  # (N, d)
    network = zoo.query_network()
    timing = max_latency_ms is not None
    latencies, error = _latencies(entries, len(task.classes)) if timing else (None, None)
    began = time.perf_counter()
    images, labels = task.sample(QUERY_IMAGES, zoo.resolution)
    query = retriever.encode_query(image_features(network, images), labels)  # (d,)
    embedded = time.perf_counter()
    costs = _costs(entries, len(task.classes), latencies)
    rows = np.flatnonzero(_fits(costs, limits))
    similarity = (models[rows] @ query).numpy()  # (fitting,)
    nearest = np.argsort(-similarity, kind="stable")[: max(top, retriever.settings.top)]
    rows, similarity = rows[nearest], similarity[nearest]  # (candidates,)
    predicted = retriever.predict(query, models[rows]).numpy()  # (candidates,)
    matches = tuple(
        _match(entries[rows[k]], costs, rows[k], predicted[k], similarity[k])
        for k in np.argsort(-predicted, kind="stable")[:top]
    )
    return SearchResult(matches, embedded - began, time.perf_counter() - embedded, error)


def _embeddings(retriever: Retriever, zoo: Zoo, entries: Sequence[ZooEntry]) -> Tensor:
    """Model embeddings (N, d): those computed in advance, unless networks have joined since."""
    if retriever.entries == tuple(entry.id for entry in entries):
        return retriever.matrix
    parts = {name: torch.from_numpy(zoo.matrix(name)) for name in VECTORS}
    return retriever.encode_models(parts)


def _costs(entries: Sequence[ZooEntry], classes: int, latencies: Array | None) -> dict[str, Array]:
    """Per limit, what each entry needs (N,); latency only where it is known."""
    features = np.array([get_space(e.architecture.space).features for e in entries])
    costs = {
        "max_params": np.array([e.params for e in entries]) + (features + 1.0) * classes,
        "max_flops": np.array([e.flops for e in entries]) + features * float(classes),
    }
    return costs if latencies is None else {**costs, "max_latency_ms": latencies}


def _latencies(entries: Sequence[ZooEntry], classes: int) -> tuple[Array, float]:
    """Milliseconds (N,) on this device, calibrated on first use, and their relative error."""
    models = {
        key: cached_latency(get_space(key[0]), key[1])
        for key in {(e.architecture.space, e.resolution) for e in entries}
    }
    predicted = [
        models[e.architecture.space, e.resolution].predict(e.architecture, classes, e.resolution)
        for e in entries
    ]
    return np.array(predicted), max(model.error for model in models.values())


def _fits(costs: dict[str, Array], limits: Constraints) -> NDArray[np.bool_]:
    """Mask of entries within every limit.

    Raises:
        LimitError: the mask would be empty.
    """
    within = {
        name: costs[name] <= limit for name, limit in vars(limits).items() if limit is not None
    }
    everyone = np.ones(len(costs["max_params"]), dtype=bool)
    fits = np.logical_and.reduce([everyone, *within.values()])
    if fits.any():
        return fits
    asked = ", ".join(f"{name} {vars(limits)[name]:g}" for name in within)
    raise LimitError(f"no network in the zoo fits {asked}; {_nearest_limit(costs, within)}")


def _nearest_limit(costs: dict[str, Array], within: dict[str, NDArray[np.bool_]]) -> str:
    """What to raise: one limit where that is enough, else all to those of the smallest network."""
    enough = []
    for name in within:
        others = np.logical_and.reduce(
            [np.ones(len(costs[name]), dtype=bool), *(m for n, m in within.items() if n != name)]
        )
        if others.any():
            enough.append(f"{name} {_round_up(costs[name][others].min()):g}")
    if enough:
        return f"the nearest limit that one would fit is {' or '.join(enough)}"
    smallest = int(costs["max_params"].argmin())
    return "the smallest needs " + ", ".join(
        f"{name} {_round_up(costs[name][smallest]):g}" for name in within
    )


def _round_up(value: float) -> float:
    """Four digits, never below ``value``, so that the limit named is one that works."""
    step = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(np.ceil(value / step) * step)


def _match(
    entry: ZooEntry, costs: dict[str, Array], row: int, predicted: float, similarity: float
) -> Match:
    return Match(
        id=entry.id,
        task=entry.task,
        params=int(costs["max_params"][row]),
        flops=int(costs["max_flops"][row]),
        resolution=entry.resolution,
        latency_ms=float(costs["max_latency_ms"][row]) if "max_latency_ms" in costs else None,
        predicted_accuracy=float(predicted),
        similarity=float(similarity),
        licence=entry.licence,
    )
