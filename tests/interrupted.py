"""Interrupts wherever Python heeds signals: as a function begins, and after each call."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import FrameType

from tans.interrupts import terminable

HEEDS = {"call", "c_return", "c_exception"}


def interrupted(work: Callable[[], object], at: int) -> bool:
    """Do some work, and interrupt it at a point of those; whether it has as many.

    Where that one was a bad moment, the interrupt comes when the work is done.
    """
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
