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
    steps = {"read_bytes": 1_940_000, "images_bytes": 5_700_000, "pair_bytes": 17_100}
    costs = {"steps": steps, "costs": {"choose_s": 0.1}, "hand_out_s": 0.0025}
    costs |= {"commit_s": {"8": 0.008}, "speedup": {"1": 1.0, "2": 1.9}}
    results.write("ray_speedup", {**places, **costs, "simulated": [run]})
    table, sent, simulated = EXPERIMENT.draw(results)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["this process", "Ray, 1 worker", "Ray, 2 workers"]
    assert isinstance(sent, Table)
    assert [row[1] for row in sent.rows] == ["2.5", "100.0", "8.0", "1.9", "5.7", "17"]
    assert isinstance(simulated, Table)
    assert simulated.rows == [["measured", "2", "1", "8", "0", "3.50", "88%", "6%"]]
