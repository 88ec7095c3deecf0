"""The LanceDB tables of a zoo, which several processes may read and change at once."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tans.errors import ZooError
from tans.files import UNFINISHED, alone
from tans.zoo import kept
from tans.zoo.blobs import LocalBlobs, damaged
from tans.zoo.migrations import (
    entries_2_to_3,
    is_old,
    old_columns,
    transfers_3_to_4,
)
from tans.zoo.rows import KEYS, check_columns, schemas
from tans.zoo.seals import Seals

ATTEMPTS = 6
"""Of a commit that another writer got ahead of; LanceDB retries by itself before that."""
MIGRATED = ("entries", "transfers")
"""Tables that were of another form in older schemas."""
FAILURES = (OSError, RuntimeError, ValueError)
"""What LanceDB raises."""


class Tables:
    """The tables in a zoo's folder, as they were when first read, and its own changes.

    A table is checked against its seals when it is first read, and sealed when it was changed.

    Args:
        blobs: of the zoo.
        seals: of the zoo.
    """

    def __init__(self, blobs: LocalBlobs, seals: Seals) -> None:
        self._blobs, self._seals = blobs, seals
        self.folder = blobs.root
        self._table = cache(self._open)
        self._opened: set[str] = set()
        self._whole: dict[tuple[str, ...], pa.Table] = {}

    def create(self, schemas: Mapping[str, pa.Schema]) -> None:
        """Make the empty tables; those that a killed creation left stay.

        Raises:
            OSError, RuntimeError, ValueError: as LanceDB does.
            ZooError: a table was lost, or is damaged.
        """
        database = _database(self.folder)
        for name, schema in schemas.items():
            with alone(self.folder / f"{name}.lance"):
                self._seals.check(name)
                database.create_table(name, schema=schema, exist_ok=True)
                self._seals.seal(self._seals.files(name))

    def has(self, name: str) -> bool:
        """Whether there is such a table.

        Raises:
            ZooError: it is damaged.
        """
        try:
            self._table(name)
        except ValueError as error:
            if "not found" in str(error):  # LanceDB's way to say so
                return False
            raise damaged(self.folder / f"{name}.lance", error) from error
        except FAILURES as error:
            raise damaged(self.folder / f"{name}.lance", error) from error
        return True

    def read(
        self, name: str, columns: list[str] | None = None, where: str | None = None
    ) -> pa.Table:
        """Rows in order of their key.

        Args:
            name: of the table.
            columns: to read, the key among them; all when None.
            where: an SQL condition.

        Raises:
            ZooError: the table is missing or damaged.
        """
        try:
            return self._query(name, columns, where)
        except FAILURES:
            self._table.cache_clear()  # another process may have compacted what we had open
        try:
            return self._query(name, columns, where)
        except FAILURES as error:
            raise damaged(self.folder / f"{name}.lance", error) from error

    def whole(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """As ``read``, all rows; from the cache, where it has those of the files as they are.

        Raises:
            ZooError: the table is missing or damaged.
        """
        key = (name, *(columns or ()))
        if key in self._whole:
            return self._whole[key]
        found = self._kept(name, columns)
        if len(found) < kept.MANY:
            self._whole[key] = found
        return found

    def is_opened(self, name: str) -> bool:
        """Whether rows are read of a table as it was at some time, and not as its files are now."""
        return name in self._opened

    def files(self, name: str) -> list[str]:
        """Keys of the files that a table is made of now, which others take the places of when it
        changes: none is ever written over."""
        return self._seals.files(name)

    def merge(self, name: str, rows: pa.Table) -> None:
        """Add rows in one commit; those of the same key are replaced.

        Raises:
            ZooError: the table cannot be changed.
        """
        rows = distinct(name, rows)
        self._commit(
            name,
            lambda table, _: (
                table.merge_insert(KEYS[name])
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute(rows)
            ),
        )

    def compact(self) -> None:
        """Merge the fragments of each table, and drop old versions and what dead writers left.

        Raises:
            ZooError: a table cannot be changed.
        """
        for name in filter(self.has, KEYS):
            self._seals.check(name)
            self._commit(name, _optimise)
        tables = tuple(f"{name}.lance/" for name in KEYS)
        self._seals.rewrite(lambda key: not key.startswith(tables) or self._blobs.exists(key))

    def _kept(self, name: str, columns: list[str] | None) -> pa.Table:
        if self.is_opened(name):
            return self.read(name, columns)
        self._check(name)
        try:
            place = kept.place_of(self.folder, name, self.files(name), columns)
        except (OSError, RuntimeError):  # there is no cache
            return self.read(name, columns)
        found = kept.load(place)
        if found is None:
            found = self.read(name, columns)
            kept.keep(place, found)
        return found

    def _check(self, name: str) -> None:
        self._blobs.place(f"{name}.lance")  # refuses links that lead out of the folder
        self._seals.check(name)

    def _open(self, name: str) -> Any:
        self._check(name)
        self._opened.add(name)
        table = _database(self.folder).open_table(name)
        if not is_old(name, table.schema):
            check_columns(name, table.schema)
        return table

    def upgrade(self) -> None:
        """Give tables of an older schema their newer form, each at once.

        Raises:
            ZooError: a table cannot be read or changed.
        """
        for name in filter(self._is_old, MIGRATED):
            rows = self.read(name)
            self._commit(name, partial(self._overwrite, name, rows))
        self._table.cache_clear()

    def is_old(self) -> bool:
        """Whether a table is of an older schema.

        Raises:
            ZooError: the table is missing or damaged.
        """
        return any(map(self._is_old, MIGRATED))

    def _is_old(self, name: str) -> bool:
        try:
            if is_old(name, self._table(name).schema):
                self._table.cache_clear()  # another process may have upgraded what we had open
            return is_old(name, self._table(name).schema)
        except FAILURES as error:
            raise damaged(self.folder / f"{name}.lance", error) from error

    def _overwrite(self, name: str, rows: pa.Table, *_: object) -> None:
        rows = rows.cast(schemas()[name])
        _database(self.folder).create_table(name, rows, mode="overwrite")

    def _query(self, name: str, columns: list[str] | None, where: str | None) -> pa.Table:
        table = self._table(name)
        if not is_old(name, table.schema):
            return distinct(name, _found(table, columns, where))
        if name == "transfers":
            return distinct(name, transfers_3_to_4(_found(table, None, where)))
        columns = columns or schemas()[name].names
        old = _found(table, old_columns(columns), where)
        width = table.schema.field("functional").type.list_size
        return distinct(name, entries_2_to_3(old, columns, width))

    def _commit(self, name: str, change: Callable[[Any, bool], object]) -> None:
        """Change a table, which is told whether nobody else writes to it for sure."""
        for attempt in range(ATTEMPTS):
            try:
                self._whole = {key: rows for key, rows in self._whole.items() if key[0] != name}
                with alone(self.folder / f"{name}.lance") as held:
                    change(self._table(name), held)
                    self._seals.seal(self._seals.files(name))
                return
            except FAILURES as error:
                failure = error
                self._table.cache_clear()
                time.sleep(0.05 * 2**attempt)
        raise ZooError(
            f"cannot change {self.folder / name}.lance: {failure}; check the disk and rights, "
            "or let fewer processes write at once"
        ) from failure


def _database(folder: Path) -> Any:
    """LanceDB of a folder; its import takes as long as PyTorch's, and reading the columns of a zoo
    that the cache keeps needs none of it."""
    import lancedb

    return lancedb.connect(folder)


def _found(table: Any, columns: list[str] | None, where: str | None) -> pa.Table:
    query = table.search()
    query = query if columns is None else query.select(columns)
    return (query if where is None else query.where(where)).to_arrow()


def distinct(name: str, rows: pa.Table) -> pa.Table:
    """Rows in order of their key, the last of each key.

    LanceDB lets two writers that add the same key at the same moment both append it.

    Raises:
        ValueError: a row has no key.
    """
    if any(rows[key].null_count for key in KEYS[name]):
        raise ValueError(f"a row has no {' or '.join(KEYS[name])}")
    keys = rows.select(KEYS[name])
    order = pyarrow.compute.sort_indices(keys, [(key, "ascending") for key in KEYS[name]])
    keys = keys.take(order)  # of equal ones the last stays the last
    last = np.ones(len(keys), dtype=bool)
    if len(keys) > 1:
        here, there = keys.slice(0, len(keys) - 1), keys.slice(1)
        same = [pyarrow.compute.equal(here[key], there[key]).to_numpy() for key in KEYS[name]]
        last[:-1] = ~np.logical_and.reduce(same)
    return rows.take(order.filter(pa.array(last)))


def _optimise(table: Any, held: bool) -> None:
    with warnings.catch_warnings():
        # that readers of old versions must open the table anew, which ``read`` does
        warnings.simplefilter("ignore", UserWarning)
        table.optimize(cleanup_older_than=timedelta(0))
        unfinished = timedelta(0) if held else UNFINISHED
        table.optimize(cleanup_older_than=unfinished, delete_unverified=True)
