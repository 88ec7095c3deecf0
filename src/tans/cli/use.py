"""Commands of the main job: check, search, fine-tune, predict."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli import console, views
from tans.cli.options import (
    Data,
    Json,
    LabelsAsIs,
    Layout,
    Look,
    MaxFlops,
    MaxLatency,
    MaxMinutes,
    MaxParams,
    MaxPixels,
    Ranges,
    Seed,
    Split,
    ZooPath,
    read_overrides,
    read_ranges,
)
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.report import Run
    from tans.tasks.task import Task
    from tans.training import Epoch, Recipe
    from tans.types import ZooEntry
    from tans.zoo.zoo import Zoo

NONE_READ, SOME_UNREAD, INTERRUPTED = 1, 3, 130
"""Exit codes."""


def check(
    data: Data,
    layout: Layout = None,
    split: Split = None,
    ranges: Ranges = None,
    max_pixels: MaxPixels = None,
    labels_as_is: LabelsAsIs = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="HTML page to write, with images of each class."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is understood of a dataset, and what is odd about it, before anyone waits."""
    from tans.report import write_check
    from tans.tasks.check import summary
    from tans.tasks.task import Task

    task = Task.from_path(
        data, overrides=read_overrides(layout, split, ranges, max_pixels, labels_as_is)
    )
    if page is not None:
        write_check(page, task)
    if as_json:
        console.emit({"data": summary(task), "page": None if page is None else str(page)})
        return
    views.show_check(task)
    if page is not None:
        console.say(f"Wrote {page}")
    console.say(f"Next: tans search {shlex.quote(str(data))}")


