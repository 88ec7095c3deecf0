"""Commands of the main job: search, fine-tune, predict."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli import console, views
from tans.cli.options import (
    Data,
    Json,
    Look,
    MaxFlops,
    MaxLatency,
    MaxMinutes,
    MaxParams,
    Seed,
    ZooPath,
    read_task,
)
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.report import Run
    from tans.tasks.task import Task
    from tans.training import Recipe
    from tans.types import ZooEntry
    from tans.zoo.store import Zoo


def search(
    data: Data,
    max_params: MaxParams = None,
    max_flops: MaxFlops = None,
    max_latency: MaxLatency = None,
    max_minutes: MaxMinutes = None,
    look: Look = 5,
    top: Annotated[int, typer.Option(min=1, help="Networks to list.")] = 10,
    zoo: ZooPath = None,
    as_json: Json = False,
) -> None:
    """Rank the stored networks for a dataset, within limits."""
    from tans.search import search
    from tans.zoo.store import Zoo

    task = read_task(data)
    result = search(
        task,
        Zoo.open(zoo),
        max_params=max_params,
        max_flops=max_flops,
        max_latency_ms=max_latency,
        max_minutes=max_minutes,
        top=top,
        look=look,
    )
    if as_json:
        console.emit(asdict(result))
        return
    views.show_matches(result, task.name)
    where = f" --zoo {shlex.quote(str(zoo))}" if zoo else ""
    console.say(
        f"Next: tans finetune {shlex.quote(str(data))} --network {result[0].id}{where} -o tuned"
    )


def finetune(
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="New or empty folder to write.")
    ],
    network: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Network to take; the best match if not given."),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Also fine-tune this network, for comparison; the name of a source task means its "
            "largest, and imagenet the network as published. Repeatable.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 5,
    max_params: MaxParams = None,
    max_flops: MaxFlops = None,
    max_latency: MaxLatency = None,
    max_minutes: MaxMinutes = None,
    look: Look = 5,
    seed: Seed = 0,
    zoo: ZooPath = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder in use.")] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune the best match, or a network you name, and write it with a report."""
    from tans.export import save_finetuned
    from tans.report import write_report
    from tans.search import search
    from tans.training import Recipe
    from tans.zoo.store import Zoo

    _refuse_used(output, force)
    opened = Zoo.open(zoo)
    asked = [network, *(beside or [])] if network else (beside or [])
    chosen = {_label(name): _named(opened, name) for name in asked}
    task = read_task(data)
    result = search(
        task,
        opened,
        max_params=max_params,
        max_flops=max_flops,
        max_latency_ms=max_latency,
        max_minutes=max_minutes,
        look=look,
    )
    if not network:
        chosen = {"Best match": opened.entry(result[0].id), **chosen}
    recipe = Recipe(epochs=epochs, seed=seed)
    output.mkdir(parents=True, exist_ok=True)  # before the long work, in case it cannot be made
    runs = [_tune(label, task, opened, entry, recipe) for label, entry in chosen.items()]
    best = next(iter(chosen.values()))
    save_finetuned(
        output,
        runs[0].tuned,
        task,
        source=best.id,
        licence=best.licence,
        resolution=best.resolution,
        recipe=recipe,
    )
    write_report(output / "report.html", task, opened, result, runs)
    if as_json:
        folder, report = str(output), str(output / "report.html")
        described = [views.describe_run(run) for run in runs]
        found = asdict(result)
        console.emit({"folder": folder, "report": report, "runs": described, "search": found})
        return
    views.show_runs(runs, task.name)
    views.say_related(result)
    console.say(f"Wrote {output}/model.safetensors, model.json and report.html")
    console.say(f"Next: tans predict {shlex.quote(str(output))} IMAGES")


def predict(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `tans finetune` wrote.")
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Files or folders.")],
    as_json: Json = False,
) -> None:
    """Classify images with a fine-tuned network."""
    from tans.export import predict_files

    predictions = predict_files(folder, images)
    if as_json:
        found = [{**asdict(p), "path": str(p.path)} for p in predictions]
        console.emit({"predictions": found})
        return
    read = [p for p in predictions if p.error is None]
    rows = [(str(p.path), str(p.label), console.percent(p.probability)) for p in read]
    console.show_table(f"{len(rows)} images", ("image", "class", ">probability"), rows)
    for p in predictions:
        if p.error is not None:
            console.warn(f"{p.path} cannot be read: {p.error}")


def _refuse_used(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder to write; give another name")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"{folder} is not empty; expected a new or empty folder; add --force to write into it"
        )


def _label(name: str) -> str:
    """What a report calls a network that was asked for by id or by source task."""
    return "ImageNet" if name == "imagenet" else name


def _named(zoo: Zoo, name: str) -> ZooEntry:
    """The entry of that id, or the network that stands for the source task of that name."""
    from tans.zoo.sources import Sources
    from tans.zoo.store import IMAGENET

    if name not in {task.name for task in zoo.tasks()}:
        return zoo.entry(name)
    sources = Sources.of(zoo)
    return sources.whole[0] if name == IMAGENET else sources.largest[name]


def _tune(label: str, task: Task, zoo: Zoo, entry: ZooEntry, recipe: Recipe) -> Run:
    from tans.report import Run
    from tans.spaces.specification import get_space
    from tans.training import finetune

    space = get_space(entry.architecture.space)
    costs = space.costs(entry.architecture, len(task.classes), entry.resolution)
    with console.progress(f"{label} ({entry.id})") as advance:
        tuned = finetune(
            zoo.load(entry.id, len(task.classes), recipe.seed),
            task,
            entry.resolution,
            recipe,
            on_epoch=lambda epoch: advance(
                epoch.epoch,
                recipe.epochs,
                f"balanced validation accuracy {console.percent(epoch.val_balanced)}",
            ),
        )
    return Run(label, entry.id, costs.params, costs.flops, tuned, recipe)
