"""What is only ever added to a zoo: the cost of each step of its building, the ledger of its pairs.

A log is a table, made when something is first added. Zoos of schema 2 kept a file of lines of JSON
instead: where there is one, its lines count as the oldest, and the next addition moves them into
the table.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Generic, TypeVar

import pyarrow as pa

from tans.errors import ZooError
from tans.zoo.blobs import Blobs, damaged
from tans.zoo.migrations import log_2_to_3
from tans.zoo.rows import LOG_SCHEMAS, LedgerLine, StepCost, from_log, to_log
from tans.zoo.tables import Tables, distinct

Line = TypeVar("Line", StepCost, LedgerLine)


class Log(Generic[Line]):
    """One log of a zoo.

    Args:
        tables: of the zoo.
        blobs: of the zoo, which may hold the file of lines.
        name: of the log's table.
        line: what its rows are.
    """

    def __init__(self, tables: Tables, blobs: Blobs, name: str, line: type[Line]) -> None:
        self._tables, self._blobs, self.name = tables, blobs, name
        self._line: type[Line] = line
        self._key = f"{name}.jsonl"

    def read(self) -> list[Line]:
        """Its lines, in the order in which they were added.

        Raises:
            ZooError: it is damaged.
        """
        rows = self._old()
        if self._tables.has(self.name):
            stored = self._tables.read(self.name).select(rows.column_names)
            # a move that was killed may have left lines in both
            rows = distinct(self.name, pa.concat_tables([rows, stored]))
        return to_log(self.name, rows, f"{self._blobs}/{self.name}.lance")

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines in one commit, after those of an older form.

        Raises:
            ZooError: it is damaged, or cannot be changed.
        """
        added = from_log(self.name, lines, time.time_ns())
        rows = pa.concat_tables([self._old(), added])
        if not len(rows):
            return
        if not self._tables.has(self.name):
            self._tables.create({self.name: LOG_SCHEMAS[self.name]})
        self._tables.merge(self.name, rows)
        self._blobs.delete(self._key)

    def _old(self) -> pa.Table:
        """Rows of the lines in the file, if there is one."""
        data = self._blobs.get(self._key) if self._blobs.exists(self._key) else b""
        try:
            lines = [self._line(**fields) for fields in log_2_to_3(data)]
            return from_log(self.name, lines, 0)
        except (ValueError, TypeError, RecursionError, ZooError) as error:
            raise damaged(f"{self._blobs}/{self._key}", error) from error
