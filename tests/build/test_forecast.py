"""What is told of a whole build: it grows to one, and what is stored already is no part of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tans.build.crew import BuildProgress
from tans.build.engine import build_zoo
from tans.build.forecast import Forecast, expected_work
from tans.tasks.task import Task
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import SMALL


@pytest.mark.long
def test_a_build_is_done_when_its_last_step_is(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    forecast = Forecast(expected_work(tmp_path / "zoo", small_tasks, SMALL))
    shares: list[float] = []
    steps: list[BuildProgress] = []

    def listen(step: BuildProgress) -> None:
        steps.append(step)
        shares.append(forecast.share(step))

    build_zoo(tmp_path / "zoo", small_tasks, SMALL, base_from=small_zoo, on_progress=listen)
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == pytest.approx(1)
    halfway = [s for s, step in zip(shares, steps, strict=True) if step.task == small_tasks[0].name]
    assert halfway[-1] == pytest.approx(0.5)
    assert not any(step.task == IMAGENET for step in steps)


def test_what_is_stored_is_not_counted(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    assert sum(expected_work(small_zoo.path, small_tasks, SMALL, own_base=True).values()) == 0
    more = replace(SMALL, subnets=SMALL.subnets + 2)
    missing = expected_work(small_zoo.path, small_tasks, more)
    assert {step for (_, step), work in missing.items() if work} == {"measure"}


def test_a_budget_and_a_base_are_counted(small_tasks: list[Task], tmp_path: Path) -> None:
    whole = expected_work(tmp_path / "zoo", small_tasks, SMALL)
    few = expected_work(tmp_path / "zoo", small_tasks, SMALL, pairs=SMALL.subnets)
    measured = (small_tasks[0].name, "measure")
    assert few[measured] == pytest.approx(whole[measured] / 2)
    based = expected_work(tmp_path / "zoo", small_tasks, SMALL, own_base=True)
    assert based.keys() - whole.keys() == {(IMAGENET, "distil")}
    forecast = Forecast(few)
    for task in small_tasks:
        forecast.share(BuildProgress(task.name, "train", 1, 1))
    some, all_of_them = (forecast.share(BuildProgress("", "measure", done, 4)) for done in (1, 4))
    assert some < all_of_them == pytest.approx(1)
