"""Columns of a zoo's tables, and its nouns as rows of them.

Rows are checked whenever they are read, as a zoo may be somebody else's, and by the same models
before they are written.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import repeat
from typing import Annotated, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    TypeAdapter,
    ValidationError,
)

from tans.errors import ZooError
from tans.networks.features import REFERENCES
from tans.types import Digest, Name, NetworkRef, Seconds, Share, Transfer, ZooEntry
from tans.zoo.blobs import damaged

Noun = TypeVar("Noun")

KEYS = {
    "entries": ["id"],
    "tasks": ["name"],
    "transfers": ["source", "target", "epochs", "images", "seed", "recipe"],
    "costs": ["at", "task", "step"],
    "ledger": ["at", "pair"],
}
"""Tables, and the columns that make a row the same row."""
VECTORS = ("topology", "functional", "similarities")
"""Embeddings of entries, which not every network has."""
PAIRS = REFERENCES * (REFERENCES - 1) // 2
"""Of reference images, each with a similarity."""
CARD = ("source", "version", "licence", "made", "family")
"""What the card of a task says at least."""


def _whole(card: dict[str, str]) -> dict[str, str]:
    lost = [name for name in CARD if name not in card]
    if lost:
        raise ValueError(f"it lacks {', '.join(lost)}")
    return card


@dataclass(frozen=True)
class ZooTask:
    """A source task of a zoo: where its images came from, and what was kept of them."""

    name: Name
    classes: tuple[str, ...]
    card: Annotated[dict[str, str], AfterValidator(_whole)]
    """Provenance: source, version, licence, made, family, notes."""
    sheet: Digest | None
    """SHA-256 of the contact sheet; None where there are no images."""
    features: Digest | None
    """SHA-256 of the query features; None where there are no images."""
    weights: Digest | None
    """SHA-256 of the supernet's weights; None where they are missing."""
    train_images: NonNegativeInt
    cost_s: Seconds
    """Seconds that training took."""

    @property
    def supernet(self) -> str:
        """SHA-256 of the supernet's weights.

        Raises:
            ZooError: they are missing.
        """
        if self.weights is None:
            raise ZooError(
                f"the weights of task {self.name!r} were not given; import it again with them"
            )
        return self.weights

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file that was kept, by folder."""
        digests = {"weights": self.weights, "sheets": self.sheet, "features": self.features}
        return {folder: digest for folder, digest in digests.items() if digest is not None}


@dataclass(frozen=True)
class StepCost:
    """What a step of a zoo's building cost."""

    task: str
    step: Name
    """``distil``, ``recalibrate``, ``train`` or ``measure``."""
    count: NonNegativeInt
    """Images, or networks that were measured."""
    seconds: Seconds


@dataclass(frozen=True)
class LedgerLine:
    """What a pair of a task and a network, chosen by a strategy, cost and brought."""

    pair: Name
    """Entry id."""
    task: Name
    seconds: Seconds
    accuracy: Share
    """On validation images, in [0, 1]."""
    expected: FiniteFloat | None
    """Growth of the task's hypervolume that was expected; None where nothing was."""
    growth: FiniteFloat
    """Real growth."""
    volume: FiniteFloat
    """Hypervolume after it, mean over tasks."""
    latency_ms: NonNegativeFloat | None = None
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
        | {"accuracy": real, "seed": number, "seconds": real}
        | dict.fromkeys(("recipe", "groups"), number),
    }
    return {name: pa.schema(list(types.items())) for name, types in columns.items()}


def check_columns(name: str, schema: pa.Schema) -> None:
    """Refuse a table of other columns than those of ``schemas`` and ``LOG_SCHEMAS``.

    Raises:
        ValueError: there is one too few or too many, or one is of another type.
    """
    expected = {field.name: field.type for field in {**schemas(), **LOG_SCHEMAS}[name]}
    found = {field.name: field.type for field in schema}
    for column in sorted(expected.keys() | found.keys()):
        came, wanted = (types.get(column, "nothing") for types in (found, expected))
        if came != wanted:
            raise ValueError(f"column {column} holds {came}; expected {wanted}")


def from_tasks(tasks: Sequence[ZooTask]) -> pa.Table:
    """A row for each task.

    Raises:
        ZooError: a value is none that can be.
    """
    rows = [{**asdict(task), "card": json.dumps(task.card)} for task in tasks]
    return _to_be_stored(rows, schemas()["tasks"], _tasks)


def to_tasks(rows: pa.Table, where: object = "a table of tasks") -> list[ZooTask]:
    """Inverse of ``from_tasks``.

    Args:
        where: the rows come from, as messages say it.

    Raises:
        ZooError: a row is damaged; the message names it, and the column.
    """
    return _stored(rows, _tasks, where)


def from_transfers(transfers: Sequence[Transfer]) -> pa.Table:
    """A row for each transfer; raises as ``from_tasks``."""
    rows = [asdict(transfer) for transfer in transfers]
    return _to_be_stored(rows, schemas()["transfers"], _transfers)


def to_transfers(rows: pa.Table, where: object = "a table of transfers") -> list[Transfer]:
    """Inverse of ``from_transfers``; raises as ``to_tasks``."""
    return _stored(rows, _transfers, where)


def from_log(name: str, lines: Sequence[StepCost | LedgerLine], first: int) -> pa.Table:
    """A row for each line of a log, in order from ``first`` on; raises as ``from_tasks``."""
    rows = [{"at": at, **asdict(line)} for at, line in enumerate(lines, first)]
    return _to_be_stored(rows, LOG_SCHEMAS[name], lambda made: _log(name, made))


