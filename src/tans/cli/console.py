"""What commands read from a terminal and write to it: quantities, JSON, tables, progress.

Results go to standard output; progress, warnings and errors to standard error. Names in them may be
anyone's: all text passes through ``visible``, and none is taken for markup. JSON has names as they
are, in its own escapes.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tans.errors import InputError, TansWarning, visible
from tans.interrupts import met, received

if TYPE_CHECKING:
    from torch import Tensor

PIPE_WIDTH = 120
"""Columns of a table that is written to a file or a pipe."""
MOMENT_S = 2.0
"""Seconds that a work takes without a bar."""
CELL_WIDTH = 60
"""Of all cells but those of a last column; longer ones are cut, with an ellipsis."""

_NUMBER = r"\s*((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*"
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_MILLISECONDS = {"ms": 1.0, "s": 1e3}

Advance = Callable[[float, float, str], None]
"""Takes what is done, what there is in all, and a few words on where things stand."""


def read_count(text: str) -> float:
    """Parse a number of parameters or multiply-adds: ``3M``, ``1.5k``, ``2G``, ``3e6``.

    Raises:
        InputError: it is not a positive number with such a suffix.
    """
    return _read(text, _SCALES, "a number such as 3M, 1.5k, 2G or 3000000")


def read_milliseconds(text: str) -> float:
    """Parse a time with its unit, ``20ms`` or ``0.02s``, into milliseconds.

    Raises:
        InputError: it is not a positive time with one of these units.
    """
    return _read(text, _MILLISECONDS, "a time such as 20ms or 0.02s")


def _read(text: str, units: Mapping[str, float], expected: str) -> float:
    match = re.fullmatch(rf"{_NUMBER}([a-z]*)\s*", text, re.IGNORECASE)
    value = float(match[1]) * units.get(match[2].lower(), math.nan) if match else math.nan
    if not 0 < value < math.inf:
        raise InputError(f"{text!r} is not a limit; expected {expected}")
    return value


def emit(value: Mapping[str, Any]) -> None:
    """Write JSON to standard output; what is not a number becomes null."""
    print(json.dumps(_finite(value), indent=2))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """Write a line to standard output."""
    print(visible(text))


def tell(text: str) -> None:
    """Write a line beside the results, to standard error."""
    print(visible(text), file=sys.stderr)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    tell(f"warning: {text}")


def warn_each(texts: Iterable[str]) -> None:
    """Write warnings to standard error, a line each."""
    for text in texts:
        warn(text)


def tell_warnings() -> None:
    """Write what tans warns of as other warnings are written, without a place in its code."""
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, TansWarning):
            warn(str(message))
        else:
            others(message, category, *place, **more)

    warnings.showwarning = show


class ReaderGoneError(Exception):
    """Whoever read standard output has enough, as ``head`` does after its lines."""


class _Results(io.FileIO):
    """Standard output that fails once and clearly, and then is silent."""

    failed = False

    def write(self, data: Any, /) -> int:
        if self.failed:  # what is left in a buffer is lost, and that is told already
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self.failed = True
            if isinstance(error, BrokenPipeError):
                raise ReaderGoneError from error
            raise InputError(
                f"the result cannot be written to standard output: {error.strerror}; give it a "
                "place that can be written"
            ) from error


class _Beside(io.FileIO):
    """Standard error, which stops no work where it cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def open_streams() -> None:
    """Make the standard streams ready for any text, and for readers that go away.

    A stream that is closed from the start is opened, lest its number go to the next file: standard
    output such that writing fails, the others such that nothing comes of it.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # which takes the lowest number
    sys.stdout = _guarded(sys.stdout, 1, _Results)
    sys.stderr = _guarded(sys.stderr, 2, _Beside)


def _guarded(stream: TextIO | None, number: int, kind: type[io.FileIO]) -> TextIO:
    """A stream over a file of that kind, and what others put in its place as it is."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # there is no buffer where PYTHONUNBUFFERED is set
    if stream is not None and (type(raw) is not io.FileIO or raw.fileno() != number):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(kind(number, "w", closefd=False)),
        encoding=None if stream is None else stream.encoding,
        errors="backslashreplace",  # names that the terminal's encoding cannot write
        line_buffering=number == 2 or (stream is not None and stream.isatty()),
    )


