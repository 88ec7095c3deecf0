"""Comparisons on one task: by hand, and None where a run is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.tests.conftest import DEV_TASK, STRANGER_TASK
from bench.tests.experiments.first_answers.conftest import made

from tans_bench.experiments.first_answers.measured import (
    IMAGENET,
    TANS,
    WHOLE,
    Contender,
    Measured,
    kinds,
    mean,
    read,
)
from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.runner import run_experiment

TWO = made({TANS: [(0.9, 10), (0.8, 12)], IMAGENET: [(0.7, 20), (0.8, 24), (0.1, 1)]})


def test_methods_are_compared_at_the_seeds_that_both_have() -> None:
    assert TWO.gain(TANS, IMAGENET) == pytest.approx(10)
    assert TWO.errors(TANS, IMAGENET) == pytest.approx(0.3 / 0.5)
    assert TWO.time(TANS, IMAGENET) == pytest.approx(0.5)


def test_without_a_run_there_is_no_figure() -> None:
    absent = Contender("random")
    for figure in (Measured.gain, Measured.errors, Measured.time, Measured.gain_in_time):
        assert figure(TWO, TANS, absent) is None
        assert figure(TWO, absent, TANS) is None
    assert TWO.regret(absent) is None
    assert mean([None, None]) is None


def test_nothing_is_a_multiple_of_no_errors() -> None:
    perfect = made({TANS: [(0.9, 1)], IMAGENET: [(1.0, 1)]})
    assert perfect.errors(TANS, IMAGENET) is None
    assert perfect.errors(IMAGENET, TANS) == 0


def test_between_two_lengths_accuracy_follows_the_logarithm_of_seconds() -> None:
    task = made({TANS.at(3): [(0.5, 10)], TANS: [(0.7, 40)], IMAGENET: [(0.55, 20)]})
    assert task.gain_in_time(TANS, IMAGENET) == pytest.approx(5)
    faster = made({TANS.at(3): [(0.5, 10)], TANS: [(0.7, 40)], IMAGENET: [(0.55, 9)]})
    assert faster.gain_in_time(TANS, IMAGENET) is None
    at_once = made({TANS: [(0.5, 0.0)], IMAGENET: [(0.4, 0.0)]})
    assert at_once.gain_in_time(TANS, IMAGENET) == pytest.approx(10)


def test_regret_is_to_the_best_that_was_run_at_all_seeds() -> None:
    task = made({TANS: [(0.6, 1), (0.7, 1)], IMAGENET: [(0.8, 1), (0.6, 1)]})
    lucky = {**task.runs[0], "network": "another", "accuracy": 0.99}
    task = replace(task, runs=[*task.runs, lucky])
    assert task.oracle() == pytest.approx(70)
    assert task.regret(TANS) == pytest.approx(5)
    assert task.oracle(resolution=128) is None
    assert task.regret(TANS, resolution=128) is None
    assert TWO.regret(TANS) is None  # one seed is missing


@pytest.mark.long
def test_what_is_stored_is_found_whoever_asked_for_it(bench: Bench) -> None:
    tasks = DEV_TASK, STRANGER_TASK
    short = Arm(("imagenet", "largest"), tasks[:1], (0, 1), images=30, limits=("",))
    plan = Comparison((short,))
    small = Experiment("small", "Small", "How?", plan, drawn=lambda *_: [])
    run_experiment(small, bench)
    whole = Arm(("imagenet",), tasks, (1,), images=30, limits=("",))
    first, second = read([whole, replace(whole, epochs=(0, WHOLE))], bench.results)
    assert [task.name for task in (first, second)] == [*tasks]
    assert kinds([first, second]) == ["siblings", "strangers", "all"]
    assert {(each.method, each.epochs) for each in first.cells} == {
        ("imagenet", 0),
        ("imagenet", 1),
    }
    assert not second.cells
    assert second.oracle() is None
