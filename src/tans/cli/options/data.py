"""Where a user's images lie, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli.console import read_count, warn
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.tasks.findings import Overrides
    from tans.tasks.reading import Range
    from tans.tasks.task import Task

DATA = (
    "Folder with one folder of images for each class, here or at an address such as "
    "s3://bucket/images; a CSV of path and label; shards (.tar); a Croissant file (.json); or "
    "a saved task."
)

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA)]

SearchData = Annotated[
    str,
    typer.Argument(metavar="DATA", help=f"{DATA} Or a query that `tans embed` wrote."),
]

Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="classes|splits",
        help="What the folders on top are, where names and contents do not tell.",
    ),
]

Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME=DIR,...",
        help="Folders that are splits, below DATA: train=DIR,val=DIR,test=DIR, as many as there "
        "are.",
    ),
]

Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--range",
        metavar="[TYPE=]LOW:HIGH",
        help="What is black and what is white in pictures of more than 8 bits, such as 0:4095 or "
        "uint16=0:4095; found from all pictures if not given. Repeatable.",
    ),
]

MaxPixels = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        parser=read_count,
        help="Most pixels of a picture, such as 200M for panoramas; 89M if not given.",
    ),
]

LabelsAsIs = Annotated[
    bool,
    typer.Option(
        "--labels-as-is",
        help="Take labels as written, also nan, and 1 beside 1.0 or Cat beside cat.",
    ),
]

DataLicence = Annotated[
    str | None,
    typer.Option(
        "--licence",
        metavar="SPDX",
        help="Licence of the images, such as CC-BY-4.0 or LicenseRef-NAME; unstated if not given.",
    ),
]

Page = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="HTML page to write, with images of each class."
    ),
]

NoCurve = Annotated[
    bool,
    typer.Option(
        "--no-curve",
        help="Leave out what more images would bring, which takes 2 seconds with 300 training "
        "images and 7 with 1,000 or more.",
    ),
]


@dataclass(frozen=True)
class DataOptions:
    """What a user says of their data."""

    layout: Layout = None
    split: Split = None
    ranges: Ranges = None
    max_pixels: MaxPixels = None
    labels_as_is: LabelsAsIs = False
    licence: DataLicence = None

    def overrides(self) -> Overrides:
        """In the form that a reader takes.

        Raises:
            InputError: a split or a range is not written as it should be.
        """
        from tans.tasks.findings import Overrides

        ranges, pixels = read_ranges(self.ranges), read_pixels(self.max_pixels)
        return Overrides(
            layout=self.layout,
            split=_splits(self.split),
            ranges=ranges,
            max_pixels=pixels,
            labels_as_is=self.labels_as_is,
            licence=self.licence,
        )


def read_ranges(texts: Sequence[str] | None) -> dict[str, Range]:
    """Ranges by sample type, from ``LOW:HIGH`` and ``TYPE=LOW:HIGH``.

    Raises:
        InputError: one is not written so.
    """
    from tans.tasks.reading import read_range

    return dict(map(read_range, texts or ()))


def read_pixels(count: float | None) -> int | None:
    """A number of pixels, which are whole."""
    return None if count is None else int(count)


def read_task(path: str | Path, overrides: Overrides | None = None) -> Task:
    """The task at a path, told about as warnings: for commands that read many."""
    from tans.tasks.check import warnings
    from tans.tasks.task import Task

    task = Task.from_path(path, overrides=overrides)
    for warning in warnings(task):
        warn(f"{task.name}: {warning}")
    return task


def _splits(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and folder.strip() for name, _, folder in pairs):
        raise InputError(
            f"--split is {text!r}; expected NAME=DIR,..., such as train=Training,test=Testing"
        )
    return {name.strip(): folder.strip() for name, _, folder in pairs}
