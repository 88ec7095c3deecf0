"""Errors of the predictor, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw

from tans_bench.experiments.predictor import EXPERIMENT
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.ranks import NEAREST, Ranked


@pytest.mark.long
def test_an_error_is_the_mean_over_the_networks(bench: Bench, tmp_path: Path) -> None:
    plan = Ranked((DEV_TASK,), epochs=0, nearest=3, drawn=2, images=30)
    table, _ = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    assert isinstance(table, Table)
    rows = {(row[0], row[1]): row for row in table.rows}
    near = plan.read(bench.results)[DEV_TASK][NEAREST]
    expected = sum((run["predicted"] - run["accuracy"]) ** 2 for run in near) / 3
    assert float(rows[NEAREST, "predictor"][2]) == pytest.approx(expected, abs=1e-4)
    assert 1 / 12 <= float(rows["drawn", "random estimate"][2]) + 1e-4 <= 1 / 3 + 2e-4
    assert rows[NEAREST, "without the network"][-1] == "0.00"
