"""SIGTERM, as clusters and ``kill`` send it, ends a command as Ctrl-C does, and cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes: 128 and the number of the signal."""


@dataclass
class Received:
    """What this process was sent."""

    sigterm: bool = False
    """There may be nobody left to ask anything."""
    unheeded: bool = False
    """An interrupt was raised, and nobody has met it yet."""


received = Received()
CAN_WAIT = hasattr(signal, "setitimer")
ALARM = signal.SIGALRM if CAN_WAIT else None
AGAIN_S = 0.05
"""Until a signal that came at a bad moment is heeded."""
_waiting: list[int] = []
"""Signals that came at a bad moment."""


@contextmanager
def terminable() -> Iterator[None]:
    """Interrupt a block on SIGTERM; it ends with the exit code of that, or of an interrupt."""
    here = threading.current_thread() is threading.main_thread()  # no other may set it
    before = {number: signal.signal(number, _interrupt) for number in _handled()} if here else {}
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(TERMINATED if received.sigterm else INTERRUPTED) from None
    except SystemExit as ended:
        if received.sigterm and ended.code == INTERRUPTED:
            raise SystemExit(TERMINATED) from None
        raise
    finally:
        received.sigterm = received.unheeded = False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def unchanged() -> Iterator[None]:
    """Make an interrupt again of what a library made of it: some take any exception for a sign
    that what they read is damaged."""
    try:
        yield
    except Exception:
        if received.unheeded:
            raise KeyboardInterrupt from None
        raise


def _handled() -> list[signal.Signals]:
    """SIGTERM, and SIGINT unless whoever started this process ignores it."""
    found = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        found.append(signal.SIGINT)
    return found


def _interrupt(number: int, frame: FrameType | None) -> None:
    if CAN_WAIT and _would_be_lost(frame):
        _waiting.append(number)
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        return
    asked = {number, *_waiting} - {ALARM}
    _waiting.clear()
    if signal.SIGTERM in asked:
        asked.remove(signal.SIGTERM)
        if not received.sigterm:  # the first time; what is done is being stored
            received.sigterm = received.unheeded = True
            raise KeyboardInterrupt
    if asked:
        received.unheeded = True
        raise KeyboardInterrupt


def _would_be_lost(frame: FrameType | None) -> bool:
    """Whether an exception raised here would be swallowed or changed: as a module is imported, and
    as something is told that an object is gone."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib") or name.endswith(("_weakrefset.py", "weakref.py")):
            return True
        frame = frame.f_back
    return False
