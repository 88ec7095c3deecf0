"""Sources at a high resolution are built before they are fine-tuned."""

from __future__ import annotations

from pathlib import Path

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results
from tans_bench.studies.resolution import (
    EXPERIMENT,
    HIGH,
    IMAGENET,
    LOW,
    RUNS,
    Build,
    Resolutions,
    Trial,
)

PLAN = Resolutions(sources=("red",), targets=("digits", "flags"))


def test_what_is_not_built_waits(bench: Bench) -> None:
    build, *trials = PLAN.jobs(bench)
    assert build == Build(("red",))
    assert Trial("digits", "red", LOW) in trials
    assert Trial("digits", IMAGENET, HIGH) in trials
    assert Trial("digits", "red", HIGH) not in trials


def test_nothing_is_built_where_all_is_stored(bench: Bench) -> None:
    for trial in PLAN.trials():
        bench.results.write(
            trial.name, {"target": trial.target, "network": trial.network, "resolution": HIGH}
        )
    assert PLAN.jobs(bench) == PLAN.trials()


def test_seconds_are_a_multiple_of_imagenets(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for trial in EXPERIMENT.plan.trials():
        key = {"target": trial.target, "network": trial.network, "resolution": trial.resolution}
        seconds = 2.0 if trial.resolution == HIGH else 1.0
        results.write(f"{RUNS}.jsonl/x", {**key, "accuracy": 0.5, "seconds": seconds})
    (table,) = EXPERIMENT.draw(results)
    assert isinstance(table, Table)
    assert {(row[1], row[-1]) for row in table.rows} == {("64", "1.0"), ("128", "2.0")}
    assert {row[-2] for row in table.rows} == {"50.0"}
    assert not EXPERIMENT.draw(Results(tmp_path / "nothing"))
