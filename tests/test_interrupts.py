"""A signal is heeded whatever the process is at."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tans.cli import console
from tans.errors import ZooError
from tans.interrupts import (
    CAN_WAIT,
    INTERRUPTED,
    TERMINATED,
    met,
    terminable,
    unchanged,
    uninterrupted,
)
from tests.interrupted import interruptions

needs_alarm = pytest.mark.skipif(not CAN_WAIT, reason="this system has no alarms")

MODULE = """
import os
os.kill(os.getpid(), {number})
done = True
"""


def _go_on(work: Callable[[], object]) -> None:
    with terminable():
        work()
        while True:
            pass


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, TERMINATED), (signal.SIGINT, INTERRUPTED)]
)
def test_what_comes_as_a_module_is_imported_is_heeded_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """An exception could get lost there, and the process would go on."""
    name = f"sends_{number.name.lower()}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(number=int(number)))
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            _go_on(lambda: importlib.import_module(name))
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == code
    assert sys.modules[name].done  # the import went on to its end


def test_a_signal_ends_a_block_at_once_and_handlers_are_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        _go_on(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert ended.value.code == TERMINATED
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_that_something_swallowed_is_raised_again() -> None:
    """As what is written in C or Rust does, without a word."""

    def swallow() -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        _go_on(swallow)
    assert ended.value.code == TERMINATED


def test_an_interrupt_as_an_object_goes_is_raised_again_and_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Going:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with pytest.raises(SystemExit) as ended:
        _go_on(Going)
    assert ended.value.code == TERMINATED
    assert not told


@needs_alarm
def test_an_interrupt_that_is_being_handled_is_not_raised_again() -> None:
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGALRM)
            cleaned.append(True)

    with pytest.raises(SystemExit) as ended:
        _go_on(work)
    assert ended.value.code == TERMINATED
    assert cleaned


@needs_alarm
def test_after_an_interrupt_that_was_met_the_process_goes_on() -> None:
    with terminable():
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        met()
        signal.raise_signal(signal.SIGALRM)


@needs_alarm
def test_what_is_not_to_be_interrupted_comes_to_its_end() -> None:
    done = []

    @uninterrupted
    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        done.append(inner())

    def inner() -> bool:
        signal.raise_signal(signal.SIGALRM)
        return True

    with pytest.raises(SystemExit) as ended:
        _go_on(work)
    assert ended.value.code == TERMINATED
    assert done


@needs_alarm
def test_a_block_that_was_entered_is_left() -> None:
    """Wherever the interrupt comes: also where nobody knows yet that the block was entered."""
    entered: list[bool] = []
    left: list[bool] = []

    @uninterrupted
    def note(there: list[bool]) -> None:
        there.append(True)

    @contextmanager
    def block() -> Iterator[None]:
        note(entered)
        try:
            yield
        finally:
            note(left)

    def work() -> None:
        with ExitStack() as held:
            held.enter_context(block())
            with block():
                pass

    points = 0
    for _ in interruptions(work):
        points += 1
        assert left == entered
        entered.clear()
        left.clear()
    assert points > 10


@needs_alarm
def test_a_temporary_folder_goes(tmp_path: Path) -> None:
    def work() -> None:
        with TemporaryDirectory(dir=tmp_path) as folder:
            Path(folder, "file").touch()

    points = 0
    for _ in interruptions(work):
        points += 1
        assert not list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    assert points > 50


def test_blocks_within_blocks_leave_handlers_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with terminable(), terminable():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_block_in_another_thread_leaves_this_ones_handlers() -> None:
    def elsewhere() -> None:
        with terminable():
            pass

    with terminable():
        inside = signal.getsignal(signal.SIGTERM)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(elsewhere).result()
        assert signal.getsignal(signal.SIGTERM) is inside


def _misread() -> None:
    """As libraries do that take any exception for a sign of damage."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            pass
    except KeyboardInterrupt:
        raise ZooError("the table is damaged") from None


def test_an_interrupt_that_a_library_took_for_damage_is_one_again() -> None:
    with pytest.raises(SystemExit) as ended, terminable(), unchanged():
        _misread()
    assert ended.value.code == TERMINATED


def _kept_and_lost() -> None:
    """Meet an interrupt, ask about it, and fail later."""
    with pytest.raises(ZooError):
        _misread()
    assert console.confirm("Keep the best?")
    raise ZooError("the disk is full")


def test_what_goes_wrong_after_an_interrupt_was_met_is_told() -> None:
    with pytest.raises(ZooError, match="full"), terminable(), unchanged():
        _kept_and_lost()


def test_what_goes_wrong_without_an_interrupt_is_told() -> None:
    with pytest.raises(ZooError, match="damaged"), terminable(), unchanged():
        raise ZooError("the table is damaged")
