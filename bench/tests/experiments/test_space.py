"""The map of tasks and networks, of the small zoo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.tests.conftest import DEV_TASK, run_and_draw

from tans_bench.experiments.space import EXPERIMENT, Layout, Map
from tans_bench.runs.bench import Bench


def test_every_network_and_query_has_a_place(bench: Bench, tmp_path: Path) -> None:
    plan = Layout(Map((DEV_TASK, "script-tamil")))
    assert len(run_and_draw(replace(EXPERIMENT, plan=plan), bench, tmp_path)) == 1
    stored = bench.results.read(plan.map.name)
    assert stored is not None
    assert stored["queries"].keys() == {DEV_TASK, "script-tamil"}
    counts = {task: len(places) for task, places in stored["networks"].items()}
    entries = bench.zoo.entries(vectors=False)
    assert counts == {task: sum(e.task == task for e in entries) for task in counts}
    assert sum(counts.values()) == len(entries)