def finish() -> None:
    """Bring all results to standard output.

    Raises:
        InputError: it cannot be written.
        ReaderGoneError: nobody reads it any more.
    """
    sys.stdout.flush()


def say_fields(fields: Iterable[object]) -> None:
    """Write a whole line of tab-separated fields to standard output."""
    print("\t".join(visible(str(field)) for field in fields))


def fail(error: object) -> None:
    """Write an error as one line to standard error."""
    tell(f"error: {' '.join(str(error).split())}")


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to standard output.

    Columns whose name starts with ``>`` hold numbers; the last column is the one that may wrap.
    """
    heading = Text(visible(title), "table.title")  # as Text, so that no name is taken for markup
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns, 1):
        last = index == len(columns)
        table.add_column(
            Text(column.removeprefix(">")),
            justify="right" if column.startswith(">") else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
            max_width=None if last else CELL_WIDTH,
        )
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width).print(table)


def is_terminal() -> bool:
    """Whether standard output is read by a person rather than a program."""
    return sys.stdout.isatty()


def draws_pictures() -> bool:
    """Whether standard output shows colours, so that pictures can be drawn on it."""
    return Console().color_system in ("256", "truecolor")


def draw(images: Tensor) -> None:
    """Draw images, uint8 (n, 3, r, r) of even r, side by side, two rows of pixels to a line."""
    count = max(1, Console().width // (images.shape[-1] + 1))
    for upper, lower in images[:count].permute(2, 0, 3, 1).unflatten(0, (-1, 2)).tolist():
        line = Text()
        for above, below in zip(upper, lower, strict=True):  # images (r, 3) each
            for top, bottom in zip(above, below, strict=True):
                line.append(
                    "▀", f"rgb({','.join(map(str, top))}) on rgb({','.join(map(str, bottom))})"
                )
            line.append(" ")
        Console().print(line, no_wrap=True)


def confirm(question: str) -> bool:
    """Ask on a terminal, and take yes for the answer where there is none, or after SIGTERM."""
    met()  # an interrupt that is asked about
    if received.sigterm or sys.stdin is None or not sys.stdin.isatty():
        warn(question.replace("?", ": yes, as nobody can be asked"))
        return True
    return typer.confirm(visible(question), default=True, err=True)


@contextmanager
def progress(label: str, percent: bool = False) -> Iterator[Advance]:
    """A progress bar on standard error; yields the function that moves it.

    Args:
        label: stands before the bar.
        percent: shows a percentage, where what is done is no number of things.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn() if percent else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        row = bar.add_task(visible(label), total=None, note="")

        def advance(done: float, total: float, note: str) -> None:
            bar.update(row, completed=done, total=total, note=visible(note))

        yield advance


@contextmanager
def late_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Bars for what is told to take longer than a moment, one after another.

    Yields what is told what is done, to how many so far, and of how many.
    """
    with ExitStack() as shown:
        began: dict[str, float] = {}
        bars: dict[str, Advance] = {}

        def tell(what: str, done: int, total: int) -> None:
            if time.monotonic() - began.setdefault(what, time.monotonic()) < MOMENT_S:
                return
            if what not in bars:
                shown.close()
                bars.clear()
                bars[what] = shown.enter_context(progress(what))
            bars[what](done, total, "")

        yield tell


def millions(number: float) -> str:
    """As in ``2.31 M``."""
    return f"{number / 1e6:.2f} M"


def percent(share: float | None) -> str:
    """As in ``87.1 %``; empty for what is not known."""
    return "" if share is None or math.isnan(share) else f"{share:.1%}".replace("%", " %")
