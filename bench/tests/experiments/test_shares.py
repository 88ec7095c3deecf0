"""What each part adds, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, STRANGER_TASK, run_and_draw

from tans_bench.experiments.shares import EXPERIMENT, STEPS
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Arm, Comparison


@pytest.mark.slow
def test_the_parts_add_up_to_the_match(bench: Bench, tmp_path: Path) -> None:
    arm = Arm(tuple(STEPS), (DEV_TASK, STRANGER_TASK), (1,), images=30, limits=("",))
    table, figure = run_and_draw(replace(EXPERIMENT, plan=Comparison((arm,))), bench, tmp_path)
    assert isinstance(table, Table)
    assert table.name == figure.name == "shares-1"
    assert table.columns[1:] == ("all (2 tasks)", "siblings (1 tasks)", "strangers (1 tasks)")
    for column in (1, 2, 3):
        start, *added, end = [float(row[column].split(" ± ")[0]) for row in table.rows]
        assert abs(start + sum(added) - end) < 0.3


@pytest.mark.long
def test_a_task_that_lacks_a_method_is_left_out(bench: Bench, tmp_path: Path) -> None:
    some = Arm(tuple(STEPS)[:-1], (DEV_TASK,), (0,), images=30, limits=("",))
    whole = Comparison((replace(some, methods=tuple(STEPS)),))
    run_and_draw(replace(EXPERIMENT, plan=Comparison((some,))), bench, tmp_path)
    assert not replace(EXPERIMENT, plan=whole).draw(bench.results)
