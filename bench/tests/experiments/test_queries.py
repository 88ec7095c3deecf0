"""Pictures of queries and of what is retrieved, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.tests.conftest import DEV_TASK, run_and_draw

from tans_bench.experiments.queries import EXPERIMENT, METHOD, Shown
from tans_bench.methods import entrants as methods
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import Arm
from tests.small_zoo import drawn_task


def test_a_query_stands_beside_what_is_retrieved(bench: Bench, tmp_path: Path) -> None:
    plan = Shown(Arm((METHOD,), (DEV_TASK, "script-tamil"), (0,), images=30, limits=("",)))
    _, table = run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    assert isinstance(table, Table)
    assert {row[0] for row in table.rows} == {DEV_TASK, "script-tamil"}
    assert {row[2] for row in table.rows} == {"CC0-1.0"}
    assert {row[1] for row in table.rows} <= {task.name for task in bench.zoo.tasks()}
    assert METHOD in methods.METHODS


def test_images_that_may_not_be_sold_are_not_kept(bench: Bench, tmp_path: Path) -> None:
    task = drawn_task(DEV_TASK, "three", seed=3)
    closed = replace(task, card=replace(task.card, licence="CC-BY-NC-SA-4.0"))
    bench = replace(bench, tasks=lambda *_: closed)
    plan = Shown(Arm((METHOD,), (DEV_TASK,), (0,), images=30, limits=("",)))
    run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)
    (stored,) = bench.results.below("pictures")
    assert stored["query"] is None
    assert stored["licences"][0] == "CC-BY-NC-SA-4.0"
