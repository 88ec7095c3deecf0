"""From a folder of images to a network, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, run_and_draw

from tans_bench.experiments.whole import EXPERIMENT, STEPS, Wholes
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table


@pytest.mark.slow
def test_every_step_has_its_share_of_the_whole(bench: Bench, tmp_path: Path) -> None:
    plan = Wholes((DEV_TASK,))
    table, _ = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    assert isinstance(table, Table)
    (row,) = table.rows
    assert row[:2] == [DEV_TASK, "60"]
    shares = [float(cell) for cell in row[2 : 2 + len(STEPS)]]
    assert min(shares) >= 0
    assert 50 < sum(shares) <= 100.5
    stored = bench.results.read(plan.all()[0].name)
    assert stored is not None
    assert stored["network"] in {entry.id for entry in bench.zoo.entries()}
