"""Commands of the main job: check, search, fine-tune, predict, export."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tans.cli import console, remote, views
from tans.cli.options.common import Force, Json, Output, Top, ZooPath
from tans.cli.options.crew import RayOptions
from tans.cli.options.data import (
    Data,
    DataOptions,
    MaxPixels,
    NoCurve,
    Page,
    Ranges,
    SearchData,
    read_pixels,
    read_ranges,
)
from tans.cli.options.finetune import (
    Beside,
    Combine,
    FinetuneServer,
    GoOn,
    Network,
    TrainingOptions,
    UnlabelledFolder,
)
from tans.cli.options.groups import grouped
from tans.cli.options.search import (
    Commercial,
    FromCatalogue,
    LimitOptions,
    Look,
    Method,
    QueryFile,
    SearchServer,
)
from tans.cli.options.tuned import (
    CheckImages,
    Closed,
    CsvFile,
    EightBits,
    FalseAlarms,
    Format,
    Images,
    TopLabels,
    Tuned,
)
from tans.errors import InputError
from tans.imports import uncollected
from tans.interrupts import INTERRUPTED

if TYPE_CHECKING:
    from tans.tasks.findings import Overrides
    from tans.training import Recipe
    from tans.workflow import FinetuneResult, Selection

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
    with uncollected():
        from tans.report import write_check
        from tans.workflow import expected_curve

    task = views.data.read_task(data, said.overrides())
    curve = None if no_curve else expected_curve(task)
    if page is not None:
        write_check(page, task, curve)
    if as_json:
        written = None if page is None else str(page)
        console.emit({**views.data.describe_check(task, curve), "page": written})
        return
    views.data.show_check(task, curve)
    if page is not None:
        console.say(f"Wrote {page}")
    console.say(f"Next: tans search {shlex.quote(str(data))}")


@grouped
def search(
    data: SearchData,
    *,
    limits: LimitOptions,
    commercial: Commercial = False,
    look: Look = 5,
    top: Top = 10,
    method: Method = "tans",
    catalogue: FromCatalogue = False,
    said: DataOptions,
    working: RayOptions,
    zoo: ZooPath = None,
    server: SearchServer = None,
    as_json: Json = False,
) -> None:
    """Rank the stored networks for a dataset, within limits."""
    with uncollected():
        from tans.search import OWN, Query, check_method
        from tans.search.query import is_query
        from tans.workflow import Terms, search_beyond, search_within

    check_method(method, limits.constraints())
    if method != OWN and (catalogue or server is not None):
        raise InputError(
            f"--method {method} came with --catalogue or --server, which the method {OWN} alone "
            "has; leave one of them out"
        )
    opened = views.zoos.open_zoo(zoo)
    task = Query.load(data) if is_query(data) else views.data.read_data(data, said.overrides())
    if catalogue and server is not None:
        raise InputError("--catalogue and --server were both given; expected one of them")
    if catalogue and isinstance(task, Query):
        raise InputError(
            f"{data} is a query, and networks of the catalogue are judged by images; search where "
            "these lie, or leave --catalogue out"
        )
    terms = Terms(limits.constraints(), commercial, top)
    if server is not None:
        asked = {**vars(terms.limits), "commercial": commercial, "top": top}
        result, task = remote.search(server, task, opened, asked)
    else:
        with working.gathered() as crew:
            if catalogue and not isinstance(task, Query):
                result = search_beyond(task, opened, terms, look=look, tell=console.tell, crew=crew)
            else:
                views.search.learn_method(opened, method)
                result = search_within(
                    task,
                    opened,
                    terms.limits,
                    commercial=commercial,
                    top=top,
                    look=look,
                    method=method,
                    crew=crew,
                )
    console.warn_each(result.notes)
    if as_json:
        console.emit(views.search.describe_search(result, task))
        return
    views.search.show_matches(result, Path(data).name if isinstance(task, Query) else task.name)
    if isinstance(task, Query):
        console.say(
            "The query alone ranks them: without the images no network was looked at again. A "
            "search where the images lie is surer."
        )
    where = f" --zoo {shlex.quote(zoo)}" if zoo else ""
    images = "DATA" if isinstance(task, Query) else shlex.quote(data)
    way = "" if method == OWN else f" --method {method}"
    console.say(
        f"Next: tans finetune {images} --network {shlex.quote(result[0].id)}{way}{where} -o tuned"
    )
    views.search.say_fetched(result[0], zoo)


@grouped
def embed(data: Data, *, output: QueryFile = None, said: DataOptions, zoo: ZooPath = None) -> None:
    """Make a query of a dataset that can be sent instead of its images; `tans search` takes it."""
    with uncollected():
        from tans.search import embed
        from tans.search.query import check_name

    if output is not None:
        check_name(output)
    query = embed(views.data.read_data(data, said.overrides()), views.zoos.open_zoo(zoo))
    if output is None:
        console.emit({"schema": query.SCHEMA, **query.model_dump()})
        return
    query.save(output)
    console.say(
        f"Wrote {output}, {output.stat().st_size:,} bytes: {len(query.embedding)} numbers that sum "
        "up the images, and how many there are of each class"
    )
    where = f" --zoo {shlex.quote(zoo)}" if zoo else ""
    console.say(f"Next: tans search {shlex.quote(str(output))}{where}")


@grouped
def finetune(
    data: Data,
    output: Output,
    *,
    network: Network = None,
    beside: Beside = None,
    go_on: GoOn = None,
    training: TrainingOptions,
    limits: LimitOptions,
    commercial: Commercial = False,
    look: Look = 5,
    combine: Combine = "one",
    unlabelled: UnlabelledFolder = None,
    method: Method = "tans",
    said: DataOptions,
    zoo: ZooPath = None,
    server: FinetuneServer = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fine-tune the best match, a network you name, or a fine-tuned one further, with a report.

    Ctrl-C stops the training and keeps the best epoch so far.
    """
    with uncollected():
        from tans.workflow import Selection, output_warnings, reserved

    selection = Selection(
        network,
        tuple(beside or ()),
        limits.constraints(),
        look,
        commercial,
        combine,
        unlabelled,
        method,
    )
    if server is not None:
        remote.refuse_others(selection, go_on, zoo, said, training)
        with reserved(output, force):
            remote.finetune(server, data, output, selection, training.recipe(), as_json)
        return
    if go_on is not None:
        selection.refuse_any(go_on, zoo)
    console.warn_each([*output_warnings(data, output), *selection.warnings()])
    overrides, recipe = said.overrides(), training.recipe(selection.recipe)
    with reserved(output, force):
        if go_on is None:
            result = _tuned_best(data, overrides, selection, recipe, zoo)
        else:
            result = _tuned_from(data, overrides, go_on, recipe)
        result.save(output)
    console.warn_each(result.warnings)
    views.finetune.tell_finetune(result, output, as_json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _tuned_best(
    data: str, overrides: Overrides, selection: Selection, recipe: Recipe, zoo: str | None
) -> FinetuneResult:
    from tans.workflow import finetune_best

    opened = views.zoos.open_zoo(zoo)
    selection.named(opened)  # a wrong name is told before images are read
    task = views.data.read_data(data, overrides)
    if not selection.network:
        views.search.learn_method(opened, selection.method)
    with views.finetune.finetune_bars() as on_step:
        return finetune_best(
            task,
            opened,
            selection,
            recipe,
            on_step=on_step,
            on_interrupt=views.finetune.wants_epoch,
        )


def _tuned_from(data: str, overrides: Overrides, go_on: Path, recipe: Recipe) -> FinetuneResult:
    from tans.export.finetuned import load_finetuned
    from tans.workflow import finetune_from

    before = load_finetuned(go_on)
    task = views.data.read_data(data, replace(overrides, reading=before.reading))
    with views.finetune.finetune_bars() as on_step:
        return finetune_from(
            before, task, recipe, on_step=on_step, on_interrupt=views.finetune.wants_epoch
        )


@grouped
def predict(
    folder: Tuned,
    images: Images,
    *,
    top: TopLabels = 1,
    csv_file: CsvFile = None,
    ranges: Ranges = None,
    max_pixels: MaxPixels = None,
    false_alarms: FalseAlarms = None,
    closed: Closed = False,
    as_json: Json = False,
) -> None:
    """Classify images with a fine-tuned network; what is unlike all it learnt is none of these.

    Exit code 1 where no image could be read, 3 where some could not. What is not a terminal gets
    lines of path, label and probability, separated by tabs.
    """
    with uncollected():
        from tans.export.classifier import find_files
        from tans.export.finetuned import load_finetuned

    classifier = load_finetuned(folder)
    files, left_out = find_files(images)
    pixels = read_pixels(max_pixels)
    rate = None if closed else classifier.novelty.asked(false_alarms)
    predictions = classifier.predict(
        files, top=top, ranges=read_ranges(ranges), max_pixels=pixels, false_alarms=rate
    )
    if csv_file is not None:
        views.predictions.write_predictions(csv_file, predictions, top)
    if as_json:
        console.emit(views.predictions.describe_predictions(predictions, left_out))
    elif csv_file is None:
        views.predictions.show_predictions([p for p in predictions if p.error is None])
    else:
        console.say(f"Wrote {csv_file} with {len(predictions)} lines")
    views.predictions.warn_unread(predictions, left_out)
    if rate is not None:
        views.predictions.tell_unknown(predictions, classifier.novelty, rate)
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
        console.emit(views.exports.describe_export(export))
    else:
        views.exports.show_export(export)
