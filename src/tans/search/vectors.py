"""The rows of a matrix with the largest inner products with a query.

Up to some tens of thousands of rows a scan of all costs less than anything else in a search. Beyond
that, rows are first compared by codes of four bits for every two numbers, which a processor looks
up many at a time; the inner products of the best by codes decide. Where limits leave few rows,
those are compared without codes.

References:
    Jegou, Douze and Schmid, Product Quantization for Nearest Neighbor Search, PAMI 2011.
    Andre, Kermarrec and Le Scouarnec, Cache Locality is not Enough: High-Performance Nearest
    Neighbor Search with Product Quantization Fast Scan, VLDB 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from tans.errors import InputError, MissingExtraError
from tans.files import cache_dir, write_file
from tans.plugins import library

FEW = 50_000
"""Rows that are scanned without codes: all there are, or all that limits leave."""
SPAN, BITS = 2, 4
"""Numbers that share a code, and its bits."""
LEARNT_FROM = 50_000
"""Rows that codes are fitted to, at most."""
KEPT = 2000
"""Rows that are best by their codes, of those within the limits, whose products decide."""
MOST_KEPT = 0.05
"""Share of all rows beyond which a scan of those within the limits is cheaper than to keep more."""

Rows = NDArray[np.int64]
Vector = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Codes:
    """What stands for the rows of a matrix (n, d) in a first comparison."""

    centroids: NDArray[np.float32]
    """(d / SPAN, 2 ** BITS, SPAN), what each code of each span of numbers means."""
    packed: NDArray[np.uint8]
    """(n, d / SPAN / 2), two codes a byte."""

    @classmethod
    def of(cls, matrix: Vector, seed: int = 0) -> Codes:
        """Codes of a matrix (n, d), float32, fitted to some of its rows.

        Raises:
            InputError: no codes are made of so few rows, or of rows of that width.
            MissingExtraError: faiss is not installed.
        """
        n, d = matrix.shape
        if n < 2**BITS or d % (2 * SPAN):
            raise InputError(
                f"codes were asked for of a matrix {matrix.shape}; expected at least {2**BITS} "
                f"rows, of a width that {2 * SPAN} divides"
            )
        faiss = library("faiss", "million")
        index = faiss.IndexPQ(d, d // SPAN, BITS, faiss.METRIC_INNER_PRODUCT)
        chosen = np.random.default_rng(seed).choice(n, min(n, LEARNT_FROM), replace=False)
        index.pq.cp.seed = seed
        index.train(np.ascontiguousarray(matrix[np.sort(chosen)]))
        index.add(matrix)
        centroids = faiss.vector_to_array(index.pq.centroids).reshape(-1, 2**BITS, SPAN)
        return cls(centroids, faiss.vector_to_array(index.codes).reshape(n, -1))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Codes:
        """What ``arrays`` gave.

        Raises:
            ValueError: the arrays are none of that kind.
        """
        centroids, packed = arrays["centroids"], arrays["packed"]
        spans = len(centroids)
        if centroids.shape != (spans, 2**BITS, SPAN) or centroids.dtype != np.float32:
            raise ValueError(f"centroids {centroids.dtype} {centroids.shape}")
        if packed.ndim != 2 or 2 * packed.shape[1] != spans or packed.dtype != np.uint8:
            raise ValueError(f"codes {packed.dtype} {packed.shape} of {spans} spans")
        if not np.isfinite(centroids).all():
            raise ValueError("centroids that are not finite")
        return cls(centroids, packed)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it, to be stored."""
        return {"centroids": self.centroids, "packed": self.packed}

    def scan(self) -> Any:
        """What compares queries with all rows by their codes.

        Raises:
            MissingExtraError: faiss is not installed.
        """
        faiss = library("faiss", "million")
        spans = len(self.centroids)
        index = faiss.IndexPQ(spans * SPAN, spans, BITS, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(self.centroids.ravel(), index.pq.centroids)
        faiss.copy_array_to_vector(np.ascontiguousarray(self.packed).ravel(), index.codes)
        index.ntotal, index.is_trained = len(self.packed), True
        return faiss.IndexPQFastScan(index)


def kept_codes(matrix: Vector, name: str | None) -> Codes | None:
    """Codes of a matrix (n, d), which the cache keeps; None where a scan of it does.

    So it is for few rows, for a width that is not coded, where faiss is not installed, and where
    nothing names the matrix.

    Args:
        name: of the file that the matrix was read from, which tells its content.
    """
    if name is None or len(matrix) <= FEW or matrix.shape[1] % (2 * SPAN):
        return None
    with suppress(OSError, SafetensorError, LookupError, ValueError):  # there are none yet
        return Codes.from_arrays(load_file(cache_dir("codes") / name))
    try:
        codes = Codes.of(matrix)
    except MissingExtraError:
        return None
    with suppress(OSError):  # it is of use without
        write_file(cache_dir("codes") / name, save(codes.arrays()))
    return codes


class Vectors:
    """Rows that are compared with queries by their inner product.

    Args:
        matrix: float32 (n, d), perhaps mapped from the disk.
        codes: of its rows; without them all rows are scanned.

    Raises:
        InputError: the codes are of another matrix.
        MissingExtraError: there are codes, and faiss is not installed.
    """

    def __init__(self, matrix: Vector, codes: Codes | None = None) -> None:
        self.matrix = matrix
        if codes is not None:
            coded = (len(codes.packed), len(codes.centroids) * SPAN)
            if coded != matrix.shape:
                raise InputError(f"codes of a matrix {coded} came with one {matrix.shape}")
        self._scan = None if codes is None else codes.scan()

    def nearest(
        self, query: Vector, count: int, within: NDArray[np.bool_] | None = None
    ) -> tuple[Rows, Vector]:
        """Rows (k,) of the largest products with a query, and these (k,), largest first.

        Of equal products the lower row comes first. There are fewer than ``count`` only where
        fewer rows are within.

        Args:
            query: float32 (d,).
            within: mask (n,) of the rows that count; all when None.
        """
        left = len(self.matrix) if within is None else int(np.count_nonzero(within))
        if self._scan is None or left <= FEW:
            return self._scanned(query, count, within, left)
        wanted = max(KEPT, 100 * count)
        asked = round(wanted * len(self.matrix) / left)
        if asked > MOST_KEPT * len(self.matrix):
            return self._scanned(query, count, within, left)
        _, found = self._scan.search(query[None], asked)
        rows = np.sort(found[0][found[0] >= 0])
        rows = rows if within is None else rows[within[rows]]
        if len(rows) < wanted / 2:  # what is near lies outside
            return self._scanned(query, count, within, left)
        return _best(rows, self.matrix[rows] @ query, count)

    def _scanned(
        self, query: Vector, count: int, within: NDArray[np.bool_] | None, left: int
    ) -> tuple[Rows, Vector]:
        if within is None:
            return _best(None, self.matrix @ query, count)
        rows = np.flatnonzero(within)
        if left > len(self.matrix) / 4:  # to pick their vectors costs more than to multiply all
            return _best(rows, (self.matrix @ query)[rows], count)
        return _best(rows, self.matrix[rows] @ query, count)


def _best(rows: Rows | None, products: Vector, count: int) -> tuple[Rows, Vector]:
    """The rows with the largest products, in order of these, then of the rows.

    Args:
        rows: ascending; 0 to n - 1 when None.
    """
    if count < len(products):
        least = np.partition(products, len(products) - count)[len(products) - count]
        kept = np.flatnonzero(products >= least)
    else:
        kept = np.arange(len(products))
    order = kept[np.argsort(-products[kept], kind="stable")][:count]
    return (order if rows is None else rows[order]), products[order]
