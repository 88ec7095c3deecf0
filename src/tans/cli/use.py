"""Commands of the main job: check, search, fine-tune, predict, export."""

from __future__ import annotations

import shlex

import typer

from tans.cli import console, views
from tans.cli.options import (
    Beside,
    CheckImages,
    Combine,
    Commercial,
    CsvFile,
    Data,
    DataOptions,
    EightBits,
    Force,
    Format,
    Images,
    Json,
    LimitOptions,
    Look,
    MaxPixels,
    Network,
    NoCurve,
    Output,
    Page,
    Ranges,
    Top,
    TopLabels,
    TrainingOptions,
    Tuned,
    UnlabelledFolder,
    ZooPath,
    grouped,
    read_pixels,
    read_ranges,
)
from tans.cli.signals import INTERRUPTED

NONE_READ, SOME_UNREAD = 1, 3
"""Exit codes."""


@grouped
def check(
    data: Data,
    *,
    said: DataOptions,
    no_curve: NoCurve = False,
    page: Page = None,
    as_json: Json = False,
) -> None:
    """Show what is understood of a dataset, what is odd, and what more images may bring."""
    from tans.report import write_check
    from tans.tasks.task import Task
    from tans.workflow import expected_curve

    task = Task.from_path(data, overrides=said.overrides())
    curve = None if no_curve else expected_curve(task)
    if page is not None:
        write_check(page, task, curve)
    if as_json:
        written = None if page is None else str(page)
        console.emit({**views.describe_check(task, curve), "page": written})
        return
    views.show_check(task, curve)
    if page is not None:
        console.say(f"Wrote {page}")
    console.say(f"Next: tans search {shlex.quote(str(data))}")


@grouped
def search(
    data: Data,
    *,
    limits: LimitOptions,
    commercial: Commercial = False,
    look: Look = 5,
    top: Top = 10,
    said: DataOptions,
    zoo: ZooPath = None,
    as_json: Json = False,
) -> None:
    """Rank the stored networks for a dataset, within limits."""
    from tans.workflow import search_within
    from tans.zoo.zoo import Zoo

    opened = Zoo.open(zoo)
    task = views.read_data(data, said.overrides())
    result = search_within(
        task, opened, limits.constraints(), commercial=commercial, top=top, look=look
    )
    if as_json:
        console.emit(views.describe_search(result, task))
        return
    views.show_matches(result, task.name)
    where = f" --zoo {shlex.quote(str(zoo))}" if zoo else ""
    console.say(
        f"Next: tans finetune {shlex.quote(str(data))} "
        f"--network {shlex.quote(result[0].id)}{where} -o tuned"
    )


@grouped
def finetune(
    data: Data,
    output: Output,
    *,
    network: Network = None,
    beside: Beside = None,
    training: TrainingOptions,
    limits: LimitOptions,
    commercial: Commercial = False,
    look: Look = 5,
    combine: Combine = "one",
    unlabelled: UnlabelledFolder = None,
    said: DataOptions,
    zoo: ZooPath = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fine-tune the best match, or a network you name, and write it with a report.

    Ctrl-C stops the training and keeps the best epoch so far.
    """
    from tans.workflow import Selection, finetune_best, output_warnings, reserved
    from tans.zoo.zoo import Zoo

    selection = Selection(
        network, tuple(beside or ()), limits.constraints(), look, commercial, combine, unlabelled
    )
    console.warn_each([*output_warnings(data, output), *selection.warnings()])
    with reserved(output, force):
        opened = Zoo.open(zoo)
        selection.named(opened)  # a wrong name is told before images are read
        task = views.read_data(data, said.overrides())
        recipe = training.recipe()
        with views.finetune_bars() as on_step:
            result = finetune_best(
                task, opened, selection, recipe, on_step=on_step, on_interrupt=views.wants_epoch
            )
        result.save(output)
    console.warn_each(result.warnings)
    views.tell_finetune(result, output, as_json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


@grouped
def predict(
    folder: Tuned,
    images: Images,
    *,
    top: TopLabels = 1,
    csv_file: CsvFile = None,
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
    pixels = read_pixels(max_pixels)
    predictions = classifier.predict(files, top=top, ranges=read_ranges(ranges), max_pixels=pixels)
    if csv_file is not None:
        views.write_predictions(csv_file, predictions, top)
    if as_json:
        console.emit(views.describe_predictions(predictions, left_out))
    elif csv_file is None:
        views.show_predictions([p for p in predictions if p.error is None])
    else:
        console.say(f"Wrote {csv_file} with {len(predictions)} lines")
    views.warn_unread(predictions, left_out)
    unread = sum(p.error is not None for p in predictions)
    if unread or not predictions:
        raise typer.Exit(SOME_UNREAD if unread < len(predictions) else NONE_READ)


@grouped
def export(
    folder: Tuned,
    *,
    format: Format,
    images: CheckImages = None,
    int8: EightBits = False,
    as_json: Json = False,
) -> None:
    """Write a fine-tuned network, into its folder, as a file that needs nothing of tans.

    It is written only if it gives the probabilities that PyTorch gives. An earlier export of the
    same format is replaced.
    """
    from tans.export.formats import export_network

    export = export_network(folder, format, images=images or (), int8=int8)
    console.warn_each(export.warnings)
    if as_json:
        console.emit(views.describe_export(export))
    else:
        views.show_export(export)
