"""Commands for those who look into a zoo or make one: list, show, build, copy, verify, train."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial

import typer

from tans.cli import console, views
from tans.cli.options.adding import AddedSources, OwnZoo, Sizes, StatedOptions
from tans.cli.options.building import (
    BaseWeights,
    BuildPath,
    ChoiceOptions,
    Members,
    NewBase,
    Preset,
    PresetSeed,
    Space,
    Subnets,
    SupernetEpochs,
    TrainedOn,
    TransferEpochs,
    TransferImages,
    TunedOn,
)
from tans.cli.options.common import Json, Seed, Workers, ZooPath
from tans.cli.options.crew import CrewOptions, RayOptions
from tans.cli.options.data import DataLicence, read_task
from tans.cli.options.groups import grouped
from tans.cli.options.zoos import (
    Address,
    CatalogueFile,
    CopyPath,
    Diverse,
    EntryId,
    MergedPath,
    MergedZoos,
    PushedZoo,
    Replace,
    SourceTask,
    SourceTasks,
)
from tans.errors import visible
from tans.plugins import is_distant

app = typer.Typer(no_args_is_help=True, help="Look into a zoo, build one, or check one.")


@app.command("list")
def zoo_list(task: SourceTask = None, zoo: ZooPath = None, as_json: Json = False) -> None:
    """List the source tasks of a zoo, or the networks of one; with --json, all networks."""
    opened = views.zoos.open_zoo(zoo)
    entries = opened.entries(vectors=False, task=opened.task(task).name if task else None)
    opened.check_tasks(entries)
    if as_json:
        console.emit({"entries": list(views.zoos.describe_entries(opened, entries))})
    elif task:
        views.zoos.show_entries(opened, entries, f"Networks trained on {task}")
    else:
        views.zoos.show_tasks(opened, entries)


@app.command("show")
def zoo_show(id: EntryId, zoo: ZooPath = None, as_json: Json = False) -> None:
    """Show one network: costs, architecture, accuracy, and where its task comes from."""
    from tans.zoo.licensing import Licensing

    opened = views.zoos.open_zoo(zoo)
    entry = opened.entry(id)
    task = opened.task(entry.task)
    (described,) = views.zoos.describe_entries(opened, [entry])
    chain = Licensing.of(opened).chain(entry)
    card = {name: value for name, value in task.card.items() if name != "licence"}
    described |= {"val_accuracy": entry.val_accuracy, "classes": list(task.classes), **card}
    described |= {"base_licence": chain.base, "data_licence": chain.data}
    if not entry.has_weights:
        described["weights"] = entry.place
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
@grouped
def zoo_build(
    path: BuildPath,
    tasks: TrainedOn,
    *,
    subnets: Subnets = 100,
    epochs: SupernetEpochs = 6,
    new_base: NewBase = False,
    space: Space = "lite0",
    base_weights: BaseWeights = None,
    choosing: ChoiceOptions,
    working: CrewOptions,
    licence: DataLicence = None,
    seed: Seed = 0,
) -> None:
    """Build a zoo, or go on with one that was stopped."""
    from tans import workflow
    from tans.tasks.findings import Overrides

    settings = workflow.BuildSettings(
        space=space, base_weights=base_weights, subnets=subnets, seed=seed
    )
    settings = replace(settings, recipe=replace(settings.recipe, epochs=epochs, seed=seed))
    pair_by_pair = working.ray is not None or is_distant(path)
    choice = workflow.choose_pairs(**vars(choosing), pair_by_pair=pair_by_pair)
    gathered = workflow.gather_crew(**vars(working))
    base = workflow.find_base(path, settings, new_base)
    read = partial(read_task, overrides=Overrides(licence=licence))
    began = time.perf_counter()
    with gathered as crew, views.zoos.build_bar(path) as show:
        given = list(workflow.read_tasks(tasks, read, console.warn))
        console.warn_each(views.data.unstated(given))
        made = workflow.build(
            path, given, settings, crew, choice=choice, base_from=base, on_progress=show
        )
    views.zoos.say_zoo(made, f"after {time.perf_counter() - began:.0f} s")


@app.command("add")
@grouped
def zoo_add(
    sources: AddedSources, zoo: OwnZoo, *, sizes: Sizes = None, stating: StatedOptions
) -> None:
    """Add networks of others: of timm, torchvision, a hub, a file of ONNX, or fine-tuned here."""
    from tans.build.adding import add_network
    from tans.zoo.zoo import Zoo

    opened, stated = Zoo.open(zoo), stating.stated(sources)
    for source in sources:
        added = add_network(opened, source, stated, sizes or ())
        for note in added.notes:
            console.warn(note)
        for entry in added.entries:
            name = visible(entry.ref.name.partition(" {")[0])
            size = f"{entry.resolution} px"
            console.say(f"{entry.id}: {entry.ref.family}:{name} at {size}, {entry.licence}")


@app.command("catalogue")
def zoo_catalogue(path: CatalogueFile) -> None:
    """Write the catalogue of timm's pretrained networks anew, each counted; takes an hour or so."""
    from tans.networks.catalogue import made_anew

    with console.progress("networks") as advance:
        made = made_anew(path, on_progress=advance)
    lacking = [offer for offer in made.offers if offer.lacking]
    for offer in lacking:
        console.warn(f"{offer.name} is not counted: {visible(offer.lacking)}")
    console.say(
        f"{path} has {len(made.offers):,} networks of timm {made.timm}, {len(lacking):,} of them "
        "not counted"
    )


