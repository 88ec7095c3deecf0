"""The trial of heads: what is run, and what is drawn of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from bench.tests.conftest import run_and_draw

from tans.tasks.task import Task
from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import Fixed
from tans_bench.runs.results import Results
from tans_bench.studies import heads
from tests.small_zoo import drawn_task


def test_epochs_come_nearest_to_the_steps_asked_for() -> None:
    task: Task = drawn_task("red", "one", n=300)
    learnt = int((task.splits == 0).sum())
    recipe = heads.recipe_of(heads.DEEP, task, seed=3)
    assert recipe.deep_head
    assert recipe.average
    assert recipe.seed == 3
    assert abs(recipe.epochs * recipe.steps(learnt) - heads.STEPS) <= recipe.steps(learnt) / 2


def test_differences_are_of_the_tasks_that_both_have(tmp_path: Path) -> None:
    results = Results(tmp_path)
    accuracies = {heads.DEEP: (0.5, 0.7, 0.9), "50 steps": (0.4, 0.5, None)}
    for variant, each in accuracies.items():
        for task, accuracy in zip(heads.TASKS, each, strict=False):
            trial = heads.Trial(task, heads.BASE, variant)
            if accuracy is not None:
                results.write(trial.name, {**vars(trial), "accuracy": accuracy})
    table, costs = heads.EXPERIMENT.draw(results)
    for _, plain, deep, *flops in costs.rows:
        assert float(plain) < float(deep) < 1.05 * float(plain)
        assert float(flops[0]) < float(flops[1])
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows[heads.DEEP] == ["", "", "70.0", ""]
    assert rows["50 steps"] == ["", "", "45.0", "-15.0 ± 5.0"]
    assert "no augmentation" not in rows


def test_a_recipe_is_chosen_on_other_tasks(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for task, network in product(heads.TASKS, heads.NETWORKS):
        # half a point better on every task, and a tenth better on the very first
        for variant, gain in ((heads.DEEP, 0.0), ("no augmentation", 0.005), ("rate 0.01", 0.0)):
            own = 0.1 if variant == "rate 0.01" and task == heads.TASKS[0] else gain
            trial = heads.Trial(task, network, variant)
            results.write(trial.name, {**vars(trial), "accuracy": 0.5 + own})
    _, retrieved, _ = heads.EXPERIMENT.draw(results)
    by_all, by_kind = (row[1] for row in retrieved.rows)
    # on all but itself, the lucky one wins for eleven tasks; on its kind, for five
    assert by_all == "+0.0 ± 0.0"
    assert by_kind == "+0.3 ± 0.1"


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert not heads.EXPERIMENT.draw(Results(tmp_path))


def test_every_job_has_a_name_of_its_own() -> None:
    names = [job.name for job in heads.EXPERIMENT.plan.all]
    assert len(set(names)) == len(names) == 12 * 2 * len(heads.VARIANTS)
    assert torch.tensor([steps for steps, _ in heads.VARIANTS.values()]).min() >= 50


@pytest.mark.slow
def test_a_trial_is_a_line_that_is_found_again(bench: Bench, tmp_path: Path) -> None:
    trial = heads.Trial("flags", heads.BASE, "50 steps")
    small = replace(heads.EXPERIMENT, plan=Fixed((trial,)))
    run_and_draw(small, bench, tmp_path)
    (line,) = bench.results.lines(heads.RUNS)
    assert 0 <= line["accuracy"] <= 1
    assert line["test_images"] > 0
    assert trial.done(bench)
    assert not replace(trial, seed=1).done(bench)
