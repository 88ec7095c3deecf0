"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli.console import read_count, read_milliseconds, warn_skipped

if TYPE_CHECKING:
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


def read_task(path: Path) -> Task:
    """The task at a path, with a warning that names its unreadable files."""
    from tans.tasks.task import Task

    task = Task.from_path(path)
    warn_skipped(task.skipped)
    return task
