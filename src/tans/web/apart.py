"""Work in a process of its own, which can be ended at any time and gives all memory back.

What such a process says is JSON, never pickled: it has read what strangers gave.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from tans.errors import InputError, MissingExtraError, ServiceError, TansError

FORKS = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT: Any = multiprocessing.get_context("forkserver" if FORKS else "spawn")
PRELOADED = ["tans.web.work"]
"""Imported once for all processes; nothing that starts threads, as LanceDB does."""
POLL_S = 0.1
"""Until it is seen that work is cancelled, at most."""
END_S = 2.0
"""That a process gets to end when it is told to."""
UNPROCESSABLE, FAILED, MISSING, LATE = 422, 500, 501, 503

Tell = Callable[[dict[str, Any]], None]


class CancelledError(ServiceError):
    """The work was not wanted any more."""

    def __init__(self) -> None:
        super().__init__("the service is about to stop; try again later", LATE)


@dataclass(frozen=True)
class Bounds:
    """What work in a process of its own may take."""

    seconds: float
    memory_bytes: int
    cancelled: threading.Event | None = None
    """Ends it when set."""


def prepare() -> None:
    """Start importing what such processes need, so that the first of them need not wait long."""
    if FORKS:
        from multiprocessing import forkserver

        CONTEXT.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()


def run_apart(
    work: Callable[..., Any], *arguments: Any, bounds: Bounds, on_told: Tell | None = None
) -> Any:
    """Run a function in a process of its own; what it returns, as JSON has it.

    Args:
        work: of a module; it is given the arguments, and as ``tell`` what tells how far it is.
        on_told: is told that, here.

    Raises:
        ServiceError: it raised a ``TansError``, took too long or too much memory, or died.
        CancelledError: it was cancelled.
    """
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(
        target=_work, args=(there, work, arguments, bounds.memory_bytes), daemon=True
    )
    process.start()
    there.close()
    try:
        found = _heard(here, bounds, on_told or (lambda _: None))
        process.join(END_S)  # so that it leaves nothing behind
        return found
    finally:
        here.close()
        _end(process)


def _heard(here: Connection, bounds: Bounds, on_told: Tell) -> Any:
    """What a process returns, once it does."""
    until = time.monotonic() + bounds.seconds
    while time.monotonic() < until:
        if bounds.cancelled is not None and bounds.cancelled.is_set():
            raise CancelledError
        if not here.poll(POLL_S):
            continue
        try:
            said = json.loads(here.recv_bytes())
        except (EOFError, OSError) as error:
            raise ServiceError(
                "the work on this ended before it was done, perhaps for want of memory; try "
                "again with fewer or smaller images",
                FAILED,
            ) from error
        if "error" in said:
            raise ServiceError(said["error"], said["status"])
        if "returned" in said:
            return said["returned"]
        on_told(said["told"])
    raise ServiceError(
        f"this took more than the {bounds.seconds:g} seconds that the service allows; try again "
        "with fewer images",
        LATE,
    )


def _end(process: BaseProcess) -> None:
    """End a process, by force where it does not listen."""
    process.terminate()
    process.join(END_S)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def _work(
    there: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], memory: int
) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _bound_memory(memory)

    def tell(told: dict[str, Any]) -> None:
        there.send_bytes(json.dumps({"told": told}).encode())

    try:
        said = {"returned": work(*arguments, tell=tell)}
    except TansError as error:
        said = {"error": str(error), "status": _status(error)}
    except MemoryError:
        said = {
            "error": "memory ran out; try again with fewer images or a smaller network",
            "status": FAILED,
        }
    there.send_bytes(json.dumps(said).encode())


def _status(error: TansError) -> int:
    """As HTTP numbers what went wrong."""
    if isinstance(error, ServiceError):
        return error.status
    if isinstance(error, InputError):
        return UNPROCESSABLE
    return MISSING if isinstance(error, MissingExtraError) else FAILED


def _bound_memory(most: int) -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows; a lower bound is set already
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _die_with_parent() -> None:
    """However the service ends, nothing that it started goes on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
