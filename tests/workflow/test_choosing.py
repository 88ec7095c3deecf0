"""Networks that are named, and limits."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tans
from tans import workflow
from tans.errors import InputError, LimitError, ZooError
from tans.search.curve import learning_curve
from tans.tasks.task import Task
from tans.training import PUBLISHED, Recipe
from tans.types import Constraints, ZooEntry
from tans.workflow import Selection, expected_curve
from tans.zoo.zoo import Zoo


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


@pytest.mark.long
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


def test_the_papers_method_has_its_recipe_and_refuses_what_it_does_not_know() -> None:
    assert Selection(method="paper").recipe == PUBLISHED
    assert Selection().recipe == Recipe()
    with pytest.raises(InputError, match="expected one of tans, paper"):
        Selection(method="papers")
    with pytest.raises(InputError, match="fine-tunes one network"):
        Selection(method="paper", combine="distil")
    with pytest.raises(InputError, match="not of minutes"):
        Selection(method="paper", limits=Constraints(max_minutes=5))
    (warning,) = Selection(method="paper", look=3).warnings()
    assert "takes none" in warning
    with pytest.raises(InputError, match="--method"):
        Selection(method="paper").refuse_any(Path("tuned"), None)
