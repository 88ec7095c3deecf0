"""The networks of a zoo by row, of which few become candidates, and matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tans.costs.limits import Array
from tans.errors import LimitError, ZooError
from tans.meta.data import parts_of
from tans.meta.retriever import Retriever
from tans.search.vectors import Vectors, kept_codes
from tans.types import Match, ZooEntry
from tans.zoo.columns import LICENCE, Columns
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo


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


@dataclass(frozen=True, eq=False)
class Stored:
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


def free_of(columns: Columns, licensing: Licensing) -> NDArray[np.bool_]:
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


def embeddings(retriever: Retriever, zoo: Zoo, columns: Columns) -> Vectors:
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


def matches_of(best: Candidates, licensing: Licensing) -> tuple[Match, ...]:
    """Candidates as a search proposes them, in their order."""
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
