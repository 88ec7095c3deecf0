"""Arguments and options of commands of many kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tans.errors import InputError
from tans.plugins import is_distant


def folder_here(text: str) -> Path:
    """A folder of this machine, for what is written.

    Raises:
        InputError: it is an address.
    """
    if is_distant(text):
        raise InputError(
            f"{text} is an address, where a zoo is only read by this command; expected a "
            "folder here: pull the zoo with 'tans zoo pull', change the copy, and push it with "
            "'tans zoo push'"
        )
    return Path(text)


ZooPath = Annotated[
    str | None,
    typer.Option(
        "--zoo",
        metavar="PATH",
        help="Zoo to use, in a folder or at an address such as s3://bucket/zoo; the shipped one "
        "if not given.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]

Seed = Annotated[int, typer.Option(help="Of everything random.")]

Workers = Annotated[
    int, typer.Option(min=1, metavar="N", help="Processes side by side, sharing the cores.")
]

Top = Annotated[int, typer.Option(min=1, help="Networks to list.")]

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="New or empty folder to write.")
]

Force = Annotated[bool, typer.Option("--force", help="Write into a folder in use.")]
