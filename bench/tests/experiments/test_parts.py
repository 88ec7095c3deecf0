"""Tables and figure of the parts, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw

from tans_bench.experiments.parts import EPOCHS, EXPERIMENT, WHOLE
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Arm, Comparison


@pytest.mark.slow
def test_each_part_stands_beside_the_whole(bench: Bench, tmp_path: Path) -> None:
    methods = (WHOLE, "no-predictor", "random-weights")
    arm = Arm(methods, (DEV_TASK, "script-tamil"), (1,), images=30, limits=("",))
    small = replace(EXPERIMENT, plan=Comparison((arm,)))
    means, tasks, _ = run_and_draw(small, bench, tmp_path)
    assert isinstance(means, Table)
    assert isinstance(tasks, Table)
    assert [row[0] for row in means.rows] == [row[0] for row in tasks.rows]
    assert means.rows[0][1:] == ["2", means.rows[0][2], "0.0 ± 0.0"]
    assert tasks.columns == ("method", DEV_TASK, "script-tamil")
    assert str(EPOCHS) in means.caption
