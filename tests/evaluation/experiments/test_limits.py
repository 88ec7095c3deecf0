"""Table and figure of the limits, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tans.evaluation.bench import Bench
from tans.evaluation.drawing import Table
from tans.evaluation.experiment import Arm, Comparison
from tans.evaluation.experiments.limits import EXPERIMENT, YARDSTICK
from tans.evaluation.jobs import LIMITS
from tans.types import Constraints
from tests.evaluation.conftest import DEV_TASK, run_and_draw


def test_a_gain_is_over_the_yardstick_within_the_same_limit(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, flops in (("10M-flops", 5e6), ("30M-flops", 9e6)):
        monkeypatch.setitem(LIMITS, name, Constraints(max_flops=flops))
    arm = Arm(
        ("random", YARDSTICK), (DEV_TASK,), (0,), images=30, limits=("10M-flops", "30M-flops")
    )
    small = replace(EXPERIMENT, plan=Comparison((arm,)))
    table, _ = run_and_draw(small, bench, tmp_path)
    assert isinstance(table, Table)
    assert len(table.rows) == 4
    assert [row[-1] for row in table.rows if row[1] == "elastic base"] == ["0.0", "0.0"]
    assert all(float(row[4]) <= {"5": 5.0, "9": 9.0}[row[0][0]] for row in table.rows)
