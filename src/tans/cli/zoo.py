"""Commands for those who look into a zoo or make one: list, show, build, verify, train."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli import console, views
from tans.cli.options import Json, Seed, ZooPath, read_task
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.tasks.task import Task
    from tans.zoo.build import BuildProgress

app = typer.Typer(no_args_is_help=True, help="Look into a zoo, build one, or check one.")


@app.command("list")
def zoo_list(
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the networks of this source task.")
    ] = None,
    zoo: ZooPath = None,
    as_json: Json = False,
) -> None:
    """List the source tasks of a zoo, or the networks of one; with --json, all networks."""
    from tans.zoo.store import Zoo

    opened = Zoo.open(zoo)
    names = [opened.task(task).name] if task else [stored.name for stored in opened.tasks()]
    entries = [e for e in opened.entries(vectors=False) if e.task in names]
    if as_json:
        console.emit({"entries": list(views.describe_entries(opened, entries))})
    elif task:
        views.show_entries(opened, entries, f"Networks trained on {task}")
    else:
        views.show_tasks(opened, entries)


@app.command("show")
def zoo_show(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `tans zoo list` names it.")],
    zoo: ZooPath = None,
    as_json: Json = False,
) -> None:
    """Show one network: costs, architecture, accuracy, and where its task comes from."""
    from tans.zoo.store import Zoo

    opened = Zoo.open(zoo)
    entry = opened.entry(id)
    task = opened.task(entry.task)
    (described,) = views.describe_entries(opened, [entry])
    described |= {"val_accuracy": entry.val_accuracy, "classes": list(task.classes), **task.card}
    if as_json:
        console.emit(described)
        return
    rows = [
        (name, ", ".join(value) if isinstance(value, list) else str(value))
        for name, value in described.items()
        if value not in (None, "")
    ]
    console.show_table(f"Network {id}", ("", ""), rows)


@app.command("build")
def zoo_build(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the zoo.")],
    tasks: Annotated[
        list[str],
        typer.Option(
            metavar="NAME|FOLDER",
            help="A packaged source, as `tans tasks list` names it, or a folder of datasets. "
            "Repeatable.",
        ),
    ],
    subnets: Annotated[int, typer.Option(min=2, help="Networks for each task.")] = 100,
    epochs: Annotated[int, typer.Option(min=1, help="For each task's supernet.")] = 6,
    new_base: Annotated[
        bool,
        typer.Option(
            "--new-base",
            help="Distil an elastic base from ImageNet weights on these tasks (about 40 minutes), "
            "instead of sharing the shipped zoo's.",
        ),
    ] = False,
    seed: Seed = 0,
) -> None:
    """Build a zoo, or go on with one that was stopped."""
    from tans.training import Recipe
    from tans.zoo.build import BuildSettings, build_zoo
    from tans.zoo.store import Zoo

    settings = BuildSettings(subnets=subnets, recipe=Recipe(epochs=epochs, seed=seed), seed=seed)
    began = time.perf_counter()
    with console.progress(str(path)) as advance:

        def on_progress(step: BuildProgress) -> None:
            advance(step.done, step.total, f"{step.task}: {step.step}")

        base = None if new_base else Zoo.open()
        made = build_zoo(path, _tasks(tasks), settings, base_from=base, on_progress=on_progress)
    console.say(
        f"{path} holds {len(made.entries(vectors=False))} networks of {len(made.tasks())} tasks "
        f"after {time.perf_counter() - began:.0f} s"
    )
    console.say(f"Next: tans train --zoo {path}")


@app.command("transfers")
def zoo_transfers(
    tasks: Annotated[
        list[str],
        typer.Option(metavar="NAME|FOLDER", help="Tasks to fine-tune on, as for `build`."),
    ],
    images: Annotated[int, typer.Option(min=2, help="Training images of each task.")] = 200,
    epochs: Annotated[int, typer.Option(min=1, help="Of each fine-tune.")] = 10,
    seed: Seed = 0,
    zoo: ZooPath = None,
) -> None:
    """Measure how networks do on other tasks, for `tans train` to learn from."""
    from tans.training import Recipe
    from tans.zoo.store import Zoo
    from tans.zoo.transfers import measure_transfers

    opened = Zoo.open(zoo)
    with console.progress("transfers") as advance:
        measure_transfers(
            opened,
            list(_tasks(tasks)),
            recipe=Recipe(epochs=epochs, seed=seed),
            images=images,
            on_progress=lambda step: advance(step.done, step.total, step.task),
        )
    console.say(f"{opened.path} holds {len(opened.transfers())} measured transfers")


@app.command("verify")
def zoo_verify(zoo: ZooPath = None, as_json: Json = False) -> None:
    """Check every hash of a zoo, and load and run every network; exit code 1 if any fails."""
    from tans.zoo.store import Zoo
    from tans.zoo.verify import verify_zoo

    with console.progress("verify") as advance:
        report = verify_zoo(Zoo.open(zoo), lambda done, total: advance(done, total, ""))
    if as_json:
        console.emit({"ok": report.ok, **asdict(report)})
    else:
        for problem in report.problems:
            console.say(problem)
        console.say(
            f"{report.files} files, {report.networks} sound networks, "
            f"{len(report.problems)} problems, {len(report.unused)} unused files"
        )
    if not report.ok:
        raise typer.Exit(1)


def train(
    zoo: ZooPath = None,
    preset: Annotated[
        str, typer.Option(help="Settings: `default`, or the published ones, `paper`.")
    ] = "default",
    seed: Annotated[
        int | None, typer.Option(help="Of everything random; the preset has its own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Meta-train the retrieval model of a zoo on its tasks and networks."""
    from tans.meta.data import MetaData
    from tans.meta.evaluate import evaluate_retrieval
    from tans.meta.presets import get_preset
    from tans.meta.train import meta_train
    from tans.zoo.store import Zoo

    settings = get_preset(preset)
    settings = settings if seed is None else replace(settings, seed=seed)
    opened = Zoo.open(zoo)
    data = MetaData.from_zoo(opened)
    with console.progress(f"preset {preset}") as advance:
        retriever = meta_train(
            data,
            settings,
            lambda step: advance(step.step, settings.steps, f"loss {step.loss:.3f}"),
        )
    retriever.save(opened.retrieval)
    found = evaluate_retrieval(retriever, data)
    if as_json:
        console.emit({"folder": str(opened.retrieval), "retrieval": asdict(found)})
        return
    console.say(
        f"A known task's own network ranks first for {found.tasks.r1:.0%} of {found.queries} "
        f"held-out queries (chance {found.tasks_chance.r1:.0%})"
    )
    console.say(f"Wrote {opened.retrieval}")


def _tasks(names: Sequence[str]) -> Iterator[Task]:
    """Each packaged source, and each dataset in each folder."""
    from tans.tasks.sources.registry import fetch

    for name in names:
        if Path(name).is_dir():
            yield from map(read_task, _datasets(Path(name)))
        else:
            yield fetch(name)


def _datasets(folder: Path) -> list[Path]:
    if (folder / "task.json").is_file():
        return [folder]
    inside = sorted(folder.glob("[!.]*"))
    found = [path for path in inside if path.is_dir() or path.suffix.lower() == ".csv"]
    if not found:
        raise InputError(f"{folder} holds no dataset; expected folders of class folders, or CSVs")
    return found
