"""How cost grows, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw

from tans.build.spending import seconds_spent
from tans_bench.experiments.costs import COUNTS, EXPERIMENT, METHODS, Costs, Way
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Arm, Comparison


def test_the_zoo_is_paid_once_and_a_search_each_time() -> None:
    way = Way("some", once_s=3600, each_s=36)
    assert way.hours(1) == pytest.approx(1.01)
    assert way.hours(100) == pytest.approx(2)


@pytest.mark.long
def test_the_zoos_own_cost_is_in_the_table(bench: Bench, tmp_path: Path) -> None:
    arm = Arm(METHODS, (DEV_TASK,), (0,), images=30, limits=("",))
    small = replace(EXPERIMENT, plan=Costs(Comparison((arm,))))
    table, _ = run_and_draw(small, bench, tmp_path)
    assert isinstance(table, Table)
    assert len(table.columns) == 3 + len(COUNTS)
    assert table.rows[0][1] == "0"
    assert float(table.rows[1][1]) == pytest.approx(sum(seconds_spent(bench.zoo).values()), abs=0.6)
    for row in table.rows:
        hours = [float(cell) for cell in row[3:]]
        assert hours == sorted(hours)
