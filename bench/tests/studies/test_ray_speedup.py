"""Builds are simulated once choosing was timed."""

from __future__ import annotations

from pathlib import Path

from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results
from tans_bench.studies.ray_speedup import EXPERIMENT


def test_choosing_is_timed_first(bench: Bench) -> None:
    plan = EXPERIMENT.plan
    assert plan.jobs(bench) == [plan.growth]
    bench.results.write("growth", {"runs": []})
    assert plan.jobs(bench) == [plan.growth, plan.speedup]


def test_measured_and_simulated_stand_in_tables(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert not EXPERIMENT.draw(results)
    measured = {"pairs": 48, "first_round_s": 20.0, "pairs_per_minute": 60.0}
    run = {"pair": "measured", "workers": 2, "nodes": 1, "batch": 8, "ahead": 0, "tasks": 140}
    run |= {"pairs": 2520, "pairs_per_s": 3.5, "workers_busy": 0.875, "driver_busy": 0.0625}
    places = dict.fromkeys(("here", "ray_1", "ray_2"), measured)
    results.write("ray_speedup", {**places, "speedup": {"1": 1.0, "2": 1.9}, "simulated": [run]})
    table, simulated = EXPERIMENT.draw(results)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["this process", "Ray, 1 worker", "Ray, 2 workers"]
    assert isinstance(simulated, Table)
    assert simulated.rows == [["measured", "2", "1", "8", "0", "3.50", "88%", "6%"]]
