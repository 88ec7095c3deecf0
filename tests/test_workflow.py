"""What a user does, start to end, on a small zoo."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tans
from tans import workflow
from tans.build.crew import Here
from tans.build.plan.construct import Budget
from tans.costs import limits
from tans.costs.pace import Pace
from tans.errors import InputError, LimitError, ZooError
from tans.meta.calibrator import Calibrator
from tans.meta.evidence import COLUMNS
from tans.networks.family import describe
from tans.report.runs import Run
from tans.search import look
from tans.search.combine import LISTED, best_starts, share_of_one
from tans.search.curve import learning_curve
from tans.tasks.findings import Findings
from tans.tasks.reading import Reading
from tans.tasks.task import Task
from tans.training import Epoch, Recipe, finetune
from tans.types import Constraints, ZooEntry
from tans.workflow import BuildSettings, FinetuneStep, Selection, expected_curve, search_within
from tans.zoo.zoo import Zoo
from tests.small_zoo import SMALL, drawn_task

ONE = Recipe(epochs=1, batch_size=16)


@pytest.fixture(scope="module")
def task() -> Task:
    return drawn_task("green", "three", seed=3)


@pytest.fixture(scope="module")
def red(small_zoo: Zoo) -> ZooEntry:
    return next(entry for entry in small_zoo.entries() if entry.task == "red")


def stop_at(label: str) -> Any:
    """A listener that interrupts the training of a network after its first look at images."""

    def listen(step: FinetuneStep) -> None:
        if step.label == label and step.epoch is not None:
            raise KeyboardInterrupt

    return listen


# Choosing


def test_a_network_is_named_by_id_or_by_what_it_learnt(small_zoo: Zoo, red: ZooEntry) -> None:
    named = Selection(red.id, ("imagenet", "blue")).named(small_zoo)
    assert list(named) == [red.id, "ImageNet", "blue"]
    own, whole, blue = named.values()
    assert own.id == red.id
    assert (whole.task, whole.resolution) == ("imagenet", small_zoo.resolution)
    assert whole.weights != small_zoo.base
    of_blue = [entry.body_params for entry in small_zoo.entries() if entry.task == "blue"]
    assert (blue.task, blue.body_params) == ("blue", max(of_blue))


def test_a_named_network_has_to_allow_commercial_use_where_that_is_asked_for(
    small_zoo: Zoo, red: ZooEntry, tmp_path: Path
) -> None:
    assert red.id in Selection(red.id, commercial=True).named(small_zoo)  # CC0 and Apache
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    zoo.add_entry(replace(red, licence="CC-BY-NC-4.0"))
    with pytest.raises(InputError, match="CC-BY-NC-4.0.*commercial use was asked for"):
        Selection(red.id, commercial=True).named(zoo)
    assert red.id in Selection(red.id).named(zoo)


def test_without_names_nothing_is_named(small_zoo: Zoo) -> None:
    assert Selection().named(small_zoo) == {}


def test_an_unknown_name_is_refused_with_the_nearest(
    small_zoo: Zoo, task: Task, red: ZooEntry
) -> None:
    for wrong in (Selection(f"{red.id}0"), Selection(beside=(f"{red.id}0",))):
        with pytest.raises(ZooError, match=red.id):
            tans.finetune_best(task, small_zoo, wrong)


def test_limits_that_a_named_network_does_not_heed_are_told(red: ZooEntry) -> None:
    limits = Constraints(max_params=1.0)
    (warning,) = Selection(red.id, limits=limits).warnings()
    assert "limits are for the search" in warning
    assert Selection(red.id).warnings() == Selection(limits=limits).warnings() == []


def test_without_a_zoo_it_is_told_why_nothing_is_expected(tmp_path: Path, task: Task) -> None:
    curve = expected_curve(task, tmp_path / "nowhere")
    assert curve.untold is not None
    assert "nowhere" in curve.untold


def test_what_more_images_bring_is_told_of_the_zoo_that_is_named(
    small_zoo: Zoo, task: Task
) -> None:
    curve = expected_curve(task, small_zoo.path)
    assert curve == learning_curve(task, small_zoo)
    assert len(curve.accuracies) == 3


def test_limits_travel_as_one(small_zoo: Zoo, task: Task) -> None:
    found = workflow.search_within(task, small_zoo, Constraints(max_params=2e6), top=3)
    again = tans.search(task, small_zoo, max_params=2e6, top=3)
    assert found.matches == again.matches
    assert len(found) == 3
    with pytest.raises(LimitError, match="max_params 1000"):
        workflow.search_within(task, small_zoo, Constraints(max_params=1000))


# Fine-tuning


def test_the_best_match_is_tuned_and_others_beside_it(
    small_zoo: Zoo, task: Task, tmp_path: Path
) -> None:
    told: list[FinetuneStep] = []
    selection = Selection(beside=("imagenet",), limits=Constraints(max_params=4e6))
    result = tans.finetune_best(task, small_zoo, selection, ONE, on_step=told.append)
    assert [run.label for run in result.runs] == ["Best match", "ImageNet"]
    assert result.search is not None
    assert result.best is result.runs[0].tuned
    entry = result.best.entry
    assert entry is not None
    assert entry.id == result.search[0].id
    assert (result.best.input, result.best.recipe) == (entry.ref.input, ONE)
    assert result.runs[0].costs.params == result.search[0].params
    assert not result.interrupted
    steps = [(step.label, step.epoch and step.epoch.epoch) for step in told]
    assert steps == [(label, at) for label in ("Best match", "ImageNet") for at in (None, 0, 1)]
    assert told[0].entry.id == entry.id
    assert told[0].epochs == 1
    result.save(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "model.json", "model.safetensors", "report.html"}
    loaded = tans.load_finetuned(tmp_path / "out")
    assert loaded.card["source"] == {"entry": entry.id, "licence": entry.licence}
    assert (loaded.classes, loaded.resolution) == (task.classes, entry.resolution)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert entry.id in page
    assert "Why this network" in page


def test_a_named_network_is_tuned_without_a_search(
    small_zoo: Zoo, task: Task, red: ZooEntry
) -> None:
    selection = Selection(red.id, limits=Constraints(max_params=1.0))
    result = tans.finetune_best(task, small_zoo, selection, ONE)
    assert result.search is None
    (run,) = result.runs
    assert (run.label, run.source) == (red.id, red.id)
    single = tans.finetune_entry(task, small_zoo, red, ONE)
    assert single.entry == red
    assert (single.confusion == run.tuned.confusion).all()


def test_a_network_is_tuned_in_another_size(
    small_zoo: Zoo, task: Task, red: ZooEntry, tmp_path: Path
) -> None:
    id = f"{red.id}@48"
    result = tans.finetune_best(task, small_zoo, Selection(id), ONE)
    (run,) = result.runs
    assert (run.label, run.source) == (id, id)
    assert result.best.input.size == 48
    assert run.costs.flops == describe(small_zoo.entry(id).ref).costs(3, deep=True).flops
    result.save(tmp_path / "out")
    loaded = tans.load_finetuned(tmp_path / "out")
    assert loaded.card["source"] == {"entry": id, "licence": red.licence}
    assert loaded.resolution == 48
    assert id in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    with pytest.raises(ZooError, match="pixels a side"):
        tans.finetune_best(task, small_zoo, Selection(f"{red.id}@large"), ONE)


def test_the_size_that_a_search_proposes_is_tuned(
    small_zoo: Zoo, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    weights = tuple(1.0 if column == "probe" else 0.0 for column in COLUMNS)
    Calibrator((0.0,) * len(COLUMNS), weights, bias=0.0, strength=1.0).save(zoo.retrieval)
    # of two sources, the base, ImageNet's network in two sizes, and the first source in a larger
    probes = iter((0.3, 0.2, 0.1, 0.1, 0.1, 0.9))
    monkeypatch.setattr(look, "probe", lambda *_: next(probes))
    result = tans.finetune_best(task, zoo, recipe=ONE)
    assert result.search is not None
    assert result.search.related
    best = result.search[0]
    assert best.id == f"{result.search.looks[0].id}@48"
    (run,) = result.runs
    assert run.source == best.id
    assert (run.costs.params, run.costs.flops) == (best.params, best.flops)
    result.save(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f">{best.task} at 48 px</p>" in page
    assert "48 px" in page


def with_classes(task: Task, names: tuple[str, ...]) -> Task:
    """The images of a task under other names of its classes."""
    return replace(task, classes=names)


def test_training_goes_on_with_other_classes(
    small_zoo: Zoo, task: Task, red: ZooEntry, tmp_path: Path
) -> None:
    tans.finetune_best(task, small_zoo, Selection(red.id), ONE).save(tmp_path / "first")
    first = tans.load_finetuned(tmp_path / "first")
    changed = with_classes(task, ("green across", "slanted", "green both"))
    told: list[FinetuneStep] = []
    result = tans.finetune_from(tmp_path / "first", changed, ONE, on_step=told.append)
    change = result.change
    assert change is not None
    assert (change.kept, change.new, change.gone) == (
        ("green across", "green both"),
        ("slanted",),
        ("green down",),
    )
    assert change.images == change.images_before == int((task.splits == 0).sum())
    assert "2 known (green across, green both), 1 new (slanted), 1 gone" in change.words()
    assert (result.search, result.warnings, result.interrupted) == (None, (), False)
    assert [(step.entry, step.epoch and step.epoch.epoch) for step in told] == [
        (None, None), (None, 0), (None, 1),
    ]  # fmt: skip
    result.save(tmp_path / "second")
    second = tans.load_finetuned(tmp_path / "second")
    assert second.classes == changed.classes
    assert second.network.ref == first.network.ref
    # where it came from at first stays, and what it went on from beside it
    assert (
        second.card["source"] == first.card["source"] == {"entry": red.id, "licence": red.licence}
    )
    assert second.card["from"]["weights"] == first.card["weights"]["sha256"]
    page = (tmp_path / "second" / "report.html").read_text(encoding="utf-8")
    assert "training went on from a fine-tuned network" in page
    assert first.card["weights"]["sha256"][:8] in page
    third = tans.finetune_from(second, task, ONE).classifier
    assert third.card["from"]["weights"] == second.card["weights"]["sha256"]
    assert third.card["from"]["before"] == second.card["from"]
    assert third.card["source"] == first.card["source"]


def test_training_goes_on_from_where_it_was(small_zoo: Zoo, task: Task, red: ZooEntry) -> None:
    still = replace(ONE, learning_rate=1e-9)
    first = tans.finetune_best(task, small_zoo, Selection(red.id), ONE)
    second = tans.finetune_from(first.classifier, task, still)
    body, before = (r.best.network.body.state_dict() for r in (second, first))
    for name, tensor in body.items():
        if "running" not in name and "num_batches" not in name:
            assert (tensor - before[name]).abs().max() < 1e-5


def test_licences_of_teachers_stay(small_zoo: Zoo, task: Task) -> None:
    taught = tans.finetune_best(task, small_zoo, Selection(combine="distil"), ONE)
    card = tans.finetune_from(taught.classifier, task, ONE).classifier.card
    assert card["teachers"] == taught.classifier.card["teachers"]
    assert len(card["teachers"]) == 3


def test_what_a_network_reads_otherwise_than_before_is_told(
    small_zoo: Zoo, task: Task, red: ZooEntry
) -> None:
    first = tans.finetune_best(task, small_zoo, Selection(red.id), ONE).classifier
    before = replace(first, reading=Reading({"uint8": (0, 255), "uint16": (0, 4095)}, (0, 0, 0)))
    now = replace(task, found=Findings(reading=Reading({"uint16": (0, 65535)})))
    told = tans.finetune_from(before, now, ONE).warnings
    assert [sentence.split(", and")[0] for sentence in told] == [
        "uint16 samples are read from 0 to 65535",
        "transparent parts are put on (255, 255, 255)",
    ]


def test_a_network_that_does_not_say_where_it_comes_from_is_refused(
    small_zoo: Zoo, task: Task, red: ZooEntry, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no fine-tuned network"):
        tans.finetune_from(tmp_path, task)
    first = tans.finetune_best(task, small_zoo, Selection(red.id), ONE).classifier
    for wrong in ({}, {**first.card, "from": {"weights": "x"}}, {**first.card, "source": 3}):
        with pytest.raises(InputError, match="does not say where it comes from"):
            tans.finetune_from(replace(first, card=wrong), task)


def test_an_interrupt_keeps_what_went_on_so_far(small_zoo: Zoo, task: Task, red: ZooEntry) -> None:
    first = tans.finetune_best(task, small_zoo, Selection(red.id), ONE).classifier
    stop, long = stop_at(workflow.GONE_ON), replace(ONE, fit_head=False, epochs=3)
    kept = tans.finetune_from(first, task, long, on_step=stop, on_interrupt=lambda _: True)
    assert kept.interrupted
    assert kept.best.best_epoch == 1
    with pytest.raises(KeyboardInterrupt):
        tans.finetune_from(first, task, long, on_step=stop)


def test_nothing_is_tuned_where_nothing_fits(small_zoo: Zoo, task: Task) -> None:
    told: list[FinetuneStep] = []
    selection = Selection(limits=Constraints(max_params=1.0))
    with pytest.raises(LimitError):
        tans.finetune_best(task, small_zoo, selection, ONE, on_step=told.append)
    assert told == []


@pytest.mark.parametrize("keep", [True, False])
def test_an_interrupt_asks_for_the_epoch_and_leaves_out_what_would_come(
    small_zoo: Zoo, task: Task, red: ZooEntry, keep: bool
) -> None:
    asked: list[Epoch] = []

    def tune(interrupted: str) -> tans.FinetuneResult:
        return tans.finetune_best(
            task,
            small_zoo,
            Selection(red.id, ("blue", "imagenet")),
            replace(ONE, fit_head=False, epochs=3),
            on_step=stop_at(interrupted),
            on_interrupt=lambda epoch: bool(asked.append(epoch)) or keep,
        )

    result = tune("blue")
    assert result.interrupted
    assert [run.label for run in result.runs] == ([red.id, "blue"] if keep else [red.id])
    assert [epoch.epoch for epoch in asked] == [1]
    if keep:
        assert result.runs[1].tuned.best_epoch == 1
        assert [run.label for run in tune(red.id).runs] == [red.id]
    else:
        with pytest.raises(KeyboardInterrupt):
            tune(red.id)


def test_the_best_match_learns_from_an_ensemble(small_zoo: Zoo, task: Task, tmp_path: Path) -> None:
    images = tmp_path / "more"
    images.mkdir()
    for k, image in enumerate(task.pixels.at(32)[task.splits == 0][:3]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(images / f"{k}.png")
    (images / "notes.txt").write_text("mine")
    told: list[FinetuneStep] = []
    selection = Selection(beside=("imagenet",), combine="distil", unlabelled=images)
    result = tans.finetune_best(task, small_zoo, selection, ONE, on_step=told.append)
    labels = [run.label for run in result.runs]
    assert (labels[:2], labels[-1], len(labels)) == (["Combined", "Best match"], "ImageNet", 5)
    teachers = result.best.teachers
    assert [entry.id for entry in teachers[1:]] == labels[2:4]
    assert len({entry.weights for entry in teachers}) == 3
    assert result.best.entry == teachers[0] == result.runs[1].tuned.entry
    assert all(not run.tuned.teachers for run in result.runs[1:])
    assert result.search is not None
    assert (result.search[0].id, len(result.search)) == (teachers[0].id, workflow.TOP)
    begun = [step.label for step in told if step.epoch is None]
    assert begun == [*labels[1:4], "Combined", "ImageNet"]
    assert result.warnings == (f"1 files in {images} are left out: they are no images",)
    result.save(tmp_path / "out")
    card = tans.load_finetuned(tmp_path / "out").card
    assert card["teachers"] == [{"entry": e.id, "licence": e.licence} for e in teachers]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Combined learnt from" in page
    for entry in teachers:
        assert entry.id in page


def test_an_interrupted_combination_keeps_what_is_done(small_zoo: Zoo, task: Task) -> None:
    result = tans.finetune_best(
        task, small_zoo, Selection(combine="distil"), ONE, on_step=stop_at("Combined")
    )
    assert result.interrupted
    assert (result.runs[0].label, len(result.runs)) == ("Best match", 3)


def test_what_cannot_be_combined_is_told(
    small_zoo: Zoo, task: Task, red: ZooEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="expected one of one, distil"):
        Selection(combine="all")
    with pytest.raises(InputError, match="expected --combine distil"):
        Selection(unlabelled="more")
    (said,) = Selection(red.id, combine="distil").warnings()
    assert "what is combined comes from the search" in said
    monkeypatch.setattr(workflow, "best_starts", lambda found, *_: [small_zoo.entry(found[0].id)])
    result = tans.finetune_best(task, small_zoo, Selection(combine="distil"), ONE)
    assert [run.label for run in result.runs] == ["Best match"]
    (said,) = result.warnings
    assert said.startswith("nothing is combined: the zoo has one network alone")


def test_several_networks_share_the_minutes(
    small_zoo: Zoo, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def short(*given: Any, recipe: Recipe, **more: Any) -> tans.FineTuned:
        asked.append(recipe.epochs)
        return finetune(*given, recipe=ONE, **more)

    monkeypatch.setattr(workflow, "finetune", short)
    monkeypatch.setattr(limits, "cached_pace", lambda ref: Pace(ref.name, 0.0, 1e-8, 0.3, 0.1))
    found = search_within(task, small_zoo, Constraints(max_minutes=1e6), top=LISTED)
    starts = best_starts(found, small_zoo)
    alone = limits.minutes_of(limits.shortest(task), starts[0].ref, task)
    least = alone / share_of_one(starts)

    def combined(minutes: float) -> tans.FinetuneResult:
        selection = Selection(limits=Constraints(max_minutes=minutes), combine="distil")
        return tans.finetune_best(task, small_zoo, selection)

    for minutes, count in ((1.05 * alone, 1), (3 * least, 4), (1e6, 4)):
        asked.clear()
        result = combined(minutes)
        assert len(asked) == len(result.runs) == count
        assert len(set(asked)) == 1
        if count == 1:
            assert "that takes" in result.warnings[0]
            continue
        every = [_minutes_of(run, asked[0], task) for run in result.runs]
        # what the teachers say costs a pass of the three that a step takes
        assert sum(every) + sum(every[1:]) / 3 <= 1.01 * minutes


def _minutes_of(run: Run, epochs: int | None, task: Task) -> float:
    assert epochs is not None
    return limits.minutes_of(epochs, run.tuned.network.ref, task)


def test_an_interrupt_that_nobody_is_asked_about_goes_on(
    small_zoo: Zoo, task: Task, red: ZooEntry
) -> None:
    with pytest.raises(KeyboardInterrupt):
        tans.finetune_best(task, small_zoo, Selection(red.id), ONE, on_step=stop_at(red.id))


def test_a_folder_in_use_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    workflow.check_folder(tmp_path / "new")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        workflow.check_folder(tmp_path)
    workflow.check_folder(tmp_path, force=True)
    with pytest.raises(InputError, match="is a file"):
        workflow.check_folder(tmp_path / "notes.txt", force=True)
    with pytest.raises(InputError, match="cannot be written"):
        workflow.check_folder(tmp_path / "notes.txt" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# Zoos


def test_tasks_are_read_from_folders_of_datasets(tmp_path: Path, task: Task) -> None:
    task.save(tmp_path / "all" / "one")
    replace(task, name="second").save(tmp_path / "all" / "two")
    (tmp_path / "empty").mkdir()
    names = [task.name for task in workflow.read_tasks([str(tmp_path / "all")])]
    assert names == ["green", "second"]
    (alone,) = workflow.read_tasks([str(tmp_path / "all" / "one")])
    assert alone.name == "green"
    read = workflow.read_tasks([str(tmp_path / "all")], lambda path: replace(task, name=path.name))
    assert [task.name for task in read] == ["one", "two"]
    with pytest.raises(InputError, match="holds no dataset"):
        list(workflow.read_tasks([str(tmp_path / "empty")]))


def test_pairs_are_chosen_by_a_strategy_and_its_limits() -> None:
    assert workflow.choose_pairs() is None
    choice = workflow.choose_pairs("pareto", 9, minutes=2.0, cost="flops")
    assert choice is not None
    assert (choice.strategy, choice.budget, choice.cost) == ("pareto", Budget(9, 2.0), "flops")
    everything = workflow.choose_pairs(on_cluster=True)
    assert everything is not None
    assert everything.strategy == "grid"
    for wrong in ({"pairs": 5}, {"minutes": 1.0}, {"least_growth": 0.1}, {"cost": "flops"}):
        with pytest.raises(InputError, match="without --strategy"):
            workflow.choose_pairs(**wrong)  # type: ignore[arg-type]


def test_a_crew_is_here_unless_there_is_an_address() -> None:
    with workflow.gather_crew(workers=3) as crew:
        assert isinstance(crew, Here)
        assert crew.workers == 3
    with pytest.raises(InputError, match="without --ray"):
        workflow.gather_crew(cpus_per_pair=2)
    with pytest.raises(InputError, match="both given"):
        workflow.gather_crew(workers=2, ray="local")


def test_a_base_is_shared_where_one_is_shipped(tmp_path: Path) -> None:
    settings = BuildSettings()
    shared = workflow.find_base(tmp_path, settings)
    assert shared is not None
    assert shared.base == Zoo.open().base
    assert workflow.find_base(tmp_path, settings, new=True) is None
    published = replace(settings, space="ofa-mbv3", base_weights="there")
    assert workflow.find_base(tmp_path, published) is None
    with pytest.raises(InputError, match="both given"):
        workflow.find_base(tmp_path, published, new=True)
    with pytest.raises(InputError, match="is shipped; expected --base-weights"):
        workflow.find_base(tmp_path / "new", replace(published, base_weights=None))


@pytest.mark.parametrize("strategy", [None, "random"])
def test_a_zoo_is_built_and_what_is_done_is_told(
    small_zoo: Zoo, task: Task, tmp_path: Path, strategy: str | None
) -> None:
    told: list[tuple[float, str]] = []
    choice = workflow.choose_pairs(strategy, 2 if strategy else None, cost=strategy and "flops")
    made = workflow.build(
        tmp_path / "zoo",
        [task],
        SMALL,
        Here(),
        choice=choice,
        base_from=small_zoo,
        on_progress=lambda share, words: told.append((share, words)),
    )
    assert len(made.entries(task="green")) == (2 if strategy else SMALL.subnets)
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert told[0][1] == "green: train 1/1"
    assert ("mean hypervolume" in told[-1][1]) == bool(strategy)


def test_some_or_all_tasks_of_a_zoo_are_copied(small_zoo: Zoo, tmp_path: Path) -> None:
    def copied(name: str, **which: Any) -> list[str]:
        made = workflow.copy_zoo(small_zoo, tmp_path / name, **which)
        return [stored.name for stored in made.tasks()]

    assert copied("all") == ["blue", "imagenet", "red"]
    assert copied("one", tasks=["red"]) == ["imagenet", "red"]
    assert len(copied("diverse", diverse=1)) == 2
    with pytest.raises(InputError, match="both given"):
        copied("both", tasks=["red"], diverse=1)
    assert not (tmp_path / "both").exists()
