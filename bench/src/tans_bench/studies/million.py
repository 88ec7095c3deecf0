"""How fast the nearest of a million networks are found, and how many of them are the right ones.

Vectors are the shipped zoo's embeddings with noise, and uniform ones; queries are uniform, or like
the embeddings. All ways answer the same queries in one run, one thread each, by turns. The exact
answer is numpy's: all products, then the largest ten.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from tempfile import TemporaryDirectory
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from usearch.index import Index

from tans.meta.retriever import Retriever
from tans.search.vectors import Codes, Vectors
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS = "million"
KINDS = ("zoo", "uniform")
SIZES = (14_000, 100_000, 1_000_000)
LEFT = (1.0, 0.3, 0.01)
"""Shares of the rows that limits leave."""
PEERS = (100_000,)
"""Sizes that the indexes of other libraries are built for: they take minutes for a million."""
COUNT, QUERIES, NOISE = 10, 40, 0.5
"""Rows wanted; queries; deviation of the noise, in deviations of the embeddings."""

Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]
Way = Callable[[Matrix, Mask | None], NDArray[np.int64]]
"""The nearest rows to a query (d,) among those of a mask (n,), all where None."""


@dataclass(frozen=True)
class Search:
    """Search vectors of a kind within limits that leave a share of them."""

    kind: str
    rows: int
    left: float

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.kind}-{self.rows}-{self.left:g}"

    @property
    def task(self) -> str:
        """None in particular."""
        return ""

    def key(self) -> Result:
        return {"kind": self.kind, "rows": self.rows, "left": self.left}

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, self.key()) is not None

    def run(self, bench: Bench) -> Result:
        with threadpool_limits(1):  # numpy's and faiss's
            matrix, queries = drawn(self.kind, self.rows, bench.zoo)
            within = masked(self.left, self.rows)
            ways: dict[str, Way] = {"product": partial(_product, matrix), "tans": _tans(matrix)}
            with TemporaryDirectory(prefix="tans-million-") as place:
                if self.rows in PEERS and self.left == 1:
                    ways |= _peers(matrix, place)
                return {**self.key(), "ways": measured(matrix, queries, within, ways)}


def drawn(kind: str, rows: int, zoo: Zoo, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Unit vectors (rows, d) of a kind, and queries (QUERIES, d)."""
    rng, known = np.random.default_rng(seed), Retriever.load(zoo.retrieval).matrix.numpy()

    def like(count: int) -> Matrix:
        noise = rng.standard_normal((count, known.shape[1]), dtype=np.float32)
        if kind == "zoo":
            noise *= np.float32(NOISE * known.std(0).mean())
            noise += known[rng.integers(len(known), size=count)]
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        return noise

    return like(rows), like(QUERIES)


def masked(left: float, rows: int) -> Mask | None:
    """Rows that limits leave, at random; None where they leave all."""
    return None if left == 1 else np.random.default_rng(1).random(rows) < left


def measured(
    matrix: Matrix, queries: Matrix, within: Mask | None, ways: dict[str, Way]
) -> dict[str, dict[str, float]]:
    """Of each way, its median time as a share of the exact scan's, and how much it finds of it."""
    times: dict[str, list[float]] = {"exact": []}
    found: dict[str, list[float]] = {}
    for query in queries:
        expected = _timed(times["exact"], partial(_exact, matrix), query, within)
        for name, way in ways.items():
            rows = _timed(times.setdefault(name, []), way, query, within)
            hits = len(set(rows.tolist()) & set(expected.tolist()))
            found.setdefault(name, []).append(hits / len(expected))
    exact = statistics.median(times["exact"])
    return {
        name: {
            "time": round(statistics.median(times[name]) / exact, 4),
            "recall": round(statistics.fmean(hits), 4),
        }
        for name, hits in found.items()
    }


def _timed(seconds: list[float], way: Way, query: Matrix, within: Mask | None) -> NDArray[np.int64]:
    began = time.perf_counter()
    rows = way(query, within)
    seconds.append(time.perf_counter() - began)
    return rows


def _exact(matrix: Matrix, query: Matrix, within: Mask | None) -> NDArray[np.int64]:
    products = matrix @ query
    if within is not None:
        products[~within] = -np.inf
    return np.argpartition(-products, COUNT)[:COUNT]


def _product(matrix: Matrix, query: Matrix, _: Mask | None) -> NDArray[np.int64]:
    """The bare product, which finds nothing."""
    matrix @ query
    return np.empty(0, dtype=np.int64)


def _tans(matrix: Matrix) -> Way:
    vectors = Vectors(matrix, Codes.of(matrix))
    return lambda query, within: vectors.nearest(query, COUNT, within)[0]


def _peers(matrix: Matrix, place: str) -> dict[str, Way]:
    """Indexes of other libraries, as they are by default, and LanceDB's with products to decide.

    Args:
        place: an empty folder.
    """
    graph = Index(ndim=matrix.shape[1], metric="ip")
    graph.add(np.arange(len(matrix)), matrix, threads=1)
    vector = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    rows = pa.table({"row": np.arange(len(matrix)), "vector": vector})
    table = lancedb.connect(place).create_table("vectors", rows)
    table.create_index(metric="dot")

    def by_lance(query: Matrix, _: Mask | None, refined: int | None = None) -> NDArray[np.int64]:
        asked: Any = table.search(query).select(["row", "_distance"]).limit(COUNT)
        asked = asked if refined is None else asked.refine_factor(refined)
        return asked.to_arrow()["row"].to_numpy()

    return {
        "usearch": lambda query, _: graph.search(query, COUNT).keys.astype(np.int64),
        "lancedb": by_lance,
        "lancedb, refined": partial(by_lance, refined=10),
    }


def jobs() -> Iterator[Search]:
    """Every kind, size and share."""
    return (Search(kind, rows, left) for kind, rows, left in product(KINDS, SIZES, LEFT))


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    rows = [
        [line["kind"], f"{line['rows']:,}", f"{line['left']:.0%}", way, *_cells(found)]
        for line in sorted(results.lines(RUNS), key=_order)
        for way, found in line["ways"].items()
    ]
    caption = (
        "Median time of a query as a share of numpy's exact scan in the same run (all products, "
        "limits, the largest ten), and the share of its ten that are found. ``product`` is the "
        "bare product of the scan."
    )
    columns = ("vectors", "rows", "within limits", "way", "time", "recall@10")
    return [Table("million", caption, columns, rows)] if rows else []


def _order(line: Result) -> tuple[int, int, float]:
    return KINDS.index(line["kind"]), line["rows"], -line["left"]


def _cells(found: Result) -> tuple[str, str]:
    return f"{found['time']:.3f}", f"{found['recall']:.3f}" if found["recall"] else "-"


EXPERIMENT = Experiment(
    name="million",
    title="The nearest of a million networks",
    question="How fast are the nearest of many networks found, within limits?",
    plan=Fixed(tuple(jobs())),
    drawn=draw,
)
