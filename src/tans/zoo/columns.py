"""What is known of all entries of a zoo, a column for each thing, so that none becomes an object
before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from tans.types import ZooEntry

Codes = NDArray[np.int64]
Values = NDArray[np.float64]
NETWORK = ("family", "name", "size", "body_params", "body_flops")
"""Columns that entries share whose costs are the same."""


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
        joined = np.zeros(len(self), dtype=np.int64)
        for name in names:
            codes = _codes(self._table[name])
            joined = joined * (int(codes.max(initial=0)) + 1) + codes
            joined = np.unique(joined, return_inverse=True)[1]  # stays small
        _, first, kind = np.unique(joined, return_index=True, return_inverse=True)
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
        first, kind = self.kinds("task", "weights")
        order = np.lexsort((-self.numbers("size"), self.numbers("body_params")))
        largest = first.copy()
        largest[kind[order]] = order  # of several for one kind the last is kept
        return largest, kind


def _codes(column: pa.ChunkedArray) -> Codes:
    """A number for each distinct value, (n,); lists count as their text."""
    if pa.types.is_list(column.type):
        column = pyarrow.compute.binary_join(column, "\0")
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
