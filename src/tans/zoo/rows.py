"""Columns of a zoo's tables, and its nouns as rows of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa

from tans.errors import ZooError
from tans.networks.families.elastic.specification import Specification
from tans.networks.features import PROBES
from tans.types import Architecture, Transfer, ZooEntry

KEYS = {
    "entries": ["id"],
    "tasks": ["name"],
    "transfers": ["source", "target", "epochs", "images", "seed"],
}
"""Tables, and the columns that make a row the same row."""
VECTORS = ("topology", "functional", "similarities")


@dataclass(frozen=True)
class ZooTask:
    """A source task of a zoo: where its images came from, and what was kept of them."""

    name: str
    classes: tuple[str, ...]
    card: dict[str, str]
    """Provenance: source, version, licence, made, family, notes."""
    sheet: str | None
    """SHA-256 of the contact sheet; None where there are no images."""
    features: str | None
    """SHA-256 of the query features; None where there are no images."""
    weights: str
    """SHA-256 of the supernet's weights."""
    train_images: int
    cost_s: float
    """Seconds that training took."""

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file that was kept, by folder."""
        digests = {"weights": self.weights, "sheets": self.sheet, "features": self.features}
        return {folder: digest for folder, digest in digests.items() if digest is not None}


def schemas(space: Specification) -> dict[str, pa.Schema]:
    """Columns of each table; the vectors' sizes depend on the search space."""
    text, number, real = pa.string(), pa.int64(), pa.float64()
    sizes = (space.topology_size, space.features, PROBES * (PROBES - 1) // 2)
    texts = dict.fromkeys(("id", "task", "architecture", "weights", "licence"), text)
    vectors = {n: pa.list_(pa.float16(), size) for n, size in zip(VECTORS, sizes, strict=True)}
    measured = dict.fromkeys(("resolution", "params", "flops"), number)
    measured |= dict.fromkeys(("val_accuracy", "accuracy"), real)
    files = dict.fromkeys(("sheet", "features", "weights"), text)
    tasks = {"name": text, "classes": pa.list_(text), "card": text, **files}
    columns = {
        "entries": texts | measured | vectors,
        "tasks": tasks | {"train_images": number, "cost_s": real},
        "transfers": {"source": text, "target": text, "epochs": number, "images": number}
        | {"accuracy": real, "seed": number, "seconds": real},
    }
    return {name: pa.schema(list(types.items())) for name, types in columns.items()}


def from_tasks(tasks: Sequence[ZooTask], space: Specification) -> pa.Table:
    """A row for each task."""
    rows = [{**asdict(task), "card": json.dumps(task.card)} for task in tasks]
    return pa.Table.from_pylist(rows, schemas(space)["tasks"])


def to_tasks(rows: pa.Table) -> list[ZooTask]:
    """Inverse of ``from_tasks``."""
    return [
        ZooTask(**{**row, "classes": tuple(row["classes"]), "card": json.loads(row["card"])})
        for row in rows.to_pylist()
    ]


def from_transfers(transfers: Sequence[Transfer], space: Specification) -> pa.Table:
    """A row for each transfer."""
    rows = [asdict(transfer) for transfer in transfers]
    return pa.Table.from_pylist(rows, schemas(space)["transfers"])


def to_transfers(rows: pa.Table) -> list[Transfer]:
    """Inverse of ``from_transfers``."""
    return [Transfer(**row) for row in rows.to_pylist()]


def from_entries(entries: Sequence[ZooEntry], space: Specification) -> pa.Table:
    """A row for each entry.

    Raises:
        ZooError: a vector has another size than the space's, or is not finite as float16.
    """
    schema = schemas(space)["entries"]
    columns = {name: [getattr(entry, name) for entry in entries] for name in schema.names}
    columns["architecture"] = [str(architecture) for architecture in columns["architecture"]]
    for name in VECTORS:
        columns[name] = _from_vectors(name, columns[name], schema.field(name).type.list_size)
    return pa.table(columns, schema=schema)


def to_entries(rows: pa.Table) -> list[ZooEntry]:
    """Inverse of ``from_entries``; vectors that the rows lack are empty."""
    columns: dict[str, Iterable[Any]] = {
        name: rows[name].to_pylist() for name in rows.column_names if name not in VECTORS
    }
    columns["architecture"] = map(Architecture.parse, columns["architecture"])
    columns |= {name: _to_tuples(rows, name) for name in VECTORS}
    values = zip(*columns.values(), strict=True)
    return [ZooEntry(**dict(zip(columns, row, strict=True))) for row in values]


def to_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors as float32 (n, d), contiguous."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.array(flat, dtype=np.float32).reshape(len(column), column.type.list_size)


def _to_tuples(rows: pa.Table, name: str) -> Iterable[tuple[float, ...]]:
    if name not in rows.column_names:
        return repeat((), len(rows))
    # row by row, or the numbers would be held twice as Python objects
    return (tuple(row.tolist()) for row in to_matrix(rows[name]))


def _from_vectors(name: str, vectors: Sequence[Sequence[float]], size: int) -> pa.Array:
    wrong = {len(vector) for vector in vectors} - {size}
    if wrong:
        raise ZooError(f"{name} has {wrong.pop()} numbers; expected {size} in this zoo")
    with np.errstate(over="ignore"):  # what overflows is refused below
        matrix = np.array(vectors, dtype=np.float32).astype(np.float16)  # (n, size)
    if not np.isfinite(matrix).all():
        raise ZooError(
            f"{name} holds values that are not finite or beyond 65504; measure the network again"
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), size)
