"""SIGTERM, as clusters and ``kill`` send it, ends a command as Ctrl-C does, and cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes: 128 and the number of the signal."""


@dataclass
class Received:
    """What this process was sent."""

    sigterm: bool = False
    """There may be nobody left to ask anything."""


received = Received()


@contextmanager
def terminable() -> Iterator[None]:
    """Interrupt a block on SIGTERM; it ends with the exit code of that, or of an interrupt."""
    here = threading.current_thread() is threading.main_thread()  # no other may set it
    before = signal.signal(signal.SIGTERM, _interrupt) if here else None
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(TERMINATED if received.sigterm else INTERRUPTED) from None
    except SystemExit as ended:
        if received.sigterm and ended.code == INTERRUPTED:
            raise SystemExit(TERMINATED) from None
        raise
    finally:
        received.sigterm = False
        if here:
            signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    if not received.sigterm:  # the first time; what is done is being stored
        received.sigterm = True
        raise KeyboardInterrupt
