"""Ids of entries: what they are made of, and how they ask for images of another size."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from tans.errors import InputError, ZooError
from tans.networks.family import describe, resized
from tans.types import LARGEST_INPUT, NetworkRef, ZooEntry

AT_SIZE = re.compile(r".+@([1-9][0-9]{0,3})", re.DOTALL)
"""Id of a stored entry for images of another size than its own, as in ``digits-122cd6b4@128``."""


def entry_id(task: str, weights: str, ref: NetworkRef) -> str:
    """Id of an entry: its task, and 8 hex digits of a hash of what else makes it up."""
    digest = hashlib.sha256(f"{weights} {ref.name} {ref.input.size}".encode()).hexdigest()
    return f"{task}-{digest[:8]}"


def at_size(entry: ZooEntry, size: int) -> ZooEntry:
    """A stored network for images of so many pixels a side; itself where that is its own size.

    It has the same weights, and the id ``ID@SIZE``, which ``Zoo.entry`` understands. What was
    measured at the stored size is not said of it.

    Raises:
        ZooError: no input has that size, or the network takes images of some sizes alone.
    """
    if size == entry.resolution:
        return entry
    try:
        ref = resized(entry.ref, size)
        body = describe(ref).costs(0)
    except InputError as error:
        raise ZooError(
            f"{entry.id} cannot have images of {size} pixels a side ({error}); leave the size out"
        ) from error
    return replace(
        entry,
        id=f"{entry.id}@{size}",
        ref=ref,
        body_params=body.params,
        body_flops=body.flops,
        val_accuracy=None,
        accuracy=None,
        similarities=None,
        functional=None,
    )


def asked_size(id: str) -> int | None:
    """Pixels a side that an id asks for, as ``at_size`` writes it; None for that of the entry."""
    found = AT_SIZE.fullmatch(id)
    return int(found[1]) if found else None


def size_of(id: str, stored: ZooEntry) -> int:
    """Pixels a side that an id asks for, which begins with that of a stored entry.

    Raises:
        ZooError: it asks for none, or for more than any image may have.
    """
    size = asked_size(id)
    if size is None or size > LARGEST_INPUT:
        raise ZooError(
            f"{id!r} asks for {id.removeprefix(stored.id + '@')!r} pixels a side; expected a whole "
            f"number from 1 to {LARGEST_INPUT}, as in '{stored.id}@{stored.resolution}'"
        )
    return size
