"""Experiments run what is missing and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK, copied

from tans.build.crew import BuildProgress
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import cells
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.results import Results
from tans_bench.runs.runner import run_experiment
from tans_bench.runs.versions import CURRENT


def experiment(task: str, methods: tuple[str, ...] = ("imagenet", "largest")) -> Experiment:
    arm = Arm(methods, (task,), epochs=(0, 1), images=30, limits=("",))
    return Experiment("small", "Small", "How?", Comparison((arm,)), drawn=lambda *_: [])


@pytest.fixture(scope="module")
def once(run_once: Bench) -> Bench:
    """The two methods run on one task."""
    told: list[BuildProgress] = []
    assert run_experiment(experiment(DEV_TASK), run_once, on_progress=told.append) == 6
    assert [(step.done, step.total) for step in told] == [
        *((k, 2) for k in (1, 2)),
        *((k, 6) for k in (3, 4, 5, 6)),
    ]
    return run_once


@pytest.fixture
def ran(once: Bench, tmp_path: Path) -> Bench:
    return copied(once, tmp_path / "results")


@pytest.mark.long
def test_a_run_goes_on_where_it_was_stopped(ran: Bench) -> None:
    folder = ran.results.folder
    assert run_experiment(experiment(DEV_TASK), ran) == 0
    lost = next((folder / "runs" / DEV_TASK).glob("*e1*"))
    before = json.loads(lost.read_text())
    lost.unlink()
    assert run_experiment(experiment(DEV_TASK), ran) == 1
    assert json.loads(lost.read_text())["accuracy"] == before["accuracy"]


@pytest.mark.long
def test_what_older_versions_made_is_done_and_stays(ran: Bench) -> None:
    folder = ran.results.folder
    for path in list(folder.rglob(f"*{CURRENT.ending}.json")):
        path.rename(path.with_name(path.name.replace(CURRENT.ending, "")))
    before = {path: path.read_text() for path in folder.rglob("*.json")}
    assert run_experiment(experiment(DEV_TASK), ran) == 0
    more = run_experiment(experiment(DEV_TASK, ("elastic-base",)), ran)
    assert more == len(list(folder.rglob(f"*{CURRENT.ending}.json"))) == 3
    assert {path: path.read_text() for path in before} == before


@pytest.mark.long
def test_methods_that_agree_share_a_run(bench: Bench) -> None:
    agreeing = experiment(DEV_TASK, ("imagenet", "imagenet"))
    assert run_experiment(agreeing, bench) == 3


@pytest.mark.long
def test_what_was_run_is_found_beside_its_choice(ran: Bench) -> None:
    found = cells(experiment(DEV_TASK).plan.arms, Results(ran.results.folder))
    assert [(cell.method, cell.epochs) for cell in found] == [
        ("imagenet", 0),
        ("imagenet", 1),
        ("largest", 0),
        ("largest", 1),
    ]
    for cell in found:
        assert cell.total_s > cell.training_s > 0
        assert cell.choice["method"] == cell.method
