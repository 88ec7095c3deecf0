"""How fast the nearest of a million networks are found, and how many of them are the right ones.

Vectors are the shipped zoo's embeddings with noise, and uniform ones; queries are uniform, or like
the embeddings. All ways answer the same queries in one run, one thread each, by turns. The exact
answer is numpy's: all products, then the largest ten. And a zoo of as many entries, for which the
shipped one's rows are repeated, is opened and searched by a query, from the call to the list.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from usearch.index import Index

from tans.meta.retriever import Retriever
from tans.search import Query, search
from tans.search.query import digest_of
from tans.search.vectors import Codes, Vectors
from tans.zoo.blobs import LocalBlobs
from tans.zoo.columns import ids_digest
from tans.zoo.tables import Tables
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS, OPENED = "million", "million_opened"
CACHE = "TANS_CACHE"
OPENINGS = 5
"""Of each zoo, after the first."""
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


@dataclass(frozen=True)
class Opened:
    """Open a zoo of so many entries and search it by a query, within two limits."""

    rows: int

    @property
    def name(self) -> str:
        return f"{OPENED}{LINES}/{self.rows}"

    @property
    def task(self) -> str:
        """None in particular."""
        return ""

    def done(self, bench: Bench) -> bool:
        return bench.results.find(OPENED, {"rows": self.rows}) is not None

    def run(self, bench: Bench) -> Result:
        query = _query(bench.zoo)
        with TemporaryDirectory(prefix="tans-million-") as place, threadpool_limits(1):
            zoo = Path(place) / "zoo"
            repeat_entries(bench.zoo, zoo, self.rows)
            with _cache(Path(place) / "cache"):
                times = [_search_s(zoo, query) for _ in range(1 + OPENINGS)]
                shipped = [_search_s(bench.zoo.path, query) for _ in range(1 + OPENINGS)]
        later = statistics.median(times[1:])
        return {
            "rows": self.rows,
            "later_of_first": round(later / times[0], 4),
            "of_shipped": round(later / statistics.median(shipped[1:]), 2),
            "seconds": round(later, 2),
        }


def _query(zoo: Zoo) -> Query:
    """Like the embedding of a network, for ten classes."""
    retriever = Retriever.load(zoo.retrieval)
    return Query(
        retriever=digest_of(zoo, retriever),
        embedding=tuple(retriever.matrix[0].tolist()),
        classes=((30, 10, 10),) * 10,
        groups=300,
    )


def _search_s(path: Path, query: Query) -> float:
    began = time.perf_counter()
    search(query, Zoo.open(path), max_params=2e6, max_flops=2e7)
    return time.perf_counter() - began


@contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """Let tans keep what it can make again in a folder of its own."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = str(folder)
    try:
        yield
    finally:
        del os.environ[CACHE]
        if before is not None:
            os.environ[CACHE] = before


def repeat_entries(zoo: Zoo, path: Path, rows: int, seed: int = 0) -> None:
    """Make a zoo of so many entries: those of another, repeated, their embeddings with noise."""
    shutil.copytree(zoo.path, path)
    shutil.rmtree(path / "seals")
    rng, tables = np.random.default_rng(seed), Tables(LocalBlobs(zoo.path), zoo.seals)
    chosen = np.sort(rng.integers(len(zoo.columns()), size=rows))
    ids = [f"{row:07d}" for row in range(rows)]
    table = tables.read("entries").take(pa.array(chosen))
    table = table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids))
    lancedb.connect(path).create_table("entries", table, mode="overwrite")
    known = Retriever.load(zoo.retrieval)
    matrix = _with_noise(known.matrix.numpy()[chosen], known.matrix.numpy(), rng)
    made = replace(known, networks=ids_digest(ids), matrix=torch.from_numpy(matrix))
    made.save(path / "retrieval")


def _with_noise(rows: Matrix, known: Matrix, rng: np.random.Generator) -> Matrix:
    noise = rng.standard_normal(rows.shape, dtype=np.float32)
    found = rows + noise * np.float32(NOISE * known.std(0).mean())
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def drawn(kind: str, rows: int, zoo: Zoo, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Unit vectors (rows, d) of a kind, and queries (QUERIES, d)."""
    rng, known = np.random.default_rng(seed), Retriever.load(zoo.retrieval).matrix.numpy()

    def like(count: int) -> Matrix:
        if kind == "zoo":
            return _with_noise(known[rng.integers(len(known), size=count)], known, rng)
        rows = rng.standard_normal((count, known.shape[1]), dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

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


def jobs() -> Iterator[Search | Opened]:
    """Every kind, size and share."""
    yield from (Search(kind, rows, left) for kind, rows, left in product(KINDS, SIZES, LEFT))
    yield from map(Opened, SIZES)


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
    found = [Table("million", caption, columns, rows)] if rows else []
    return [*found, *_opened(results)]


def _opened(results: Results) -> list[Table]:
    rows = [
        [f"{line['rows']:,}", f"{line['later_of_first']:.3f}", f"{line['of_shipped']:.1f}"]
        for line in results.lines(OPENED)
    ]
    caption = (
        "To open a zoo and rank its networks for a query within two limits, from the call to the "
        f"list, median of {OPENINGS}: as a share of the first time, when its rows are read, and "
        "as a multiple of what the shipped zoo takes."
    )
    columns = ("rows", "of the first time", "of the shipped zoo's")
    return [Table("opened", caption, columns, rows)] if rows else []


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
