"""Ask a zoo of the release with query features, as the paper does: no image is needed.

Reference: Jeong et al., TANS, NeurIPS 2021, equation 6; of the nearest networks, the one is taken
that the predictor finds best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from tans.costs.limits import Array, fits
from tans.errors import InputError, ZooError
from tans.meta.metrics import Retrieval, retrieval
from tans.meta.retriever import Retriever
from tans.networks.family import head_width
from tans.types import Constraints, Match, ZooEntry
from tans.zoo.columns import ids_digest
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo
from tans_bench.release.contents import Query


def ask(
    zoo: Zoo,
    query: Query,
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    top: int = 10,
) -> tuple[Match, ...]:
    """The nearest networks that fit, by cosine, the one with the best predicted accuracy first.

    Args:
        max_params: parameters, with a head for the query's classes.
        max_flops: multiply-adds for one image, likewise.
        top: matches to return, at most; so many, and as many as the preset says at least, are
            ranked by the predictor.

    Raises:
        InputError: a limit or ``top`` is not positive, or the features are of another width than
            the zoo's.
        LimitError: no network fits; the message names the nearest limit that one would.
        ZooError: the zoo holds no retrieval model, or one of other networks.
    """
    if top < 1:
        raise InputError(f"top is {top}; expected at least 1")
    limits = Constraints(max_params, max_flops)
    retriever, entries = _learnt(zoo)
    costs = _costs(entries, len(query.classes))
    within = np.flatnonzero(fits(costs, limits))
    embedding = retriever.encode_query(query.features, query.labels)  # (d,)
    similarity = retriever.matrix @ embedding  # (n,)
    predicted = retriever.predict(embedding, retriever.matrix)  # (n,)
    nearest = within[np.argsort(-similarity.numpy()[within], kind="stable")]
    nearest = nearest[: max(top, retriever.settings.top)]
    best = nearest[np.argsort(-predicted.numpy()[nearest], kind="stable")][:top]
    licensing = Licensing.of(zoo)
    return tuple(
        Match(
            id=entry.id,
            task=entry.task,
            params=int(costs["max_params"][row]),
            flops=int(costs["max_flops"][row]),
            resolution=entry.resolution,
            latency_ms=None,
            minutes=None,
            predicted_accuracy=float(predicted[row]),
            low=None,
            high=None,
            similarity=float(similarity[row]),
            licences=licensing.chain(entry),
        )
        for row, entry in ((row, entries[row]) for row in best.tolist())
    )


def judge(zoo: Zoo, queries: Mapping[str, Query]) -> Retrieval:
    """How high each dataset's own networks rank for its query, among all, as in the paper's table.

    Args:
        queries: by dataset, of images that were not learnt from.

    Raises:
        InputError: the zoo has networks of none of these datasets.
        ZooError: as ``ask``.
    """
    retriever, entries = _learnt(zoo)
    names = list(dict.fromkeys(entry.task for entry in entries))
    asked = [name for name in names if name in queries]
    if not asked:
        raise InputError(
            f"the zoo in {zoo.path} has no networks of these {len(queries)} datasets; give the "
            "queries of the release that it was made of"
        )
    embedded = torch.stack(
        [retriever.encode_query(queries[name].features, queries[name].labels) for name in asked]
    )  # (q, d)
    own = torch.tensor([names.index(name) for name in asked])
    tasks = torch.tensor([names.index(entry.task) for entry in entries])
    return retrieval(embedded @ retriever.matrix.T, tasks, own)


def _learnt(zoo: Zoo) -> tuple[Retriever, list[ZooEntry]]:
    """The retrieval model of a zoo, and its networks in the same order."""
    retriever, entries = Retriever.load(zoo.retrieval), zoo.entries(vectors=False)
    if retriever.networks != ids_digest(entry.id for entry in entries):
        raise ZooError(
            f"the retrieval model in {zoo.retrieval} is of other networks; train it anew with "
            "'tans train --preset paper'"
        )
    return retriever, entries


def _costs(entries: Sequence[ZooEntry], classes: int) -> dict[str, Array]:
    """Per limit, what each network needs with a head, (n,)."""
    widths = np.array([head_width(entry.ref) for entry in entries])
    return {
        "max_params": np.array([e.body_params for e in entries]) + (widths + 1.0) * classes,
        "max_flops": np.array([e.body_flops for e in entries]) + widths * float(classes),
    }
