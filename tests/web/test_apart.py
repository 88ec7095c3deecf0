"""Work in a process of its own. What it runs stands in this module, so that it is found there."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from tans.errors import InputError, ServiceError
from tans.web.apart import Bounds, CancelledError, Tell, run_apart

pytestmark = pytest.mark.long
BOUNDS = Bounds(60, 2**34)


def counts(most: int, tell: Tell) -> dict[str, Any]:
    for number in range(most):
        tell({"number": number})
    return {"process": os.getpid()}


def refuses(**_: Tell) -> None:
    raise InputError("a sentence")


def dies(**_: Tell) -> None:
    os._exit(3)


def sleeps(tell: Tell) -> None:
    tell({"process": os.getpid()})
    time.sleep(600)


def swells(**_: Tell) -> int:
    return len(bytearray(2**34))


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_it_tells_and_returns_from_another_process() -> None:
    told: list[dict[str, Any]] = []
    said = run_apart(counts, 3, bounds=BOUNDS, on_told=told.append)
    assert said["process"] != os.getpid()
    assert told == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_an_error_comes_back_as_what_it_is() -> None:
    with pytest.raises(ServiceError, match="^a sentence$") as refused:
        run_apart(refuses, bounds=BOUNDS)
    assert refused.value.status == 422


def test_a_death_is_told() -> None:
    with pytest.raises(ServiceError, match="ended before it was done") as died:
        run_apart(dies, bounds=BOUNDS)
    assert died.value.status == 500


def test_what_takes_too_long_is_ended() -> None:
    told: list[dict[str, Any]] = []
    with pytest.raises(ServiceError, match="more than the 15 seconds"):
        run_apart(sleeps, bounds=Bounds(15, 2**34), on_told=told.append)
    assert is_gone(told[0]["process"])


def test_what_is_cancelled_is_ended() -> None:
    cancelled, told = threading.Event(), []

    def on_told(said: dict[str, Any]) -> None:
        told.append(said)
        cancelled.set()

    with pytest.raises(CancelledError):
        run_apart(sleeps, bounds=Bounds(60, 2**34, cancelled), on_told=on_told)
    assert is_gone(told[0]["process"])


def test_what_takes_too_much_memory_is_told() -> None:
    with pytest.raises(ServiceError, match="memory ran out"):
        run_apart(swells, bounds=Bounds(60, 2**33))
