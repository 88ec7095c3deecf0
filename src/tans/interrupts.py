"""SIGTERM, as clusters and ``kill`` send it, ends a command as Ctrl-C does, and cleanly.

An interrupt is raised wherever the process is at, and may get lost there: what is written in C or
Rust can drop any exception, as when it asks whether an object is of a kind. So it is raised again
until somebody meets it. And it waits where it would leave something half undone: in what says of
itself that it is not to be interrupted, and as a block begins or ends.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, ParamSpec, TypeVar

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes: 128 and the number of the signal."""
CAN_WAIT = hasattr(signal, "setitimer")
AGAIN_S = 0.05
"""Until a signal that came at a bad moment is heeded, and one that was raised is looked after."""

_BAD_FILES = "_weakrefset.py", "weakref.py", "tempfile.py"
"""Of the standard library, what no interrupt ends either."""
_uninterrupted = set[CodeType]()
"""What functions do that no interrupt ends."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass
class Received:
    """What this process was sent."""

    sigterm: bool = False
    """There may be nobody left to ask anything."""
    unheeded: bool = False
    """An interrupt was raised, and nobody has met it yet."""
    waiting: set[int] = field(default_factory=set)
    """Signals that came at a bad moment."""
    alarm: Any = None
    """How the alarm was handled before an interrupt set one."""


received = Received()


def met() -> None:
    """Say that an interrupt was understood, and that the process goes on all the same."""
    received.unheeded = False


@contextmanager
def terminable() -> Iterator[None]:
    """Interrupt a block on SIGTERM; it ends with the exit code of that, or of an interrupt."""
    here = threading.current_thread() is threading.main_thread()  # no other may set it
    before = {number: signal.signal(number, _receive) for number in _handled()} if here else {}
    shown = sys.unraisablehook
    sys.unraisablehook = _quietly(shown)
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
        received.waiting.clear()
        sys.unraisablehook = shown
        if here and received.alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, received.alarm)
            received.alarm = None
        for number, handler in before.items():
            signal.signal(number, handler)


def uninterrupted(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function that stores or cleans up, or that takes what is to be given back: from
    its first instruction to its last, interrupts wait. It is to be short."""
    _uninterrupted.add(function.__code__)
    return function


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


def _receive(number: int, frame: FrameType | None) -> None:
    """Handle a signal."""
    if number == signal.SIGTERM and received.sigterm:
        return  # the first one was raised; what is done is being stored
    received.waiting.add(number)
    _interrupt(frame)


def _look_again(_: int, frame: FrameType | None) -> None:
    """Handle the alarm: raise what waits, and again what nobody met and nobody is handling."""
    if received.waiting or (received.unheeded and not _is_handled()):
        _interrupt(frame)
    elif received.unheeded:
        _come_back()


def _interrupt(frame: FrameType | None) -> None:
    """Raise an interrupt, if not now then later."""
    if CAN_WAIT:
        _come_back()
        if _is_bad_moment(frame):
            return
    received.sigterm |= signal.SIGTERM in received.waiting
    received.waiting.clear()
    received.unheeded = True
    raise KeyboardInterrupt


def _come_back() -> None:
    if received.alarm is None:
        received.alarm = signal.signal(signal.SIGALRM, _look_again)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S)


def _is_handled() -> bool:
    """Whether an interrupt, or the end that it led to, is what is handled where this is called."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            return True
        error = error.__context__
    return False


def _is_bad_moment(frame: FrameType | None) -> bool:
    """Whether an exception raised here would be swallowed or changed, as where a module is imported
    and where something is told that an object is gone; or would leave something half undone, as
    where a temporary folder goes."""
    if frame is not None and frame.f_code.co_filename == contextlib.__file__:
        return True  # a block would be entered, and nobody would know that it is to be left
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib") or name.endswith(_BAD_FILES):
            return True
        if frame.f_code in _uninterrupted:
            return True
        frame = frame.f_back
    return False


def _quietly(shown: Callable[[Any], object]) -> Callable[[Any], object]:
    """What tells of exceptions that nobody can handle, as of an object that goes, but for
    interrupts, which are raised again."""

    def show(unraisable: Any) -> None:
        if not (CAN_WAIT and received.unheeded and unraisable.exc_type is KeyboardInterrupt):
            shown(unraisable)

    return show
