"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli.console import read_count, read_milliseconds, warn
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.tasks.findings import Overrides
    from tans.tasks.reading import Range
    from tans.tasks.task import Task

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder with one folder of images for each class, a CSV of path and label, "
        "or a saved task.",
    ),
]
ZooPath = Annotated[
    Path | None,
    typer.Option("--zoo", metavar="PATH", help="Zoo to use; the shipped one if not given."),
]
MaxParams = Annotated[
    float | None,
    typer.Option(metavar="N", parser=read_count, help="Most parameters, head included: 3M, 1.5e6."),
]
MaxFlops = Annotated[
    float | None,
    typer.Option(metavar="N", parser=read_count, help="Most multiply-adds for one image: 30M, 1G."),
]
MaxLatency = Annotated[
    float | None,
    typer.Option(
        metavar="TIME",
        parser=read_milliseconds,
        help="Most time for one image on this device, which is calibrated once: 20ms, 0.02s.",
    ),
]
MaxMinutes = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="Most minutes for a fine-tune by the default recipe on this device, calibrated once.",
    ),
]
Look = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Sources, beside ImageNet, that are probed on the images for a second look; 0 for "
        "none.",
    ),
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
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Workers = Annotated[
    int, typer.Option(min=1, metavar="N", help="Processes side by side, sharing the cores.")
]

Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on the Ray cluster there, such as `10.0.0.1:6379`; `local` starts a Ray here.",
    ),
]
CpusPerPair = Annotated[
    float | None,
    typer.Option(metavar="N", help="With --ray: processor cores for each network; 1 if not given."),
]
GpusPerPair = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="With --ray: accelerators for each network, such as 0.25; 0 if not given."
    ),
]


def read_overrides(
    layout: str | None = None,
    split: str | None = None,
    ranges: Sequence[str] | None = None,
    max_pixels: float | None = None,
    labels_as_is: bool = False,
) -> Overrides:
    """What a user says of their data, from the options of a command.

    Raises:
        InputError: a split or a range is not written as it should be.
    """
    from tans.tasks.findings import Overrides

    return Overrides(layout, _splits(split), read_ranges(ranges), _pixels(max_pixels), labels_as_is)


def read_ranges(texts: Sequence[str] | None) -> dict[str, Range]:
    """Ranges by sample type, from ``LOW:HIGH`` and ``TYPE=LOW:HIGH``.

    Raises:
        InputError: one is not written so.
    """
    from tans.tasks.reading import read_range

    return dict(map(read_range, texts or ()))


def read_task(path: Path, overrides: Overrides | None = None) -> Task:
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


def _pixels(count: float | None) -> int | None:
    return None if count is None else int(count)
