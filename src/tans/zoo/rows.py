"""Columns of a zoo's tables, and its nouns as rows of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from tans.errors import ZooError
from tans.networks.features import REFERENCES
from tans.types import InputSpec, NetworkRef, Transfer, ZooEntry

KEYS = {
    "entries": ["id"],
    "tasks": ["name"],
    "transfers": ["source", "target", "epochs", "images", "seed"],
    "costs": ["at", "task", "step"],
    "ledger": ["at", "pair"],
}
"""Tables, and the columns that make a row the same row."""
VECTORS = ("topology", "functional", "similarities")
"""Embeddings of entries, which not every network has."""


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


@dataclass(frozen=True)
class StepCost:
    """What a step of a zoo's building cost."""

    task: str
    step: str
    """``distil``, ``recalibrate``, ``train`` or ``measure``."""
    count: int
    """Images, or networks that were measured."""
    seconds: float


@dataclass(frozen=True)
class LedgerLine:
    """What a pair of a task and a network, chosen by a strategy, cost and brought."""

    pair: str
    """Entry id."""
    task: str
    seconds: float
    accuracy: float
    """On validation images, in [0, 1]."""
    expected: float | None
    """Growth of the task's hypervolume that was expected; None where nothing was."""
    growth: float
    """Real growth."""
    volume: float
    """Hypervolume after it, mean over tasks."""
    latency_ms: float | None = None
    """For one image, without a head, as predicted; None where multiply-adds stand for it."""


LOG_SCHEMAS = {
    "costs": pa.schema(
        {
            "at": pa.int64(),
            **dict.fromkeys(("task", "step"), pa.string()),
            "count": pa.int64(),
            "seconds": pa.float64(),
        }
    ),
    "ledger": pa.schema(
        {
            "at": pa.int64(),
            **dict.fromkeys(("pair", "task"), pa.string()),
            **dict.fromkeys(("seconds", "accuracy", "expected"), pa.float64()),
            **dict.fromkeys(("growth", "volume", "latency_ms"), pa.float64()),
        }
    ),
}
"""Columns of the tables that are only added to. ``at`` puts lines in order: nanoseconds since 1970,
or the place among lines whose time is not known."""


def schemas() -> dict[str, pa.Schema]:
    """Columns of each table."""
    text, number, real = pa.string(), pa.int64(), pa.float64()
    network = {"family": text, "name": text, "size": number}
    network |= dict.fromkeys(("mean", "std"), pa.list_(real, 3))
    entries = {"id": text, "task": text, "origins": pa.list_(text), **network}
    entries |= dict.fromkeys(("weights", "place", "licence"), text)
    entries |= dict.fromkeys(("width", "body_params", "body_flops"), number)
    entries |= dict.fromkeys(("val_accuracy", "accuracy"), real)
    entries |= dict.fromkeys(VECTORS, pa.list_(pa.float16()))
    files = dict.fromkeys(("sheet", "features", "weights"), text)
    tasks = {"name": text, "classes": pa.list_(text), "card": text, **files}
    columns = {
        "entries": entries,
        "tasks": tasks | {"train_images": number, "cost_s": real},
        "transfers": {"source": text, "target": text, "epochs": number, "images": number}
        | {"accuracy": real, "seed": number, "seconds": real},
    }
    return {name: pa.schema(list(types.items())) for name, types in columns.items()}


def from_tasks(tasks: Sequence[ZooTask]) -> pa.Table:
    """A row for each task."""
    rows = [{**asdict(task), "card": json.dumps(task.card)} for task in tasks]
    return pa.Table.from_pylist(rows, schemas()["tasks"])


def to_tasks(rows: pa.Table) -> list[ZooTask]:
    """Inverse of ``from_tasks``."""
    return [
        ZooTask(**{**row, "classes": tuple(row["classes"]), "card": json.loads(row["card"])})
        for row in rows.to_pylist()
    ]


