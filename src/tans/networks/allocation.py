"""Memory that a network's layers free stays with the process while they are at work.

The C library of Linux gives a large block back to the system as it is freed, and the system clears
it page by page when one is asked for again, layer after layer.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import Lock

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""As ``malloc.h`` of glibc numbers them."""
KEPT: Mapping[int, int] = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1}
"""No block is the system's own, and up to 2 GB at the end of all others stay."""
USUAL: Mapping[int, int] = {MMAP_MAX: 2**16, TRIM_THRESHOLD: 2**26}
"""What glibc comes to by itself."""
BY_HAND = frozenset(
    {"MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"}
)
"""Variables by which a user sets them."""
FUNCTIONS = ("gnu_get_libc_version", "mallopt", "malloc_trim")
"""Of glibc; not all of them are in another C library."""

_lock = Lock()
_at_work = 0


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep what is freed meanwhile for what is asked for next; at the end the system gets it.

    It does nothing where the C library is none of glibc, or where its user has set it up.
    """
    glibc = _glibc()
    if glibc is None:
        yield
        return
    _counted(glibc, 1)
    try:
        yield
    finally:
        _counted(glibc, -1)


def _counted(glibc: ctypes.CDLL, more: int) -> None:
    """One more block at work, or one less; the first and the last change what is done."""
    global _at_work
    with _lock:
        before, _at_work = _at_work, _at_work + more
        if 0 in (before, _at_work):
            for parameter, value in (KEPT if _at_work else USUAL).items():
                glibc.mallopt(parameter, value)
        if not _at_work:
            glibc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it is glibc and is as it comes."""
    if BY_HAND & os.environ.keys():
        return None
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # another system
        return None
    return library if all(hasattr(library, name) for name in FUNCTIONS) else None
