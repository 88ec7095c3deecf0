"""Interrupts wherever Python heeds signals: as a function begins, and after each call."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from types import FrameType

from tans.interrupts import terminable

HEEDS = {"call", "c_return", "c_exception"}


def interruptions(
    work: Callable[[], object], prepare: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Do some work again and again, interrupted at one point of those after another.

    Yields after each; where the point was a bad moment, the interrupt comes when the work is done.
    Ends with work that has no further point, and so was not interrupted.
    """
    for at in count():
        prepare()
        if not _interrupted(work, at):
            return
        yield


def _interrupted(work: Callable[[], object], at: int) -> bool:
    points = count()
    reached = False

    def heed(frame: FrameType, event: str, _: object) -> None:
        nonlocal reached
        if event in HEEDS and next(points) == at:
            reached = True
            sys.setprofile(None)
            handle = signal.getsignal(signal.SIGTERM)
            assert callable(handle)
            handle(signal.SIGTERM, frame)

    with suppress(SystemExit), terminable():
        sys.setprofile(heed)
        try:
            work()
        finally:
            sys.setprofile(None)
        while reached:  # the alarm that was set is met early
            signal.raise_signal(signal.SIGALRM)
    return reached