def search(
    data: Data,
    max_params: MaxParams = None,
    max_flops: MaxFlops = None,
    max_latency: MaxLatency = None,
    max_minutes: MaxMinutes = None,
    look: Look = 5,
    top: Annotated[int, typer.Option(min=1, help="Networks to list.")] = 10,
    layout: Layout = None,
    split: Split = None,
    ranges: Ranges = None,
    max_pixels: MaxPixels = None,
    labels_as_is: LabelsAsIs = False,
    zoo: ZooPath = None,
    as_json: Json = False,
) -> None:
    """Rank the stored networks for a dataset, within limits."""
    from tans.search import search
    from tans.tasks.check import summary
    from tans.tasks.task import Task
    from tans.zoo.zoo import Zoo

    opened = Zoo.open(zoo)
    task = Task.from_path(
        data, overrides=read_overrides(layout, split, ranges, max_pixels, labels_as_is)
    )
    views.tell_data(task)
    result = search(
        task,
        opened,
        max_params=max_params,
        max_flops=max_flops,
        max_latency_ms=max_latency,
        max_minutes=max_minutes,
        top=top,
        look=look,
    )
    if as_json:
        console.emit({**asdict(result), "data": summary(task)})
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
        typer.Option(
            metavar="ID", help="Network to take, without a search; the best match if not given."
        ),
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
    layout: Layout = None,
    split: Split = None,
    ranges: Ranges = None,
    max_pixels: MaxPixels = None,
    labels_as_is: LabelsAsIs = False,
    seed: Seed = 0,
    zoo: ZooPath = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder in use.")] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune the best match, or a network you name, and write it with a report.

    Ctrl-C stops the training and keeps the best epoch so far.
    """
    from tans.export.finetuned import check_writable, save_finetuned
    from tans.report import write_report
    from tans.search import search
    from tans.tasks.check import summary
    from tans.tasks.task import Task
    from tans.training import Recipe
    from tans.zoo.zoo import Zoo

    _refuse_used(output, force)
    limits = (max_params, max_flops, max_latency, max_minutes)
    if network and any(limit is not None for limit in limits):
        console.warn("limits are for the search, and none is run for a network that is named")
    opened = Zoo.open(zoo)
    asked = [network, *(beside or [])] if network else (beside or [])
    chosen = {_label(name): _named(opened, name) for name in asked}
    task = Task.from_path(
        data, overrides=read_overrides(layout, split, ranges, max_pixels, labels_as_is)
    )
    views.tell_data(task)
    check_writable(output)
    result = None
    if not network:
        result = search(
            task,
            opened,
            max_params=max_params,
            max_flops=max_flops,
            max_latency_ms=max_latency,
            max_minutes=max_minutes,
            look=look,
        )
        chosen = {"Best match": opened.entry(result[0].id), **chosen}
    recipe = Recipe(epochs=epochs, seed=seed)
    runs, stopped = _tune_all(task, opened, chosen, recipe)
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
        console.emit(
            {
                "folder": str(output),
                "report": str(output / "report.html"),
                "runs": [views.describe_run(run) for run in runs],
                "search": None if result is None else asdict(result),
                "data": summary(task),
                "interrupted": stopped,
            }
        )
    else:
        views.show_runs(runs, task.name)
        if result is not None:
            views.say_related(result)
        console.say(f"Wrote {output}/model.safetensors, model.json and report.html")
        console.say(f"Next: tans predict {shlex.quote(str(output))} IMAGES")
    if stopped:
        raise typer.Exit(INTERRUPTED)


def predict(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `tans finetune` wrote.")
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Files or folders.")],
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Labels for each image.")] = 1,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="CSV file to write.")
    ] = None,
    ranges: Ranges = None,
    max_pixels: MaxPixels = None,
    as_json: Json = False,
) -> None:
    """Classify images with a fine-tuned network.

    Exit code 1 where no image could be read, 3 where some could not. What is not a terminal gets
    lines of path, label and probability, separated by tabs.
    """
    from tans.export.classifier import find_files
    from tans.export.finetuned import load_finetuned

    classifier = load_finetuned(folder)
    files, left_out = find_files(images)
    predictions = classifier.predict(
        files,
        top=top,
        ranges=read_ranges(ranges),
        max_pixels=None if max_pixels is None else int(max_pixels),
    )
    read = [p for p in predictions if p.error is None]
    if csv_file is not None:
        views.write_predictions(csv_file, predictions, top)
    if as_json:
        console.emit(views.describe_predictions(predictions, left_out))
    elif csv_file is None:
        views.show_predictions(read)
    else:
        console.say(f"Wrote {csv_file} with {len(predictions)} lines")
    views.warn_unread(predictions, left_out)
    if len(read) < len(predictions) or not read:
        raise typer.Exit(SOME_UNREAD if read else NONE_READ)


def _tune_all(
    task: Task, zoo: Zoo, chosen: Mapping[str, ZooEntry], recipe: Recipe
) -> tuple[list[Run], bool]:
    """Fine-tune one network after another, and whether an interrupt ended that early."""
    runs: list[Run] = []
    interrupts: list[bool] = []

    def keep(epoch: Epoch) -> bool:
        interrupts.append(console.confirm(_kept(epoch)))
        return interrupts[-1]

    for label, entry in chosen.items():
        try:
            runs.append(_tune(label, task, zoo, entry, recipe, keep))
        except KeyboardInterrupt:
            if not runs:
                raise
            interrupts.append(True)
        if interrupts:
            break
    return runs, bool(interrupts)


def _kept(epoch: Epoch) -> str:
    known = console.percent(epoch.val_balanced)
    measured = f", balanced validation accuracy {known}" if known else ""
    return f"Interrupted. Keep the best so far (epoch {epoch.epoch}{measured})?"


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
    from tans.zoo.zoo import IMAGENET

    if name not in {task.name for task in zoo.tasks()}:
        return zoo.entry(name)
    sources = Sources.of(zoo)
    return sources.whole[0] if name == IMAGENET else sources.largest[name]


def _tune(
    label: str,
    task: Task,
    zoo: Zoo,
    entry: ZooEntry,
    recipe: Recipe,
    keep: Callable[[Epoch], bool],
) -> Run:
    from tans.networks.families.elastic.specification import get_space
    from tans.report import Run
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
            on_interrupt=keep,
        )
    return Run(label, entry.id, costs.params, costs.flops, tuned, recipe)
