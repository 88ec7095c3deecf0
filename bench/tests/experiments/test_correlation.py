"""Table and figure of the correlation, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw

from tans_bench.experiments.correlation import EXPERIMENT
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.ranks import Ranked


@pytest.mark.long
def test_near_and_far_networks_stand_side_by_side(bench: Bench, tmp_path: Path) -> None:
    plan = Ranked((DEV_TASK,), epochs=0, nearest=2, farthest=3, images=30)
    small = replace(EXPERIMENT, plan=plan)
    table, _ = run_and_draw(small, bench, tmp_path)
    assert isinstance(table, Table)
    row, mean = table.rows
    assert row[:2] == [DEV_TASK, "5"]
    assert all(-1 <= float(value) <= 1 for value in row[2:6])
    assert mean[2] == row[2]
