"""Experiments run what is missing and nothing else."""

from __future__ import annotations

import json

from bench.tests.conftest import DEV_TASK, SEALED_TASK

from tans.build.workers import BuildProgress
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import cells
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.looks import FILE
from tans_bench.runs.results import Results
from tans_bench.runs.runner import run_experiment
from tans_bench.runs.versions import CURRENT


def experiment(task: str, methods: tuple[str, ...] = ("imagenet", "largest")) -> Experiment:
    arm = Arm(methods, (task,), epochs=(0, 1), images=30, limits=("",))
    return Experiment("small", "Small", "How?", Comparison((arm,)), drawn=lambda *_: [])


def test_a_run_goes_on_where_it_was_stopped(bench: Bench) -> None:
    folder, zoo = bench.results.folder, bench.zoo.path
    told: list[BuildProgress] = []
    assert run_experiment(experiment(DEV_TASK), folder, zoo=zoo, on_progress=told.append) == 6
    assert [(step.done, step.total) for step in told] == [
        *((k, 2) for k in (1, 2)),
        *((k, 6) for k in (3, 4, 5, 6)),
    ]
    assert run_experiment(experiment(DEV_TASK), folder, zoo=zoo) == 0
    lost = next((folder / "runs" / DEV_TASK).glob("*e1*"))
    before = json.loads(lost.read_text())
    lost.unlink()
    assert run_experiment(experiment(DEV_TASK), folder, zoo=zoo) == 1
    assert json.loads(lost.read_text())["accuracy"] == before["accuracy"]


def test_what_older_versions_made_is_done_and_stays(bench: Bench) -> None:
    folder, zoo = bench.results.folder, bench.zoo.path
    run_experiment(experiment(DEV_TASK), folder, zoo=zoo)
    for path in list(folder.rglob(f"*{CURRENT.ending}.json")):
        path.rename(path.with_name(path.name.replace(CURRENT.ending, "")))
    before = {path: path.read_text() for path in folder.rglob("*.json")}
    assert run_experiment(experiment(DEV_TASK), folder, zoo=zoo) == 0
    more = run_experiment(experiment(DEV_TASK, ("elastic-base",)), folder, zoo=zoo)
    assert more == len(list(folder.rglob(f"*{CURRENT.ending}.json"))) == 3
    assert {path: path.read_text() for path in before} == before


def test_methods_that_agree_share_a_run(bench: Bench) -> None:
    agreeing = experiment(DEV_TASK, ("imagenet", "imagenet"))
    assert run_experiment(agreeing, bench.results.folder, zoo=bench.zoo.path) == 3


def test_what_was_run_is_found_beside_its_choice(bench: Bench) -> None:
    small = experiment(DEV_TASK)
    run_experiment(small, bench.results.folder, zoo=bench.zoo.path)
    found = cells(small.plan.arms, Results(bench.results.folder))
    assert [(cell.method, cell.epochs) for cell in found] == [
        ("imagenet", 0),
        ("imagenet", 1),
        ("largest", 0),
        ("largest", 1),
    ]
    for cell in found:
        assert cell.total_s > cell.training_s > 0
        assert cell.choice["method"] == cell.method


def test_looks_at_sealed_tasks_are_on_record(bench: Bench) -> None:
    folder, zoo = bench.results.folder, bench.zoo.path
    run_experiment(experiment(DEV_TASK), folder, zoo=zoo)
    assert not (folder / FILE).exists()
    run_experiment(experiment(SEALED_TASK), folder, zoo=zoo)
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    assert [line["tasks"] for line in lines] == [[SEALED_TASK]] * len(lines)
    looks = len(lines)
    run_experiment(experiment(SEALED_TASK), folder, zoo=zoo)
    assert len((folder / FILE).read_text().splitlines()) == looks
