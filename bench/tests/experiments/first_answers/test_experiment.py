"""The first answers, on the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, copied, run_and_draw

from tans_bench.experiments.first_answers.experiment import EXPERIMENT, Screened
from tans_bench.experiments.first_answers.measured import TANS, WHOLE, read
from tans_bench.methods.entrants import METHODS
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.experiment import PRESETS, Arm, Comparison
from tans_bench.runs.jobs import LIMITS

pytestmark = pytest.mark.long
ARMS = (
    Arm(("tans", "imagenet"), (DEV_TASK,), (0, WHOLE), images=30),
    Arm(("probe", "random"), (DEV_TASK,), (WHOLE,), images=30),
)
SMALL = replace(EXPERIMENT, plan=Screened(Comparison(ARMS), first=3))


@pytest.fixture(scope="module")
def once(run_once: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """All of it run and drawn."""
    run_and_draw(SMALL, run_once, tmp_path_factory.mktemp("drawn"))
    return run_once


@pytest.fixture
def ran(once: Bench, tmp_path: Path) -> Bench:
    return copied(once, tmp_path / "results")


@pytest.mark.slow
def test_all_is_drawn_and_the_first_by_probe_are_run(ran: Bench) -> None:
    drawn = {drawing.name: drawing for drawing in SMALL.draw(ran.results)}
    assert {"dev-siblings", "dev-siblings-seconds", "dev-regret", "dev-targets"} <= drawn.keys()
    assert not [name for name in drawn if name.startswith("sealed")]
    chosen = ran.results.read(f"choices/{DEV_TASK}/probe-40M-flops-n30-s0")
    assert chosen is not None
    (task,) = read(ARMS, ran.results)
    assert {*list(chosen["details"]["scores"])[:3]} <= {run["network"] for run in task.runs}
    table = drawn["dev-siblings-regret"]
    assert isinstance(table, Table)
    assert table.rows[1][:3] == ["*oracle at any px*", "1", "0"]
    assert float(table.rows[1][3]) >= max(float(row[3]) for row in table.rows[2:])


def test_what_is_lost_is_left_out(ran: Bench, tmp_path: Path) -> None:
    (task,) = read(ARMS, ran.results)
    lost = f"{task.cells[TANS].choice['network']}-n30-e{WHOLE}-*"
    for path in (ran.results.folder / "runs" / DEV_TASK).glob(lost):
        path.unlink()
    tables = {each.name: each for each in SMALL.draw(ran.results) if isinstance(each, Table)}
    (row,) = [row for row in tables["dev-siblings-regret"].rows if row[0] == "**tans**"]
    assert row[1:3] == ["0", "1"]
    assert tables["dev-predicted"].rows == []
    for drawing in SMALL.draw(ran.results):
        drawing.save(tmp_path)


def test_a_declaration_names_what_there_is() -> None:
    for preset in PRESETS:
        for arm in EXPERIMENT.scaled(preset).plan.comparison.arms:
            assert {*arm.methods} <= METHODS.keys()
            assert {*arm.limits} <= LIMITS.keys()
    assert EXPERIMENT.scaled("gpu").plan.first == EXPERIMENT.plan.first
