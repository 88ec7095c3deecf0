"""Which networks of which zoo, and where they are copied, shared and merged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tans.cli.options.common import folder_here

EntryId = Annotated[str, typer.Argument(metavar="ID", help="As `tans zoo list` names it.")]

SourceTask = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only the networks of this source task.")
]

SourceTasks = Annotated[
    str | None,
    typer.Option(metavar="NAME,NAME", help="Source tasks to copy, as `tans zoo list` names them."),
]

Diverse = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Copy this many source tasks, those that differ most."),
]

CopyPath = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", parser=folder_here, help="New or empty folder, or a copy to go on with."
    ),
]

PushedZoo = Annotated[
    Path, typer.Argument(metavar="ZOO", parser=folder_here, help="Folder of the zoo.")
]

Address = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="Such as s3://bucket/zoo or hf://datasets/OWNER/NAME/zoo; any that fsspec reaches.",
    ),
]

Replace = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace what is shared there, although it is damaged, or ZOO lacks networks of it.",
    ),
]

MergedZoos = Annotated[
    list[str], typer.Argument(metavar="ZOO...", help="Folders of zoos, or addresses.")
]

MergedPath = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        parser=folder_here,
        help="New or empty folder, or a zoo that the others are added to.",
    ),
]

CatalogueFile = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV to write; a count that was stopped goes on in it."),
]
