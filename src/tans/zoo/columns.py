"""What is known of all entries of a zoo, a column for each thing, so that none becomes an object
before it is asked for.

Those of a large zoo are kept in the cache as a file that is mapped into memory, so that whoever
opens the zoo again reads only what is looked at; those of others as ``tans.zoo.kept`` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from tans.files import cache_dir, replacing
from tans.types import LARGEST_INPUT, ZooEntry
from tans.zoo.rows import VECTORS, schemas
from tans.zoo.tables import Tables

Codes = NDArray[np.int64]
Values = NDArray[np.float64]
NETWORK = ("family", "name", "size", "body_params", "body_flops")
"""Columns that entries share whose costs are the same."""
SOURCE = ("task", "weights")
"""Columns that entries share that are slices of one network."""
LICENCE = ("licence", "origins", "family")
"""Columns that entries share that are under the same licences."""
MANY = 50_000
"""Entries from which on their columns are kept in the cache as a file that is mapped."""
IDS = b"tans ids"
"""In what such a file says of itself: the digest of the ids."""
OF_ZOO = 16
"""Digits of a file's name there that tell its zoo; what follows tells its state."""


class Columns:
    """Entries in order of id, without their vectors.

    Args:
        table: rows of the zoo's table of entries.
        read: makes entries of some of them.
    """

    def __init__(self, table: pa.Table, read: Callable[[pa.Table], list[ZooEntry]]) -> None:
        self._table, self._read = table, read

    def __len__(self) -> int:
        return self._table.num_rows

    def entries(self, rows: Sequence[int] | Codes) -> list[ZooEntry]:
        """Those of some rows, in their order.

        Raises:
            ZooError: a row is damaged.
        """
        return self._read(self._table.take(pa.array(rows, pa.int64())))

    def ids(self) -> tuple[str, ...]:
        """Of all."""
        return tuple(self._table["id"].to_pylist())

    @cached_property
    def digest(self) -> str:
        """Of the ids in their order, as ``ids_digest`` gives it."""
        stored = self._table.schema.metadata or {}
        return stored[IDS].decode() if IDS in stored else ids_digest(self.ids())

    def row(self, id: str) -> int:
        """That of an entry, which is there."""
        return pyarrow.compute.index(self._table["id"], id).as_py()

    def numbers(self, name: str) -> Values:
        """A column of numbers, (n,)."""
        return self._table[name].to_numpy().astype(np.float64)

    def equals(self, name: str, value: str) -> NDArray[np.bool_]:
        """Mask (n,) of the rows that hold a value."""
        found = pyarrow.compute.equal(self._table[name], value)
        return pyarrow.compute.fill_null(found, False).to_numpy(zero_copy_only=False)

    def kinds(self, *names: str) -> tuple[Codes, Codes]:
        """A row (k,) of each kind of entry, and of each entry (n,) its kind, from 0 to k - 1.

        Args:
            names: columns that entries of a kind have in common.
        """
        if _key(names) in self._table.column_names:
            kind = self._table[_key(names)].to_numpy()
        else:
            kind = np.zeros(len(self), dtype=np.int64)
            for name in names:
                codes = _codes(self._table[name])
                kind = kind * (int(codes.max(initial=0)) + 1) + codes
                kind = np.unique(kind, return_inverse=True)[1]  # stays small
        first = np.empty(int(kind.max(initial=-1)) + 1, dtype=np.int64)
        first[kind[::-1]] = np.arange(len(self))[::-1]  # of several for one kind the last is kept
        return first, kind

    @cached_property
    def networks(self) -> tuple[list[ZooEntry], Codes]:
        """An entry (k) of each network whatever its weights, and of each entry (n,) its network."""
        first, kind = self.kinds(*NETWORK)
        return self.entries(first), kind

    @cached_property
    def sources(self) -> tuple[Codes, Codes]:
        """The row (k,) of the largest network of each weights of each task, the one for the fewest
        pixels of equals, and of each entry (n,) its kind."""
        first, kind = self.kinds(*SOURCE)
        size = self.numbers("body_params") * (2 * LARGEST_INPUT) - self.numbers("size")  # exact
        largest = np.full(len(first), -np.inf)
        np.maximum.at(largest, kind, size)
        rows = np.flatnonzero(size == largest[kind])
        first = first.copy()
        first[kind[rows]] = rows
        return first, kind

    def save(self, path: Path) -> None:
        """Write them to a file that can be mapped, with the kinds that a search asks for.

        Raises:
            OSError: it cannot be written.
        """
        table = self._table
        for names in (NETWORK, SOURCE, LICENCE):
            table = table.append_column(_key(names), pa.array(self.kinds(*names)[1]))
        table = table.combine_chunks().replace_schema_metadata({IDS: self.digest})
        with replacing(path) as fresh, pa.ipc.new_file(str(fresh), table.schema) as writer:
            writer.write_table(table)


def read_columns(tables: Tables, read: Callable[[pa.Table], list[ZooEntry]]) -> Columns:
    """Columns of a zoo's entries as they are now.

    Args:
        read: makes entries of rows.

    Raises:
        ZooError: the table is missing or damaged.
    """
    names = [name for name in schemas()["entries"].names if name not in VECTORS]
    place: Path | None = None
    fresh = not tables.is_opened("entries")
    with suppress(OSError, pa.ArrowInvalid):  # there is no cache, or it holds nothing of these
        place = _place(tables)
        return Columns(pa.ipc.open_file(pa.memory_map(str(place))).read_all(), read)
    found = Columns(tables.whole("entries", names), read)
    if place is not None and fresh and len(found) >= MANY:
        with suppress(OSError):  # it is of use without
            found.save(place)
            for other in set(place.parent.glob(f"{place.name[:OF_ZOO]}*")) - {place}:
                other.unlink()  # of an older state
    return found


def _place(tables: Tables) -> Path:
    """Where the cache keeps columns of entries as they are now: a name of zoo and state."""
    parts = (str(tables.folder.absolute()), "\n".join(tables.files("entries")))
    zoo, state = (hashlib.sha256(part.encode()).hexdigest() for part in parts)
    return cache_dir("columns") / f"{zoo[:OF_ZOO]}{state}.arrow"


def ids_digest(ids: Iterable[str]) -> str:
    """SHA-256 of ids in their order, which tells whether rows are of the same entries."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def _key(names: Sequence[str]) -> str:
    """Column of the kinds by what they have in common."""
    return f"kind by {', '.join(names)}"


def _codes(column: pa.ChunkedArray) -> Codes:
    """A number for each distinct value, (n,); lists count as their text."""
    if pa.types.is_list(column.type):
        column = pyarrow.compute.binary_join(column, "\0")
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
