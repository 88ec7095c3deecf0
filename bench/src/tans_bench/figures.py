"""Figures in prose, filled from the tables that experiments have drawn.

In a page of Markdown a figure stands between two comments, which no reader sees; not first in a
line, where a comment would end the paragraph. The page's last comment says where each comes from: a
table, a column, what picks the row, and a format of Python where the cell is not taken as it
stands, which is of the first number in it, or of another:

    takes <!--=share-->0.07<!--/--> of an exact scan

    <!-- figures
    share: million/million; time; vectors=zoo; rows=1,000,000; as .2f
    stored: storage/storage; 4-bit difference; task=script-greek; as .1f of number 3
    -->
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tans_bench.errors import ResultError

MARK = re.compile(r"(<!--=([^>]*?)-->)([^<]*)<!--/-->")
OPEN = re.compile(r"<!--=")
FIRST = re.compile(r"^\s*<!--=([^>]*?)-->", re.MULTILINE)
ORIGINS = re.compile(r"<!-- figures\n(.*?)^-->", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
FORM = re.compile(r"as (?P<form>\S+)(?: of number (?P<place>[1-9]))?")


@dataclass(frozen=True)
class Figure:
    """Where a figure comes from."""

    table: str
    """Folder and name, without ending."""
    column: str
    row: tuple[tuple[str, str], ...]
    """Columns and cells by which one row is picked."""
    form: str
    """Of a number in the cell, as Python's ``format`` takes it; empty for the cell."""
    place: int = 1
    """Of that number among those in the cell."""

    @classmethod
    def of(cls, text: str) -> Figure:
        """Read what a page says of it.

        Raises:
            ResultError: it does not name a table, a column and a row.
        """
        table, *rest = (part.strip() for part in text.split(";"))
        form = FORM.fullmatch(rest[-1]) if rest else None
        rest = rest[:-1] if form else rest
        if not rest or not all("=" in pick for pick in rest[1:]):
            raise ResultError(
                f"figure {text.strip()!r}; expected TABLE; COLUMN; COLUMN=CELL; ..., and at the "
                "end a format such as 'as .2f' where the cell is not taken as it stands"
            )
        picks = [pick.partition("=") for pick in rest[1:]]
        row = tuple((name.strip(), cell) for name, _, cell in picks)
        if form is None:
            return cls(table, rest[0], row, "")
        return cls(table, rest[0], row, form["form"], int(form["place"] or 1))

    def read(self, tables: Path) -> str:
        """The figure as the tables in a folder have it now.

        Raises:
            ResultError: no table, no column or not exactly one row is like that.
        """
        place = tables / f"{self.table}.csv"
        try:
            with place.open(newline="") as file:
                rows = list(csv.DictReader(file))
        except OSError as error:
            raise ResultError(
                f"figure of {place}: {error}; draw it with 'tans bench report'"
            ) from None
        found = [row for row in rows if all(row.get(name) == cell for name, cell in self.row)]
        if len(found) != 1 or self.column not in found[0]:
            said = "; ".join(f"{name}={cell}" for name, cell in self.row)
            raise ResultError(
                f"{place} has {len(found)} rows with {said or 'no condition'} for the column "
                f"{self.column!r}; expected one; its columns are {', '.join(rows[0])}"
            )
        return self._written(found[0][self.column])

    def _written(self, cell: str) -> str:
        if not self.form:
            return cell
        numbers = NUMBER.findall(cell)
        if len(numbers) < self.place:
            raise ResultError(
                f"{cell!r} in {self.table} is no number, or has fewer than {self.place}; "
                f"take away 'as {self.form}'"
            )
        return format(float(numbers[self.place - 1].replace(",", "")), self.form)


def filled(text: str, tables: Path) -> str:
    """A page with every figure as the tables have it.

    Raises:
        ResultError: a figure cannot be found, its origin is missing or of no figure, or a mark has
            no end, or begins a line.
    """
    origins = _origins(text)
    marks = {mark[2] for mark in MARK.finditer(text)}
    if len(OPEN.findall(text)) != len(MARK.findall(text)):
        raise ResultError("a mark '<!--=' has no '<!--/-->' after its figure")
    if odd := marks ^ origins.keys():
        raise ResultError(
            f"{', '.join(sorted(odd))}: expected a mark '<!--=NAME-->' in the text and one line "
            "'NAME: ...' in the comment '<!-- figures' for each figure"
        )
    if first := FIRST.search(text):
        raise ResultError(
            f"the mark '<!--={first[1]}-->' begins a line, which ends the paragraph that it stands "
            "in; put a word of the line above before it"
        )
    values = {name: origin.read(tables) for name, origin in origins.items()}
    return MARK.sub(lambda mark: f"{mark[1]}{values[mark[2]]}<!--/-->", text)


def fill(pages: Sequence[Path], tables: Path) -> Iterator[Path]:
    """Write the figures of pages anew; tells those that have changed.

    Raises:
        ResultError: a figure cannot be found, or a page not read or written.
    """
    for page, text in _changed(pages, tables):
        try:
            page.write_text(text)
        except OSError as error:
            raise ResultError(f"cannot write {page}: {error}; check its rights") from None
        yield page


def stale(pages: Sequence[Path], tables: Path) -> list[Path]:
    """Pages with a figure that is another in the tables.

    Raises:
        ResultError: a figure cannot be found, or a page not read.
    """
    return [page for page, _ in _changed(pages, tables)]


def _changed(pages: Sequence[Path], tables: Path) -> Iterator[tuple[Path, str]]:
    for page in pages:
        try:
            before = page.read_text()
            after = filled(before, tables)
        except OSError as error:
            raise ResultError(f"cannot read {page}: {error}; check its name and rights") from None
        except ResultError as error:
            raise ResultError(f"{page}: {error}") from None
        if after != before:
            yield page, after


def _origins(text: str) -> dict[str, Figure]:
    """By name, of the figures of a page."""
    lines = [line for block in ORIGINS.findall(text) for line in block.splitlines() if line.strip()]
    named = [line.partition(":") for line in lines]
    return {name.strip(): Figure.of(said) for name, _, said in named}
