"""What twice as many images bring: what is run, and what is drawn of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bench.tests.conftest import run_and_draw

from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.runs.results import Results
from tans_bench.studies import curves
from tests.small_zoo import drawn_task


def mixed(name: str, images: int | None) -> Task:
    """300 images of which some have another's label."""
    del images
    task = drawn_task(name, "three", seed=3, n=300)
    labels = task.labels.clone()
    labels[::3] = labels[torch.randperm(300, generator=torch.Generator().manual_seed(0))[:100]]
    return replace(task, labels=labels)


@pytest.fixture
def noisy(small_zoo: Zoo, tmp_path: Path) -> Bench:
    return Bench(Results(tmp_path / "results"), small_zoo, mixed)


def told(trial: curves.Trial, gain: float, brought: float) -> dict[str, Any]:
    """A result whose interval reaches two points to both sides."""
    found = {"gain": gain, "low": gain - 0.02, "high": gain + 0.02, "accuracies": [0.5, 0.6, 0.68]}
    return {**asdict(trial), **found, "untold": None, "before": 0.7, "after": 0.7 + brought}


@pytest.mark.long
def test_a_trial_is_a_line_that_is_found_again(noisy: Bench, tmp_path: Path) -> None:
    trial = curves.Trial("digits", 60, 40, seed=1)
    small = replace(curves.EXPERIMENT, plan=Fixed((trial,)))
    run_and_draw(small, noisy, tmp_path)
    (line,) = noisy.results.lines(curves.RUNS)
    assert line["untold"] is None
    assert line["images"] == 60
    assert line["learnt_from"] == [9, 18, 36]
    assert 0 < line["before"] < 1
    assert 0 < line["after"] < 1
    assert trial.done(noisy)
    assert not replace(trial, seed=2).done(noisy)


@pytest.mark.long
def test_what_cannot_be_told_is_told_why(noisy: Bench) -> None:
    assert curves.Trial("digits", 12, 12).run(noisy)["untold"].startswith("a quarter of the 12")
    assert curves.Trial("digits", 150, 150).run(noisy)["untold"] == (
        "too few images of other groups"
    )


def test_rules_and_intervals_are_judged_by_what_came(tmp_path: Path) -> None:
    results = Results(tmp_path)
    brought = {("digits", 100): (0.05, 0.04), ("solar-cells", 100): (0.01, 0.04)}
    for (task, images), (gain, came) in brought.items():
        trial = curves.Trial(task, images, images)
        results.write(trial.name, told(trial, gain, came))
    few = curves.Trial("digits", 200, 200)
    results.write(few.name, {**asdict(few), "untold": "too few images"})
    rules, intervals, tasks = curves.EXPERIMENT.draw(results)
    assert isinstance(rules, Table)
    assert isinstance(intervals, Table)
    assert isinstance(tasks, Table)
    assert [row[:2] + row[-2:] for row in rules.rows] == [
        ["no gain", "4.0", "4.0", "-4.0"],
        ["that of the last doubling", "4.0", "4.0", "+4.0"],
        ["tans check", "2.0", "2.0", "-1.0"],
    ]
    assert intervals.rows[1] == ["chosen by", "all", "1", "4.0", "5.0", "1.0", "4.0", "100%"]
    assert intervals.rows[3] == ["others", "all", "1", "4.0", "1.0", "3.0", "4.0", "0%"]
    assert [row[:3] for row in tasks.rows] == [["digits", "1", "1"], ["solar-cells", "0", "1"]]


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert not curves.EXPERIMENT.draw(Results(tmp_path))


def test_jobs_have_names_of_their_own_and_no_other_task_chose_the_width() -> None:
    names = [job.name for job in curves.EXPERIMENT.plan.all]
    assert len(set(names)) == len(names) == len(curves.TASKS) * len(curves.SIZES) * 4
    assert not set(curves.CHOSEN_BY) & set(curves.OTHERS)
