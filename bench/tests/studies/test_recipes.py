"""Recipes are tried once each, and a mean needs every task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import run_and_draw

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Fixed
from tans_bench.studies.recipes import EXPERIMENT, NETWORKS, NONE, RUNS, TASKS, Trial


@pytest.mark.long
def test_each_trial_is_a_line_that_is_found_again(bench: Bench, tmp_path: Path) -> None:
    trials = tuple(Trial("flags", network, 1, 0.03, True) for network in NETWORKS)
    small = replace(EXPERIMENT, plan=Fixed(trials))
    (table,) = run_and_draw(small, bench, tmp_path)
    stored = bench.results.lines(RUNS)
    assert [line["network"] for line in stored] == list(NETWORKS)
    assert all(0 <= line["accuracy"] <= 1 for line in stored)
    assert all(trial.done(bench) for trial in trials)
    assert not replace(trials[0], epochs=2).done(bench)
    assert isinstance(table, Table)
    assert {cell for row in table.rows for cell in row[3:]} == {NONE}


def test_a_mean_is_over_all_tasks_and_takes_the_last_line_of_each(bench: Bench) -> None:
    for accuracy in (0.1, 0.5):
        for task in TASKS:
            line = {"task": task, "network": NETWORKS[0], "epochs": 5, "rate": 0.03}
            bench.results.write(f"{RUNS}.jsonl/x", {**line, "fit_head": True, "accuracy": accuracy})
    (table,) = EXPERIMENT.draw(bench.results)
    assert isinstance(table, Table)
    assert table.rows[0] == [NETWORKS[0], "5", "fitted", NONE, NONE, "50.0"]
