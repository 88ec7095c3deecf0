"""Commands for experiments: run one, make runs again, add results, draw all, list what there is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli import console
from tans.cli.options.common import Json, Workers, ZooPath
from tans_bench.commands import release

if TYPE_CHECKING:
    from tans.build.crew import BuildProgress

ResultsPath = Annotated[
    Path, typer.Option("--results", metavar="PATH", help="Folder of the results, one file a run.")
]

Preset = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="`cpu`, or `gpu` for twice the images, five seeds and full searches."
    ),
]

app = typer.Typer(no_args_is_help=True, help="Compare methods by experiments that go on.")
app.add_typer(release.app, name="release")


@app.command("run")
def bench_run(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of an experiment; `all` for each in turn.")
    ],
    results: ResultsPath = Path("results"),
    zoo: ZooPath = None,
    preset: Preset = "cpu",
    workers: Workers = 1,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The `src` of an earlier checkout, to be timed in turns."
        ),
    ] = None,
) -> None:
    """Run an experiment, or go on with one that was stopped."""
    from tans_bench.experiments.catalogue import EXPERIMENTS, get_experiment
    from tans_bench.runs.bench import Bench
    from tans_bench.runs.runner import run_experiment
    from tans_bench.runs.turns import compared

    chosen = EXPERIMENTS.values() if name == "all" else [get_experiment(name)]
    if against:
        chosen = [compared(experiment, against) for experiment in chosen]
    for experiment in [experiment.scaled(preset) for experiment in chosen]:
        with console.progress(experiment.name) as advance:

            def on_progress(step: BuildProgress) -> None:
                advance(step.done, step.total, step.task)

            bench = Bench.open(results, zoo)
            count = run_experiment(experiment, bench, workers=workers, on_progress=on_progress)
        console.say(f"{experiment.name}: {count} runs in {results}")


@app.command("again")
def bench_again(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Of fine-tunes, as runs/TASK/FILE.")
    ],
    results: ResultsPath = Path("results"),
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page; again.md beside the results if not given."),
    ] = None,
    zoo: ZooPath = None,
) -> None:
    """Make stored fine-tunes again with the current reader and recipe, and compare them."""
    from tans_bench.runs.again import make_again, write_page
    from tans_bench.runs.bench import Bench

    page = to or results / "again.md"
    with console.progress("again") as advance:
        for count, name in enumerate(make_again(names, Bench.open(results, zoo)), 1):
            advance(count, len(names), name)
    write_page(results, page)
    console.say(str(page))


@app.command("report")
def bench_report(
    results: ResultsPath = Path("results"),
    to: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Folder of the pages; that of the results if not given."),
    ] = None,
    preset: Preset = "cpu",
) -> None:
    """Draw the tables and figures of all experiments that have results."""
    from tans_bench.experiments.pages import write_pages

    for page in write_pages(results, to or results, preset):
        console.say(str(page))


@app.command("figures")
def bench_figures(
    pages: Annotated[
        list[Path], typer.Argument(metavar="PAGE...", help="Of Markdown, with marked figures.")
    ],
    tables: Annotated[
        Path, typer.Option(metavar="PATH", help="Folder that 'tans bench report' drew tables in.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a figure is another.")
    ] = False,
) -> None:
    """Fill the figures in prose from the drawn tables."""
    from tans_bench.errors import ResultError
    from tans_bench.figures import fill, stale

    if not check:
        for page in fill(pages, tables):
            console.say(str(page))
    elif old := stale(pages, tables):
        raise ResultError(
            f"{', '.join(map(str, old))}: figures differ from the tables; run it without --check"
        )


@app.command("import")
def bench_import(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV with the columns task, service, accuracy and training_minutes or training_s.",
        ),
    ],
    results: ResultsPath = Path("results"),
) -> None:
    """Add your own results of a commercial service to the main comparison."""
    from tans_bench.runs.imported import import_results

    rows = import_results(file, results)
    console.say(f"{len(rows)} results of services in {results / 'imported'}")
    console.say("A row shows beside ImageNet's 50 epochs: run those first on a task without them")
    console.say(f"Next: tans bench report --results {shlex.quote(str(results))}")


@app.command("cells")
def bench_cells(
    benchmark: Annotated[
        Path, typer.Argument(metavar="FILE", help="NAS-Bench-201-v1_1-*.pth, or JSON.")
    ],
    cifar: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR", help="CIFAR-10 or CIFAR-100, binary version; give it once for each."
        ),
    ],
    cells: Annotated[
        int, typer.Option(min=2, metavar="N", help="Cells of each, drawn at random, at most.")
    ] = 500,
    zoo: ZooPath = None,
    as_json: Json = False,
) -> None:
    """Judge MetaD2A by NAS-Bench-201: it orders each dataset's cells, learnt on the others."""
    from tans.zoo.zoo import Zoo
    from tans_bench.methods.metad2a.learning import SMALL_CELLS
    from tans_bench.methods.metad2a.published import benchmark_pairs, ranks, read_benchmark
    from tans_bench.sources.cifar import read_cifar

    tasks = [read_cifar(folder) for folder in cifar]
    pairs = benchmark_pairs(read_benchmark(benchmark), tasks, Zoo.open(zoo), cells)
    found = ranks(pairs, SMALL_CELLS)
    if as_json:
        console.emit({"cells": len(pairs.measured), "spearman": found})
        return
    columns = ("dataset", ">MetaD2A", ">size", ">validation")
    rows = [(name, *(f"{value:.2f}" for value in each.values())) for name, each in found.items()]
    console.show_table("Rank correlation with test accuracy", columns, rows)


@app.command("methods")
def bench_methods(as_json: Json = False) -> None:
    """List the methods that experiments compare."""
    from tans_bench.methods.entrants import METHODS

    rows = [(name, entrant.title, entrant.about) for name, entrant in METHODS.items()]
    if as_json:
        keys = ("name", "title", "about")
        console.emit({"methods": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    console.show_table(f"{len(rows)} methods", ("name", "title", "chooses"), rows)


@app.command("tasks")
def bench_tasks(as_json: Json = False) -> None:
    """List the tasks that experiments are run on; no network of the shipped zoo has seen them."""
    from tans_bench.runs.roles import DEV, first_role, is_sibling, role

    kinds = {True: "sibling", False: "stranger"}
    rows = [(name, role(name), kinds[is_sibling(name)], first_role(name)) for name in DEV]
    keys = ("name", "role", "kind", "first_role")
    if as_json:
        console.emit({"tasks": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    console.show_table(f"{len(rows)} tasks", ("name", "role", "kind", "first role"), rows)
