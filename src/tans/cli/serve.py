"""The command that starts a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tans.cli import console
from tans.cli.console import read_count
from tans.cli.options.common import ZooPath

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen at; one that other machines reach needs a token.",
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="TANS_TOKEN",
        metavar="SECRET",
        help="Asked of every request; better in the environment, as others can read a command.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where uploads and results are kept meanwhile; in the cache of tans if not given.",
    ),
]
MaxUpload = Annotated[
    float, typer.Option(metavar="BYTES", parser=read_count, help="Most bytes of an upload.")
]
MaxFiles = Annotated[int, typer.Option(metavar="N", min=1, help="Most files in a zip.")]
Running = Annotated[int, typer.Option(metavar="N", min=1, help="Fine-tunes at once; others wait.")]
Queued = Annotated[int, typer.Option(metavar="N", min=1, help="Fine-tunes that may wait.")]
Keep = Annotated[
    float,
    typer.Option(metavar="HOURS", help="Until what is not used is deleted: datasets and results."),
]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    folder: Folder = None,
    max_upload: MaxUpload = "512M",  # type: ignore[assignment]  # parsed
    max_files: MaxFiles = 10_000,
    running: Running = 1,
    queued: Queued = 8,
    keep: Keep = 24.0,
    zoo: ZooPath = None,
) -> None:
    """Start a service that others search from a browser or from Python; Ctrl-C ends it."""
    from tans.files import cache_dir
    from tans.web.server import serve
    from tans.web.settings import Limits, Settings
    from tans.zoo.zoo import Zoo

    limits = Limits(
        upload_bytes=int(max_upload),
        unpacked_bytes=2 * int(max_upload),
        files=max_files,
        running=running,
        queued=queued,
        keep_s=3600 * keep,
    )
    place = folder if folder is not None else cache_dir("service")
    settings = Settings(place, host, port, token, limits)
    serve(Zoo.open(zoo), settings, lambda url: console.tell(f"tans serves at {url}"))