def to_log(name: str, rows: pa.Table, where: object = "a log") -> list[Any]:
    """Inverse of ``from_log``; raises as ``to_tasks``."""
    return _stored(rows, lambda found: _log(name, found), where)


def from_entries(entries: Sequence[ZooEntry]) -> pa.Table:
    """A row for each entry.

    Raises:
        ZooError: a value is none that can be, a vector is not finite as float16, or the
            similarities are too many or too few.
    """
    rows = [{**vars(entry), "task": entry.task, **_flat(entry.ref)} for entry in entries]
    for row in rows:
        row |= {name: _half(name, row[name]) for name in VECTORS}
    return _to_be_stored(rows, schemas()["entries"], _entries)


def to_entries(rows: pa.Table, where: object = "a table of entries") -> list[ZooEntry]:
    """Inverse of ``from_entries``; vectors that the rows lack are None. Raises as ``to_tasks``."""
    return _stored(rows, _entries, where)


def to_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors as float32 (n, d), contiguous; a row of NaN where there is none.

    Raises:
        ZooError: the vectors have different lengths, or hold what is no finite number.
    """
    joined = column.combine_chunks()
    present = joined.is_valid().to_numpy(zero_copy_only=False)  # (n,)
    widths = set(pyarrow.compute.list_value_length(joined.drop_null()).to_pylist())
    if len(widths) > 1:
        raise ZooError(
            f"vectors of {sorted(widths)} numbers stand in one column; expected one length"
        )
    flat = joined.drop_null().flatten().to_numpy(zero_copy_only=False)  # NaN where null
    if not np.isfinite(flat).all():
        raise ZooError("vectors hold what is no finite number; expected finite numbers")
    matrix = np.full((len(joined), widths.pop() if widths else 0), np.nan, dtype=np.float32)
    matrix[present] = flat.reshape(int(present.sum()), matrix.shape[1])
    return matrix


def _to_be_stored(
    rows: list[dict[str, Any]], schema: pa.Schema, read: Callable[[pa.Table], object]
) -> pa.Table:
    """Rows as columns, if they can be read again."""
    try:
        made = pa.Table.from_pylist(rows, schema)
        read(made)
        return made
    except (ValueError, TypeError, OverflowError) as error:
        raise ZooError(f"cannot store this: {error}; expected what a zoo can hold") from error


def _stored(rows: pa.Table, read: Callable[[pa.Table], list[Noun]], where: object) -> list[Noun]:
    try:
        return read(rows)
    except ValueError as error:
        raise damaged(where, error) from error


def _tasks(rows: pa.Table) -> list[ZooTask]:
    found = ({**row, "card": _json(row["card"])} for row in rows.to_pylist())
    return _checked(ZooTask, "tasks", rows, found)


def _transfers(rows: pa.Table) -> list[Transfer]:
    return _checked(Transfer, "transfers", rows, rows.to_pylist())


def _log(name: str, rows: pa.Table) -> list[Any]:
    return _checked(StepCost if name == "costs" else LedgerLine, name, rows, rows.to_pylist())


def _entries(rows: pa.Table) -> list[ZooEntry]:
    entries = _checked(ZooEntry, "entries", rows, _entry_rows(rows))
    for task, entry in zip(rows["task"].to_pylist(), entries, strict=True):
        if task != entry.task:
            raise ValueError(f"row {entry.id!r}, column task: {task!r} is not the first origin")
        if entry.similarities is not None and len(entry.similarities) != PAIRS:
            raise ValueError(
                f"row {entry.id!r}, column similarities: {len(entry.similarities)} numbers; "
                f"expected {PAIRS}"
            )
    return entries


def _entry_rows(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Fields of each entry, one at a time: many of them at once would keep Python's collector
    busy."""
    plain = [name for name in rows.column_names if name not in VECTORS]
    columns = [rows[name].to_pylist() for name in plain]
    columns += [_to_tuples(rows, name) for name in VECTORS]
    for values in zip(*columns, strict=True):
        row = dict(zip([*plain, *VECTORS], values, strict=True))
        scale = {name: row.pop(name) for name in ("size", "mean", "std")}
        row["ref"] = {"family": row.pop("family"), "name": row.pop("name"), "input": scale}
        yield row


@cache
def _model(noun: type[Noun]) -> TypeAdapter[list[Noun]]:
    return TypeAdapter(list[noun])  # type: ignore[valid-type]


def _checked(
    noun: type[Noun], name: str, rows: pa.Table, fields: Iterable[Mapping[str, Any]]
) -> list[Noun]:
    """Rows of a table as its nouns.

    Args:
        fields: of each row.

    Raises:
        ValueError: one is none; says which, and which column.
    """
    try:
        return _model(noun).validate_python(fields)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    row, *place = first["loc"]
    column = ".".join(map(str, place)).removeprefix("ref.").removeprefix("input.")
    key = ", ".join(reprlib.repr(rows[part][int(row)].as_py()) for part in KEYS[name])
    raise ValueError(
        f"row {key}, column {column}: {first['msg']}, and not {reprlib.repr(first['input'])}"
    )


def _json(text: Any) -> Any:
    """What a text of JSON says, or the text where it is none."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return text


def _flat(ref: NetworkRef) -> dict[str, Any]:
    return {"family": ref.family, "name": ref.name, **asdict(ref.input)}


def _half(name: str, vector: Sequence[float] | None) -> NDArray[np.float16] | None:
    if vector is None:
        return None
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
