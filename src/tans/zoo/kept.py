"""Whole tables of a zoo, as the cache keeps them for as long as their files are the same.

LanceDB takes as long to import as PyTorch; what is read from here needs none of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from tans.files import cache_dir, read_file, write_file

MANY = 50_000
"""Rows from which on a table is not kept so, as it is too much to read it all."""
MOST_BYTES = 2**28
"""Of a file here."""
OF_TABLE = 16
"""Digits of a file's name that tell its table; what follows tells its state."""
_HASH = 32


def place_of(folder: Path, name: str, files: Sequence[str], columns: Sequence[str] | None) -> Path:
    """Where some columns of a table are kept.

    Args:
        folder: of the zoo.
        files: that the table is made of now.

    Raises:
        OSError, RuntimeError: there is no cache.
    """
    table = f"{folder.absolute()} {name} {None if columns is None else list(columns)}"
    parts = (hashlib.sha256(part.encode()).hexdigest() for part in (table, "\n".join(files)))
    own, state = parts
    return cache_dir("tables") / f"{own[:OF_TABLE]}{state}"


def load(place: Path) -> pa.Table | None:
    """Rows that are kept; None where there are none, or what is there is damaged."""
    try:
        data = read_file(place, MOST_BYTES)
        if hashlib.sha256(data[_HASH:]).digest() != data[:_HASH]:
            return None
        return pa.ipc.open_stream(pa.py_buffer(data)[_HASH:]).read_all()
    except (OSError, pa.ArrowException):
        return None


def keep(place: Path, rows: pa.Table) -> None:
    """Keep rows, in place of those of older states of their table, as far as that can be."""
    if len(rows) >= MANY:
        return
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    data = sink.getvalue().to_pybytes()
    with suppress(OSError):  # it is of use without
        write_file(place, hashlib.sha256(data).digest() + data)
        for other in set(place.parent.glob(f"{place.name[:OF_TABLE]}*")) - {place}:
            other.unlink()
