"""What commands read from a terminal and write to it: quantities, JSON, tables, progress.

Results go to standard output; progress, warnings and errors to standard error.
"""

from __future__ import annotations

import io
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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

from tans.errors import InputError, TansWarning

if TYPE_CHECKING:
    from torch import Tensor

PIPE_WIDTH = 120
"""Columns of a table that is written to a file or a pipe."""

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
    print(text)


def tell(text: str) -> None:
    """Write a line beside the results, to standard error."""
    print(text, file=sys.stderr)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    print(f"warning: {text}", file=sys.stderr)


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


def accept_any_text() -> None:
    """Let names be printed that the terminal's encoding cannot write, escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say_fields(fields: Iterable[object]) -> None:
    """Write a whole line of tab-separated fields to standard output."""
    print("\t".join(" ".join(str(field).split("\t")).replace("\n", " ") for field in fields))


def fail(error: Exception) -> None:
    """Write an error as one line to standard error."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to standard output.

    Columns whose name starts with ``>`` hold numbers; the last column is the one that may wrap.
    """
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns, 1):
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=index < len(columns),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as Text, so that no name is taken for markup
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
    """Ask on a terminal, and take yes for the answer where there is none."""
    if not sys.stdin.isatty():
        warn(question.replace("?", ": yes, as nobody can be asked"))
        return True
    return typer.confirm(question, default=True, err=True)


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
        row = bar.add_task(label, total=None, note="")

        def advance(done: float, total: float, note: str) -> None:
            bar.update(row, completed=done, total=total, note=note)

        yield advance


def millions(number: float) -> str:
    """As in ``2.31 M``."""
    return f"{number / 1e6:.2f} M"


def percent(share: float | None) -> str:
    """As in ``87.1 %``; empty for what is not known."""
    return "" if share is None or math.isnan(share) else f"{share:.1%}".replace("%", " %")
