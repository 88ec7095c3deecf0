"""Fine-tuning, start to end, on a small zoo."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tans
from tans import workflow
from tans.costs import limits
from tans.costs.pace import Pace
from tans.errors import InputError, LimitError, ZooError
from tans.meta.calibrator import Calibrator
from tans.meta.evidence import COLUMNS
from tans.networks.family import describe
from tans.report.runs import Run
from tans.search import look
from tans.search.combine import LISTED, best_starts, share_of_one
from tans.tasks.findings import Findings
from tans.tasks.reading import Reading
from tans.tasks.task import Task
from tans.training import PUBLISHED, Epoch, Recipe, finetune
from tans.types import Constraints, ZooEntry
from tans.workflow import FinetuneStep, Selection, finetuning, search_within
from tans.zoo.zoo import Zoo

ONE = Recipe(epochs=1, batch_size=16)


def stop_at(label: str) -> Any:
    """A listener that interrupts the training of a network after its first look at images."""

    def listen(step: FinetuneStep) -> None:
        if step.label == label and step.epoch is not None:
            raise KeyboardInterrupt

    return listen


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_the_size_that_a_search_proposes_is_tuned(
    small_zoo: Zoo, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    weights = tuple(1.0 if column == "probe" else 0.0 for column in COLUMNS)
    Calibrator((0.0,) * len(COLUMNS), weights, bias=0.0, strength=1.0).save(zoo.retrieval)
    # of two sources, the base, ImageNet's network in two sizes, and the first source in a larger
    probes = iter((0.3, 0.2, 0.1, 0.1, 0.1, 0.9))
    monkeypatch.setattr(look, "probe", lambda *_, **__: next(probes))
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


@pytest.mark.long
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


@pytest.mark.long
def test_training_goes_on_from_where_it_was(small_zoo: Zoo, task: Task, red: ZooEntry) -> None:
    still = replace(ONE, learning_rate=1e-9)
    first = tans.finetune_best(task, small_zoo, Selection(red.id), ONE)
    second = tans.finetune_from(first.classifier, task, still)
    body, before = (r.best.network.body.state_dict() for r in (second, first))
    for name, tensor in body.items():
        if "running" not in name and "num_batches" not in name:
            assert (tensor - before[name]).abs().max() < 1e-5


@pytest.mark.long
def test_licences_of_teachers_stay(small_zoo: Zoo, task: Task) -> None:
    taught = tans.finetune_best(task, small_zoo, Selection(combine="distil"), ONE)
    card = tans.finetune_from(taught.classifier, task, ONE).classifier.card
    assert card["teachers"] == taught.classifier.card["teachers"]
    assert len(card["teachers"]) == 3


@pytest.mark.long
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


@pytest.mark.long
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
@pytest.mark.long
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


@pytest.mark.long
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
    assert result.warnings[-1] == f"1 files in {images} are left out: they are no images"
    result.save(tmp_path / "out")
    card = tans.load_finetuned(tmp_path / "out").card
    assert card["teachers"] == [{"entry": e.id, "licence": e.licence} for e in teachers]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Combined learnt from" in page
    for entry in teachers:
        assert entry.id in page


@pytest.mark.long
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
    monkeypatch.setattr(finetuning, "best_starts", lambda found, *_: [small_zoo.entry(found[0].id)])
    result = tans.finetune_best(task, small_zoo, Selection(combine="distil"), ONE)
    assert [run.label for run in result.runs] == ["Best match"]
    *_, said = result.warnings
    assert said.startswith("nothing is combined: the zoo has one network alone")


@pytest.mark.long
def test_several_networks_share_the_minutes(
    small_zoo: Zoo, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def short(*given: Any, recipe: Recipe, **more: Any) -> tans.FineTuned:
        asked.append(recipe.epochs)
        return finetune(*given, recipe=ONE, **more)

    monkeypatch.setattr(finetuning, "finetune", short)
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
            assert "that takes" in result.warnings[-1]
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


@pytest.mark.usefixtures("short_published")
def test_the_papers_method_searches_and_tunes_as_published(small_zoo: Zoo, task: Task) -> None:
    selection = Selection(method="paper", limits=Constraints(max_params=2e6))
    assert selection.recipe == PUBLISHED
    recipe = replace(PUBLISHED, epochs=1)
    result = tans.finetune_best(task, small_zoo, selection, recipe)
    assert result.search is not None
    assert result.search.method == "paper"
    assert result.best.entry is not None
    assert result.best.entry.id == result.search[0].id
    assert result.best.recipe == recipe
    assert not result.best.network.is_deep
    assert result.warnings == result.search.notes
    assert result.runs[0].costs.params == result.search[0].params <= 2e6
