"""The page as a whole, and the file it goes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from torch import Tensor

from tans.errors import InputError
from tans.files import write_file
from tans.report import sections
from tans.report.markup import Html, join, tag
from tans.report.pictures import Pictures, pictures_of
from tans.report.runs import Run
from tans.report.why import why
from tans.search import SearchResult
from tans.search.curve import Curve
from tans.tasks.task import Task


def write_report(
    path: str | Path,
    task: Task,
    zoo: Pictures | None,
    result: SearchResult | None,
    runs: Sequence[Run],
) -> None:
    """Write one HTML file that needs nothing beside it and asks the network for nothing.

    Args:
        zoo: whose networks were found; None where training went on from a fine-tuned one.
        result: of the search; None where the network was named and none was run.
        runs: the chosen network first, then those to stand beside it.

    Raises:
        InputError: there is no run, or the file cannot be written.
    """
    if not runs:
        raise InputError("there is no run to report; expected at least one; fine-tune first")
    write_page(path, f"{task.name} - tans report", _body(task, zoo, result, runs))


def write_check(path: str | Path, task: Task, curve: Curve | None = None) -> None:
    """Write one HTML file that shows what was understood of a dataset.

    Args:
        curve: what more images may bring; left out where None.

    Raises:
        InputError: the file cannot be written.
    """
    body = tag(
        "main",
        sections.data_heading(task),
        sections.noticed(task),
        join() if curve is None else sections.more_images(curve),
        sections.own_images(task),
        sections.class_table(task),
    )
    write_page(path, f"{task.name} - tans check", body)


def write_page(path: str | Path, title: str, body: Html) -> None:
    """Write a page as a whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path).expanduser()
    page = "<!doctype html>\n" + _page(title, body)
    try:
        write_file(path, page.encode())
    except OSError as error:
        raise InputError(
            f"the page cannot be written to {path}: {error}; give a file in a folder that can "
            "be written"
        ) from error


def _body(
    task: Task, zoo: Pictures | None, result: SearchResult | None, runs: Sequence[Run]
) -> Html:
    source, thumbnails = _source_pictures(zoo, runs[0])
    best = max(runs, key=_validated)
    found = join()
    if result is not None and zoo is not None:
        found = join(why(result, zoo, runs), sections.ranking(result, chosen=runs[0].source))
    return tag(
        "main",
        sections.heading(task, runs),
        sections.noticed(task),
        sections.images(task, source, thumbnails),
        found,
        sections.curves(runs),
        sections.run_table(runs),
        sections.recalls(runs),
        sections.confusion(task, best),
        sections.making(task, result, runs),
    )


def _page(title: str, body: Html) -> Html:
    style = resources.files("tans").joinpath("assets", "report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content="tans"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return tag("html", head, tag("body", body), lang="en")


def _validated(run: Run) -> float:
    """What runs are compared by: balanced validation accuracy, -1 where it is not known."""
    return -1.0 if math.isnan(run.kept.val_balanced) else run.kept.val_balanced


def _source_pictures(zoo: Pictures | None, run: Run) -> tuple[str | None, Tensor | None]:
    """The task that a run's network came from, and its images; None where there is none."""
    entry = run.tuned.entry
    if entry is None or zoo is None:
        return None, None
    return entry.task, pictures_of(zoo, entry.task)