@app.command("copy")
def zoo_copy(
    path: CopyPath, tasks: SourceTasks = None, diverse: Diverse = None, zoo: ZooPath = None
) -> None:
    """Copy a zoo, or some of its source tasks; its ImageNet networks always come along."""
    from tans.workflow import copy_zoo

    names = None if tasks is None else [name.strip() for name in tasks.split(",")]
    made = copy_zoo(views.zoos.open_zoo(zoo), path, names, diverse)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    views.zoos.say_zoo(made, f"in {size / 1e6:.1f} MB")


@app.command("push")
def zoo_push(
    zoo: PushedZoo, address: Address, force: Replace = False, as_json: Json = False
) -> None:
    """Share a zoo at an address; what is there already is not sent again."""
    from tans.zoo.sharing import push_zoo
    from tans.zoo.zoo import Zoo

    opened = Zoo.open(zoo)
    with views.zoos.copy_bar(address) as show:
        made = push_zoo(opened, address, force, show)
    if as_json:
        console.emit(asdict(made))
        return
    console.say(f"{address} holds {made.files} files of {_size(made.bytes)}; {made.sent} were sent")
    console.say(f"Next: tans search DATA --zoo {shlex.quote(address)}")


@app.command("pull")
def zoo_pull(address: Address, path: CopyPath, as_json: Json = False) -> None:
    """Copy a whole zoo from an address; what is there already is not fetched again."""
    from tans.zoo.sharing import pull_zoo

    with views.zoos.copy_bar(address) as show:
        made = pull_zoo(address, path, show)
    if as_json:
        console.emit(asdict(made))
        return
    console.say(f"{path} holds {made.files} files of {_size(made.bytes)}; {made.sent} were fetched")
    console.say(f"Next: tans search DATA --zoo {shlex.quote(str(path))}")


@app.command("merge")
def zoo_merge(zoos: MergedZoos, path: MergedPath) -> None:
    """Bring zoos of the same base together in a new one, or add them to one of them."""
    from tans.zoo.merge import merge_zoos

    views.zoos.say_zoo(merge_zoos([views.zoos.open_zoo(zoo) for zoo in zoos], path), "in all")


@app.command("transfers")
def zoo_transfers(
    tasks: TunedOn,
    images: TransferImages = 200,
    epochs: TransferEpochs = None,
    workers: Workers = 1,
    seed: Seed = 0,
    zoo: ZooPath = None,
) -> None:
    """Measure how networks do on other tasks, for `tans train` to learn from."""
    from tans.build.transfers import TransferSettings, measure_transfers
    from tans.training import Recipe
    from tans.workflow import read_tasks

    opened = views.zoos.open_zoo(zoo)
    opened.check_writable()  # before images are read
    with console.progress("transfers") as advance:
        measure_transfers(
            opened,
            list(read_tasks(tasks, read_task, console.warn)),
            TransferSettings(recipe=Recipe(epochs=epochs, seed=seed), images=images),
            workers=workers,
            on_progress=lambda step: advance(step.done, step.total, f"{step.task}: {step.step}"),
        )
    console.say(f"{opened.path} holds {len(opened.transfers())} measured transfers")


@app.command("verify")
def zoo_verify(zoo: ZooPath = None, as_json: Json = False) -> None:
    """Check every hash of a zoo, and load and run every network; exit code 1 if any fails."""
    from tans.workflow import verify

    opened = views.zoos.open_zoo(zoo)
    with console.progress("verify") as advance:
        report = verify(opened, lambda done, total: advance(done, total, ""))
    if as_json:
        console.emit({"ok": report.ok, **asdict(report)})
    else:
        for problem in report.problems:
            console.say(problem)
        console.say(
            f"{report.files} files, {report.networks} sound networks, "
            f"{len(report.problems)} problems, {len(report.unused)} unused files, "
            f"{len(report.unsealed)} files without a seal"
        )
        if report.missing:
            console.say(f"{report.missing} networks have no weights here: they were not given")
    if not report.ok:
        raise typer.Exit(1)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


@grouped
def train(
    *,
    zoo: ZooPath = None,
    preset: Preset = "default",
    seed: PresetSeed = None,
    members: Members = None,
    working: RayOptions,
    as_json: Json = False,
) -> None:
    """Meta-train the retrieval model of a zoo on its tasks and networks."""
    from tans import workflow
    from tans.meta.presets import get_preset

    settings = get_preset(preset)
    settings = settings if seed is None else replace(settings, seed=seed)
    settings = settings if members is None else replace(settings, members=members)
    steps = settings.steps * settings.members
    with ExitStack() as held:
        if zoo is not None and is_distant(zoo):
            site = held.enter_context(workflow.worked_on(zoo))
        else:
            site = workflow.Site(views.zoos.open_zoo(zoo))
        crew = held.enter_context(working.gathered())
        with console.progress(f"preset {preset}") as advance:
            trained = workflow.train(
                site.zoo,
                settings,
                lambda step: advance(step.step, steps, f"loss {step.loss:.3f}"),
                crew,
            )
        site.publish()
        site.clean()
    where = str(site.zoo.retrieval) if site.zoo.address is None else site.zoo.place
    if as_json:
        found = asdict(trained.retrieval)
        console.emit({"folder": where, "retrieval": found})
    else:
        views.zoos.show_trained(trained)
        console.say(f"Wrote {where}")