def from_transfers(transfers: Sequence[Transfer]) -> pa.Table:
    """A row for each transfer."""
    rows = [asdict(transfer) for transfer in transfers]
    return pa.Table.from_pylist(rows, schemas()["transfers"])


def to_transfers(rows: pa.Table) -> list[Transfer]:
    """Inverse of ``from_transfers``."""
    return [Transfer(**row) for row in rows.to_pylist()]


def from_log(name: str, lines: Sequence[StepCost | LedgerLine], first: int) -> pa.Table:
    """A row for each line of a log, in order from ``first`` on."""
    rows = [{"at": at, **asdict(line)} for at, line in enumerate(lines, first)]
    return pa.Table.from_pylist(rows, LOG_SCHEMAS[name])


def from_entries(entries: Sequence[ZooEntry]) -> pa.Table:
    """A row for each entry.

    Raises:
        ZooError: a vector is not finite as float16, or the similarities are too many or too few.
    """
    rows = [{**vars(entry), "task": entry.task, **_flat(entry.ref)} for entry in entries]
    for row in rows:
        row |= {name: _half(name, row[name]) for name in VECTORS}
    return pa.Table.from_pylist(rows, schemas()["entries"])


def to_entries(rows: pa.Table) -> list[ZooEntry]:
    """Inverse of ``from_entries``; vectors that the rows lack are None."""
    vectors = {name: _to_tuples(rows, name) for name in VECTORS}
    plain = rows.select([name for name in rows.column_names if name not in VECTORS])
    entries = []
    for row, *parts in zip(plain.to_pylist(), *vectors.values(), strict=True):
        del row["task"]  # it is the first origin
        scale = InputSpec(row.pop("size"), tuple(row.pop("mean")), tuple(row.pop("std")))
        ref = NetworkRef(row.pop("family"), row.pop("name"), scale)
        origins = tuple(row.pop("origins"))
        known = dict(zip(VECTORS, parts, strict=True))
        entries.append(ZooEntry(ref=ref, origins=origins, **row, **known))
    return entries


def to_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors as float32 (n, d), contiguous; a row of NaN where there is none.

    Raises:
        ZooError: the vectors have different lengths.
    """
    joined = column.combine_chunks()
    present = joined.is_valid().to_numpy(zero_copy_only=False)  # (n,)
    widths = set(pyarrow.compute.list_value_length(joined.drop_null()).to_pylist())
    if len(widths) > 1:
        raise ZooError(
            f"vectors of {sorted(widths)} numbers stand in one column; expected one length"
        )
    flat = joined.drop_null().flatten().to_numpy(zero_copy_only=False)
    matrix = np.full((len(joined), widths.pop() if widths else 0), np.nan, dtype=np.float32)
    matrix[present] = flat.reshape(int(present.sum()), matrix.shape[1])
    return matrix


def _flat(ref: NetworkRef) -> dict[str, Any]:
    return {"family": ref.family, "name": ref.name, **asdict(ref.input)}


def _half(name: str, vector: Sequence[float] | None) -> NDArray[np.float16] | None:
    if vector is None:
        return None
    expected = REFERENCES * (REFERENCES - 1) // 2
    if name == "similarities" and len(vector) != expected:
        raise ZooError(f"similarities has {len(vector)} numbers; expected {expected}")
    with np.errstate(over="ignore"):  # what overflows is refused below
        half = np.array(vector, dtype=np.float32).astype(np.float16)
    if not np.isfinite(half).all():
        raise ZooError(
            f"{name} holds values that are not finite or beyond 65504; measure the network again"
        )
    return half


def _to_tuples(rows: pa.Table, name: str) -> Iterable[tuple[float, ...] | None]:
    if name not in rows.column_names:
        return repeat(None, len(rows))
    # row by row, or the numbers would be held twice as Python objects
    column = rows[name].combine_chunks()
    return (
        tuple(column[row].values.to_numpy(zero_copy_only=False).astype(np.float32).tolist())
        if column[row].is_valid
        else None
        for row in range(len(column))
    )
