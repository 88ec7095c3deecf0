"""Commands for those who look into a zoo or make one: list, show, build, copy, verify, train."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli import console, views
from tans.cli.options import (
    CpusPerPair,
    GpusPerPair,
    Json,
    Ray,
    Seed,
    Workers,
    ZooPath,
    read_task,
)
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.build.chosen import Choice
    from tans.build.crew import Crew
    from tans.build.engine import BuildSettings
    from tans.build.forecast import Forecast
    from tans.build.plan.construct import Step
    from tans.build.workers import BuildProgress
    from tans.tasks.task import Task
    from tans.zoo.zoo import Zoo

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
    from tans.zoo.zoo import Zoo

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
    from tans.zoo.zoo import Zoo

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
            help="A packaged source, as `tans tasks list` names it, `train` for all that are "
            "for training, or a folder of datasets. Repeatable.",
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
    space: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Search space: `lite0`, or `ofa-mbv3` or `ofa-mbv3-1.2`, which want "
            "--base-weights.",
        ),
    ] = "lite0",
    base_weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="Elastic base in the form that Once-for-All publishes, such as "
            "ofa_mbv3_d234_e346_k357_w1.2.",
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Measure networks in this order, after all supernets are trained: `grid`, "
            "`random`, `pareto` for what the Pareto fronts are expected to grow by most, "
            "`pareto-per-second` or `thompson`. All networks, task by task, if not given.",
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --strategy: networks to measure in all."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="M", help="With --strategy: time to measure networks for."),
    ] = None,
    least_growth: Annotated[
        float,
        typer.Option(
            metavar="G",
            help="With --strategy: stop when no network is expected to add so much hypervolume.",
        ),
    ] = 0.0,
    cost: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --strategy: what the Pareto fronts count beside accuracy and parameters: "
            "`latency` on this device, calibrated once when the build begins, or `flops`, "
            "multiply-adds. What the build began with, or latency, if not given.",
        ),
    ] = None,
    workers: Workers = 1,
    ray: Ray = None,
    cpus_per_pair: CpusPerPair = None,
    gpus_per_pair: GpusPerPair = None,
    seed: Seed = 0,
) -> None:
    """Build a zoo, or go on with one that was stopped."""
    if strategy is None or cost == "flops":  # else latency is timed, as networks will run later
        # before torch is there: threads that wait by spinning slow a busy machine down many times
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from tans.build.engine import BuildSettings, build_zoo
    from tans.build.forecast import Forecast, expected_work
    from tans.zoo.zoo import Zoo

    choice = _choice(strategy, budget, minutes, least_growth, cost, ray)
    crew = _crew(workers, ray, cpus_per_pair, gpus_per_pair)
    recipe = replace(BuildSettings().recipe, epochs=epochs, seed=seed)
    settings = BuildSettings(
        space=space, base_weights=base_weights, subnets=subnets, recipe=recipe, seed=seed
    )
    own_base = _own_base(path, settings, new_base)
    began = time.perf_counter()
    with crew as hands, console.progress(str(path), percent=True) as advance:
        base, given = None if own_base else Zoo.open(), list(_tasks(tasks))
        pairs = None if choice is None else choice.budget.pairs
        forecast = Forecast(expected_work(path, given, settings, own_base=own_base, pairs=pairs))

        def on_progress(step: BuildProgress) -> None:
            note = f"{step.task}: {step.step} {step.done}/{step.total}"
            advance(forecast.of_step(step), 1, note)

        build = (
            partial(build_zoo, workers=workers)
            if choice is None
            else _build_chosen(choice, hands, advance, forecast)
        )
        made = build(
            path,
            given,
            settings,
            base_from=base,
            on_progress=on_progress,
        )
    console.say(
        f"{path} holds {len(made.entries(vectors=False))} networks of {len(made.tasks())} tasks "
        f"after {time.perf_counter() - began:.0f} s"
    )
    console.say(f"Next: tans train --zoo {path}")


@app.command("copy")
def zoo_copy(
    path: Annotated[
        Path, typer.Argument(metavar="DIR", help="New or empty folder, or a copy to go on with.")
    ],
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="Source tasks to copy, as `tans zoo list` names them."
        ),
    ] = None,
    diverse: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Copy this many source tasks, those that differ most."
        ),
    ] = None,
    zoo: ZooPath = None,
) -> None:
    """Copy a zoo, or some of its source tasks; its ImageNet networks always come along."""
    from tans.zoo.copy import copy_tasks, diverse_tasks
    from tans.zoo.zoo import Zoo

    if tasks is not None and diverse is not None:
        raise InputError("--tasks and --diverse were both given; expected one of them, or neither")
    opened = Zoo.open(zoo)
    if diverse is not None:
        names = diverse_tasks(opened, diverse)
    elif tasks is not None:
        names = [name.strip() for name in tasks.split(",")]
    else:
        names = [stored.name for stored in opened.tasks()]
    made = copy_tasks(opened, path, names)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    console.say(
        f"{path} holds {len(made.entries(vectors=False))} networks of {len(made.tasks())} tasks "
        f"in {size / 1e6:.1f} MB"
    )
    console.say(f"Next: tans train --zoo {path}")


@app.command("transfers")
def zoo_transfers(
    tasks: Annotated[
        list[str],
        typer.Option(metavar="NAME|FOLDER", help="Tasks to fine-tune on, as for `build`."),
    ],
    images: Annotated[int, typer.Option(min=2, help="Training images of each task.")] = 200,
    epochs: Annotated[int, typer.Option(min=1, help="Of each fine-tune.")] = 5,
    workers: Workers = 1,
    seed: Seed = 0,
    zoo: ZooPath = None,
) -> None:
    """Measure how networks do on other tasks, for `tans train` to learn from."""
    from tans.build.transfers import TransferSettings, measure_transfers
    from tans.training import Recipe
    from tans.zoo.zoo import Zoo

    opened = Zoo.open(zoo)
    with console.progress("transfers") as advance:
        measure_transfers(
            opened,
            list(_tasks(tasks)),
            TransferSettings(recipe=Recipe(epochs=epochs, seed=seed), images=images),
            workers=workers,
            on_progress=lambda step: advance(step.done, step.total, f"{step.task}: {step.step}"),
        )
    console.say(f"{opened.path} holds {len(opened.transfers())} measured transfers")


@app.command("verify")
def zoo_verify(zoo: ZooPath = None, as_json: Json = False) -> None:
    """Check every hash of a zoo, and load and run every network; exit code 1 if any fails."""
    from tans.zoo.verify import verify_zoo
    from tans.zoo.zoo import Zoo

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
    from tans.meta.calibrator import judge_zoo
    from tans.meta.data import MetaData
    from tans.meta.evaluate import evaluate_retrieval
    from tans.meta.presets import get_preset
    from tans.meta.train import meta_train
    from tans.zoo.zoo import Zoo

    settings = get_preset(preset)
    settings = settings if seed is None else replace(settings, seed=seed)
    opened = Zoo.open(zoo)
    data = MetaData.from_zoo(opened)
    steps = settings.steps * settings.members
    with console.progress(f"preset {preset}") as advance:
        retriever = meta_train(
            data,
            settings,
            lambda step: advance(step.step, steps, f"loss {step.loss:.3f}"),
        )
    retriever.save(opened.retrieval)
    judge = judge_zoo(opened)
    found = evaluate_retrieval(retriever, data)
    if as_json:
        console.emit({"folder": str(opened.retrieval), "retrieval": asdict(found)})
        return
    console.say(
        f"A known task's own network ranks first for {found.tasks.r1:.0%} of {found.queries} "
        f"held-out queries (chance {found.tasks_chance.r1:.0%})"
    )
    if judge is None:
        console.say(
            "No second look: too few transfers were measured to learn from; "
            "run 'tans zoo transfers' on tasks of three kinds or more"
        )
    else:
        console.say(f"Accuracies are predicted from {judge.trials} fine-tunes on other tasks")
    console.say(f"Wrote {opened.retrieval}")


def _choice(
    strategy: str | None,
    budget: int | None,
    minutes: float | None,
    least_growth: float,
    cost: str | None,
    ray: str | None,
) -> Choice | None:
    """How networks are chosen; None where all are measured by the processes of this machine."""
    from tans.build.chosen import Choice
    from tans.build.plan.construct import Budget

    if strategy is not None:
        pairs = sys.maxsize if budget is None else budget
        return Choice(strategy, Budget(pairs, minutes, least_growth), cost=cost)
    if least_growth or any(given is not None for given in (budget, minutes, cost)):
        raise InputError(
            "--budget, --minutes, --least-growth or --cost was given without --strategy; "
            "expected a strategy too, such as --strategy pareto"
        )
    # a cluster is handed pairs rather than tasks, so that all of it has work
    return None if ray is None else Choice("grid", Budget(sys.maxsize))


def _own_base(path: Path, settings: BuildSettings, new: bool) -> bool:
    """Whether a build makes a base of its own, rather than share the shipped zoo's."""
    from tans.networks.families.elastic.specification import get_space

    space, given = get_space(settings.space), settings.base_weights is not None
    if given and new:
        raise InputError("--base-weights and --new-base were both given; expected one of them")
    if space.name == "lite0":
        return given or new
    if not given and not path.exists():
        raise InputError(
            f"no base of space {space.name!r} is shipped; expected --base-weights with a file "
            "or URL of weights that Once-for-All publishes"
        )
    return True


