"""What an answer is shown as: a table in Markdown and CSV, or a figure in PNG and SVG."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from matplotlib import rc_context
from matplotlib.figure import Figure

from tans.errors import visible

DPI = 120


class Drawing(Protocol):
    """Something to be shown below its heading."""

    @property
    def name(self) -> str:
        """Of its files."""
        ...

    def save(self, folder: Path) -> None:
        """Write its files."""
        ...

    def markdown(self, folder: str) -> str:
        """How a page shows it, its files being in ``folder``."""
        ...


@dataclass(frozen=True)
class Table:
    """Rows of text; what reads as a number stands to the right."""

    name: str
    """Of its files."""
    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def save(self, folder: Path) -> None:
        (folder / f"{self.name}.md").write_text(f"{self.grid()}\n")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *map(_plain, self.rows)])
        (folder / f"{self.name}.csv").write_text(text.getvalue())

    def markdown(self, folder: str) -> str:
        return f"{self.caption} ([CSV]({folder}/{self.name}.csv))\n\n{self.grid()}"

    def grid(self) -> str:
        """In Markdown, without the caption."""
        numeric = [all(_is_number(row[k]) for row in self.rows) for k in range(len(self.columns))]
        rule = ["---:" if right else "---" for right in numeric]
        lines = [self.columns, rule, *self.rows]
        return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


@dataclass(frozen=True)
class Plot:
    """A matplotlib figure."""

    name: str
    """Of its files."""
    caption: str
    figure: Figure

    def save(self, folder: Path) -> None:
        with style():
            self.figure.savefig(folder / f"{self.name}.png", dpi=DPI)
            self.figure.savefig(folder / f"{self.name}.svg", metadata={"Date": None})

    def markdown(self, folder: str) -> str:
        return f"![{self.caption}]({folder}/{self.name}.png)\n\n*{self.caption}*"


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained")


def style() -> AbstractContextManager[None]:
    """Of all figures that are drawn within; with the salt an SVG is the same each time."""
    return rc_context(
        {
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.size": 9,
            "legend.frameon": False,
            "svg.fonttype": "none",
            "svg.hashsalt": "tans",
        }
    )


def _cell(text: str) -> str:
    """Text that ends neither the cell nor the line of a table, and is no HTML; it may be bold."""
    return re.sub(r"[|<]", r"\\\g<0>", visible(text))


def _plain(row: Sequence[str]) -> list[str]:
    return [cell.replace("**", "") for cell in row]


def _is_number(cell: str) -> bool:
    return not any(letter.isalpha() for letter in cell)
