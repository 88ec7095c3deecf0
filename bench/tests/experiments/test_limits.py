"""Table and figure of the limits, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw

from tans.types import Constraints
from tans_bench.experiments.limits import EXPERIMENT, YARDSTICK
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Arm, Comparison
from tans_bench.runs.jobs import LIMITS
from tans_bench.runs.runner import run_experiment


@pytest.mark.long
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


def test_means_are_over_the_tasks_that_all_methods_were_run_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "10M-flops", Constraints(max_flops=5e6))
    half = Arm(("random",), (DEV_TASK,), (0,), images=30, limits=("10M-flops",))
    run_experiment(replace(EXPERIMENT, plan=Comparison((half,))), bench)
    whole = Comparison((replace(half, methods=("random", YARDSTICK)),))
    assert not replace(EXPERIMENT, plan=whole).draw(bench.results)