def _crew(
    workers: int, ray: str | None, cpus: float | None, gpus: float | None
) -> AbstractContextManager[Crew]:
    """Who does the work; a cluster is left again at the end."""
    if ray is not None:
        from tans.build.cluster import Resources, connected

        if workers > 1:
            raise InputError("--workers and --ray were both given; expected one of them")
        return connected(ray, Resources(1.0 if cpus is None else cpus, gpus or 0.0))
    if cpus is not None or gpus is not None:
        raise InputError(
            "--cpus-per-pair or --gpus-per-pair was given without --ray; "
            "expected an address too, such as --ray local"
        )
    from tans.build.crew import Here

    return nullcontext(Here(workers))


def _build_chosen(
    choice: Choice, crew: Crew, advance: console.Advance, forecast: Forecast
) -> Callable[..., Zoo]:
    """As ``build_zoo``, for the networks that are chosen; the bar shows the fronts grow."""
    from tans.build.chosen import build_chosen
    from tans.build.plan.surrogate import describe_pairs

    def on_pair(step: Step, total: int) -> None:
        note = f"networks: measure {step.pairs}/{total}, mean hypervolume {step.volume:.4f}"
        advance(forecast.of_pairs(step.pairs, total), 1, note)

    return partial(build_chosen, choice=choice, describe=describe_pairs, crew=crew, on_pair=on_pair)


def _tasks(names: Sequence[str]) -> Iterator[Task]:
    """Each packaged task, all of a role, and each dataset in each folder."""
    from tans.tasks.packaged import fetch_tasks

    for name in names:
        if Path(name).is_dir():
            yield from map(read_task, _datasets(Path(name)))
        else:
            yield from fetch_tasks(name)


def _datasets(folder: Path) -> list[Path]:
    if (folder / "task.json").is_file():
        return [folder]
    inside = sorted(folder.glob("[!.]*"))
    found = [path for path in inside if path.is_dir() or path.suffix.lower() == ".csv"]
    if not found:
        raise InputError(f"{folder} holds no dataset; expected folders of class folders, or CSVs")
    return found
