"""How far the reading of many images is, told to whoever wants to know.

A listener is set around a call, and not handed through all that lies between: images are read
when a task is made, and again, at the size of a network, long afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
"""Told what is done, to how many images so far, and of how many."""
READING, COMPARING = "reading images", "comparing images"

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def watching(listener: Listener) -> Iterator[None]:
    """Tell a listener how far the reading is, inside the block and in its thread."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


@contextmanager
def part_of(total: int, begun: int) -> Iterator[None]:
    """Count what is told inside the block as a part of ``total`` that follows ``begun`` others."""
    listener = _LISTENER.get()
    if listener is None:
        yield
        return
    with watching(lambda what, done, _: listener(what, begun + done, total)):
        yield


def tell(what: str, done: int, total: int) -> None:
    """Tell the listener, if there is one."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(what, done, total)
